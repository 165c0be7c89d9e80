#!/usr/bin/python3
"""Write a set of images that can be learned, in the files in which ImageNet (ILSVRC2012) is distributed: a tar of tars for
training, a flat tar for validation, the development kit with its ground truth.

    workflows/imagenet_like.py DIR --classes 50 --images 200 --validation 20

A class is a hue and a pattern; side lengths, scale, place, tilt, light and noise differ from image to image.  As in
ImageNet one .JPEG is a PNG, one has four colours (CMYK), and some are grey, whose class is half hidden.  Image i of a class
is a function of (seed, class, i) alone."""

import argparse
import colorsys
import io
import pathlib
import sys
import tarfile

import numpy
import scipy.io
from PIL import Image

SIDE_MIN, SIDE_MAX = 180, 600
PATTERNS = ("lines", "columns", "squares", "discs", "rings")
GREY_EVERY, QUALITY = 40, 85
VALIDATION = 1_000_000  # the first image number of the validation set
KIT = pathlib.Path("ILSVRC2012_devkit_t12") / "data"


def stripes(x):
    return numpy.sin(2 * numpy.pi * x) > 0


def pattern(name, x, y):
    """Ones and zeros, with period 1."""
    if name == "lines":
        return stripes(y)
    if name == "columns":
        return stripes(x)
    if name == "squares":
        return stripes(x) ^ stripes(y)
    if name == "discs":
        return (x % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 < 0.1
    return stripes(numpy.hypot(x, y))


def pixels(number, classes, image, seed):
    """One image as [row][column][channel]."""
    random = numpy.random.default_rng((seed, number, image))
    rows, columns = random.integers(SIDE_MIN, SIDE_MAX + 1, 2)
    hue = number // len(PATTERNS) / -(-classes // len(PATTERNS))
    ink = numpy.array(colorsys.hsv_to_rgb(hue, random.uniform(0.7, 1), random.uniform(0.7, 1)))
    paper = random.uniform(0.1, 0.9) * numpy.ones(3)

    # at half the size, which is quicker and makes soft edges
    shape = (-(-rows // 2), -(-columns // 2))
    y, x = numpy.mgrid[:shape[0], :shape[1]].astype(numpy.float32) / min(shape)
    periods, tilt = random.uniform(3, 6), random.uniform(-0.15, 0.15)
    x, y = x - random.uniform(0, 1), y - random.uniform(0, 1)
    where = pattern(PATTERNS[number % len(PATTERNS)], periods * (x + tilt * y), periods * (y - tilt * x))
    light = 1 + random.uniform(-0.3, 0.3) * x + random.uniform(-0.3, 0.3) * y
    values = numpy.where(where[..., None], ink, paper) * light[..., None]
    values = values * 255 + random.normal(0, random.uniform(5, 30), values.shape)
    half = Image.fromarray(values.clip(0, 255).astype(numpy.uint8))
    return half.resize((int(columns), int(rows)), Image.BILINEAR)


def encoded(number, classes, image, seed):
    """The bytes of an image file."""
    picture, kind, options = pixels(number, classes, image, seed), "JPEG", {"quality": QUALITY}
    if (number, image) == (0, 0):
        kind, options = "PNG", {}
    elif (number, image) == (1, 1):
        picture = picture.convert("CMYK")
    elif image % GREY_EVERY == GREY_EVERY - 1:
        picture = picture.convert("L")
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def add(tar, name, contents):
    member = tarfile.TarInfo(name)
    member.size = len(contents)
    tar.addfile(member, io.BytesIO(contents))


def wnids(classes, seed):
    """The classes' ids in the order of the kit's numbers, which is another than that of the ids."""
    ids = [f"n{1_000_000 + 7_919 * k:08}" for k in range(classes)]
    return [ids[k] for k in numpy.random.default_rng(seed).permutation(classes)]


def write_training(path, ids, images, seed):
    with tarfile.open(path, "w") as outer:
        for number, wnid in enumerate(sorted(ids)):
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode="w") as inner:
                for image in range(images):
                    add(inner, f"{wnid}_{image}.JPEG", encoded(number, len(ids), image, seed))
            add(outer, f"{wnid}.tar", stream.getvalue())


def write_validation(folder, ids, images, seed):
    """The classes one after the other in an order of chance, as the ground truth says by the kit's numbers."""
    truth = numpy.random.default_rng(seed).permutation(numpy.repeat(numpy.arange(len(ids)), images))
    ranks = {wnid: rank for rank, wnid in enumerate(sorted(ids))}
    with tarfile.open(folder / "ILSVRC2012_img_val.tar", "w") as tar:
        for place, kit_number in enumerate(truth):
            contents = encoded(ranks[ids[kit_number]], len(ids), VALIDATION + place, seed)
            add(tar, f"ILSVRC2012_val_{place + 1:08}.JPEG", contents)
    (folder / KIT).mkdir(parents=True, exist_ok=True)
    (folder / KIT / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{k + 1}\n" for k in truth))
    synsets = numpy.array([[(k + 1, wnid, "words", 0)] for k, wnid in enumerate(ids)],
                          dtype=[(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "num_children")])
    scipy.io.savemat(folder / KIT / "meta.mat", {"synsets": synsets}, do_compression=True)


def write(folder, classes, images, validation, seed=1):
    """The training tar comes last, under its own name only when it is whole: where it is, everything is."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ids = wnids(classes, seed)
    write_validation(folder, ids, validation, seed)
    part = folder / "ILSVRC2012_img_train.tar.part"
    write_training(part, ids, images, seed)
    part.rename(folder / "ILSVRC2012_img_train.tar")


def main(words):
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="where the files are written")
    parser.add_argument("--classes", type=int, default=50, help="classes (default: 50)")
    parser.add_argument("--images", type=int, default=200, help="training images of each class (default: 200)")
    parser.add_argument("--validation", type=int, default=20, help="validation images of each class (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other images (default: 1)")
    given = parser.parse_args(words)
    for name in ("classes", "images", "validation"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} {getattr(given, name)}: should be at least 1")
    if given.classes > 1000:
        parser.error(f"--classes {given.classes}: ImageNet's kit has 1000 numbers of classes")
    write(given.folder, given.classes, given.images, given.validation, given.seed)


if __name__ == "__main__":
    main(sys.argv[1:])
