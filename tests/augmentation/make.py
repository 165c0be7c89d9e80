"""Write a file of images and of what torchvision and PIL make of them with fixed parameters.

    make.py numbers.h5                      the file that is committed beside this script
    make.py OUT.h5 --seed 5 --sides 224     other images of the given size

Needs torchvision, PIL, torch, numpy, h5py.  tests/tables/test_operations.c and tests/unit/data/test_resized_crop.c and
test_augment.c read the file; CORDS_AUGMENTATION_NUMBERS names another one for them.

    images/I                uint8 [row, column, channel]
    operations/K, crops/K, centres/K, floats/K     what became of image `image`, parameters in the attributes
"""

import argparse
import unittest.mock

import h5py
import numpy
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import ElasticTransform, InterpolationMode, RandAugment
from torchvision.transforms import functional as F
from torchvision.transforms.autoaugment import _apply_op

LEVELS = 31


def picture(random, rows, columns, channels, low=0, high=255):
    """Waves, an edge, noise, and flat parts: something for every operation."""
    row, column = numpy.meshgrid(numpy.arange(rows), numpy.arange(columns), indexing="ij")
    bands = []
    for _ in range(channels):
        a, b, phase = random.uniform(0.05, 0.4, 3)
        band = 0.5 + 0.3 * numpy.sin(a * row + phase * 9) * numpy.cos(b * column) + 0.2 * (row > column)
        band += random.uniform(-0.1, 0.1, band.shape) * (row > rows // 3)
        bands.append(band)
    values = numpy.clip(numpy.stack(bands, -1), 0, 1)
    return numpy.round(low + (high - low) * values).astype(numpy.uint8)


def pictures(random, sides):
    if sides:
        return [picture(random, sides, sides, 3), picture(random, sides - 5, sides + 8, 1)]
    few = numpy.where(picture(random, 20, 24, 3) > 100, 90, 40).astype(numpy.uint8)
    few[..., 2] = 7  # one value only
    return [picture(random, 27, 34, 3), picture(random, 28, 28, 1), picture(random, 26, 21, 3, 60, 130), few,
            picture(random, 2, 3, 3)]


def to_pil(image):
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def to_array(pil):
    array = numpy.asarray(pil)
    return array if array.ndim == 3 else array[..., None]


def operations(images, levels):
    """Every operation of torchvision's own table, with both signs."""
    for i, image in enumerate(images):
        pil = to_pil(image)
        height, width = image.shape[:2]
        table = RandAugment(2, 9, LEVELS)._augmentation_space(LEVELS, (height, width))
        for name, (magnitudes, is_signed) in table.items():
            constant = magnitudes.ndim == 0
            for level in (9,) if constant else levels:
                magnitude = float(magnitudes) if constant else float(magnitudes[level])
                for sign in (1, -1) if is_signed and level > 0 else (1,):
                    out = _apply_op(pil, name, sign * magnitude, InterpolationMode.NEAREST, None)
                    yield to_array(out), {"image": i, "operation": name, "level": level, "levels": LEVELS,
                                          "sign": sign}


def crops(images, random, sides):
    for i, image in enumerate(images):
        rows, columns = image.shape[:2]
        for out in ((sides, sides),) if sides else ((16, 16), (40, 33), (9, 24), (1, 1)):
            for _ in range(3):
                height, width = random.integers(1, rows + 1), random.integers(1, columns + 1)
                box = {"row": random.integers(0, rows - height + 1), "column": random.integers(0, columns - width + 1),
                       "rows": height, "columns": width}
                result = F.resized_crop(to_pil(image), *(int(v) for v in box.values()), out)
                yield to_array(result), {"image": i, **box}


def centres(images):
    for i, image in enumerate(images):
        if min(image.shape[:2]) >= 20:
            for shorter, out in ((18, 15), (24, 24), (41, 30)):
                result = F.center_crop(F.resize(to_pil(image), shorter), out)
                yield to_array(result), {"image": i, "shorter": shorter}


def elastic(tensor, alpha, sigma, noise):
    """torchvision's own transform, with the given noise in place of its random numbers."""
    rows, columns = tensor.shape[1:]
    fields = iter(torch.from_numpy((n + 1) / 2)[None, None] for n in noise)
    with unittest.mock.patch("torch.rand", lambda *_, **__: next(fields)):
        moves = ElasticTransform.get_params([alpha, alpha], [sigma, sigma], [rows, columns])
    return F.elastic_transform(tensor, moves, InterpolationMode.BILINEAR, [0.0])


def floats(images, random):
    """Operations on float32 tensors, 0..1; [row, column, channel] in the file."""
    for i, image in enumerate(images):
        if min(image.shape[:2]) < 20 or max(image.shape[:2]) > 64:
            continue
        tensor = torch.from_numpy(image.transpose(2, 0, 1).astype(numpy.float32) / numpy.float32(255))
        for _ in range(2):
            angle, shear, scale = random.uniform(-5, 5), random.uniform(-5, 5), random.uniform(0.95, 1.05)
            x, y = (int(v) for v in random.integers(-2, 3, 2))
            out = F.affine(tensor, angle, [x, y], scale, [shear, 0.0], InterpolationMode.NEAREST, [0.0])
            yield out, {"image": i, "what": "affine", "angle": angle, "x": x, "y": y, "scale": scale, "shear": shear}
            factor = random.uniform(0.5, 1.6)
            yield F.adjust_brightness(tensor, factor), {"image": i, "what": "brightness", "factor": factor}
            yield F.adjust_contrast(tensor, factor), {"image": i, "what": "contrast", "factor": factor}
        if image.shape[2] == 1:
            noise = random.uniform(-1, 1, (2, *image.shape[:2])).astype(numpy.float32)
            out = elastic(tensor, 20.0, 5.0, noise)
            yield out, {"image": i, "what": "elastic", "alpha": 20.0, "sigma": 5.0, "noise": noise}


def write(file, group, cases):
    for k, (out, attributes) in enumerate(cases):
        noise = attributes.pop("noise", None)
        if isinstance(out, torch.Tensor):
            out = out.numpy().transpose(1, 2, 0)
        array = file.create_dataset(f"{group}/{k:04}", data=out, **({"compression": 9, "shuffle": True}
                                                                    if out.size > 1000 else {}))
        for name, value in attributes.items():
            is_real = isinstance(value, float)
            array.attrs[name] = value if isinstance(value, str) or is_real else numpy.int64(value)
        if noise is not None:
            file.create_dataset(f"noise/{k:04}", data=noise)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sides", type=int, default=0, help="of larger images, in place of the small ones")
    arguments = parser.parse_args()
    random = numpy.random.default_rng(arguments.seed)
    images = pictures(random, arguments.sides)
    with h5py.File(arguments.output, "w", libver="latest") as file:
        file.attrs["made_with"] = f"torchvision {torchvision.__version__}, PIL {PIL.__version__}"
        for i, image in enumerate(images):
            file.create_dataset(f"images/{i}", data=image)
        levels = (0, 4, 9, 20, LEVELS - 1) if arguments.sides else (9, LEVELS - 1)
        write(file, "operations", operations(images, levels))
        write(file, "crops", crops(images, random, arguments.sides))
        write(file, "centres", centres(images))
        write(file, "floats", floats(images, random))


if __name__ == "__main__":
    main()
