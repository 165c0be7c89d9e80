#!/usr/bin/env python3
"""What `cords bench images` is compared with: training images by torchvision on PIL images, on one core.

    images.py FOLDER       answers lines on standard input with one line of JSON each

    make COUNT             write COUNT pictures of 500 x 375, quality 90, into FOLDER/train/made, smooth and rough as
                           photographs are
    load                   the training transform of every file of FOLDER/train, in order of their paths: processor time
    box T L H W            the first file: its box resized to 224 x 224, normalised; every 211th number

Run alone: printf 'make 8\\nload\\n' | images.py FOLDER
"""

import argparse
import json
import pathlib
import sys
import time

import numpy
import PIL
import torch
import torchvision
from PIL import Image, features
from torchvision import transforms
from torchvision.transforms import functional

SIDE, STEP = 224, 211
NORMALISE = [transforms.ToTensor(), transforms.Normalize((.485, .456, .406), (.229, .224, .225))]
TRAINING = transforms.Compose([transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip(),
                               transforms.RandAugment(2, 9, 31)] + NORMALISE)


def read(path):
    """As torchvision's loader of image folders."""
    with open(path, "rb") as file:
        return Image.open(file).convert("RGB")


def picture(number, rows=375, columns=500):
    """Noise whose amplitude falls with the frequency, as in photographs, with strong brightness and weak colours, and
    something with hard edges."""
    random = numpy.random.default_rng(number)
    frequency = numpy.hypot(numpy.fft.fftfreq(rows)[:, None], numpy.fft.fftfreq(columns)[None, :])
    falling = numpy.maximum(frequency, 1 / columns) ** -(1.1 + .1 * (number % 5))
    noise = numpy.fft.fft2(random.normal(size=(3, rows, columns))) * falling
    layers = numpy.real(numpy.fft.ifft2(noise))
    layers /= layers.std(axis=(1, 2), keepdims=True)
    colours = numpy.einsum("lrc,lk->rck", layers, [[48, 46, 44], [12, 0, -12], [4, -8, 4]]) + 118
    top, left = random.integers(0, rows - 120), random.integers(0, columns - 160)
    colours[top:top + 120, left:left + 160] *= .5
    return Image.fromarray(colours.clip(0, 255).astype(numpy.uint8))


def make(folder, count):
    (folder / "train" / "made").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(number).save(folder / "train" / "made" / f"{number:04}.jpg", quality=90)


def files(folder):
    return sorted(path for path in (folder / "train").rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))


def load(folder):
    torch.manual_seed(1)
    for path in files(folder):
        TRAINING(read(path))


def box(folder, sides):
    image = functional.resized_crop(read(files(folder)[0]), *sides, [SIDE, SIDE])
    return transforms.Compose(NORMALISE)(image).permute(1, 2, 0).flatten()[::STEP].tolist()


def versions():
    turbo = features.version_feature("libjpeg_turbo")
    return f"Pillow {PIL.__version__} (libjpeg-turbo {turbo}), torchvision {torchvision.__version__.split('a')[0]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for line in sys.stdin:
        name, *numbers = line.split()
        answer = {}
        start = time.process_time()
        if name == "make":
            make(arguments.folder, int(numbers[0]))
        elif name == "load":
            load(arguments.folder)
        else:
            answer["logits"] = box(arguments.folder, [int(number) for number in numbers])
        answer["seconds"] = time.process_time() - start
        print(json.dumps({**answer, "versions": versions()}), flush=True)


if __name__ == "__main__":
    main()
