"""The committed numbers of tests/augmentation are what the torchvision of this machine makes, and our operations agree
with it on other images than those, of the size that ImageNet's have.  Left out where there is no torchvision."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CORDS_BUILD", SOURCE / "build"))
FOLDER = SOURCE / "tests" / "augmentation"


def arrays(path):
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = (item[()], dict(item.attrs))

    with h5py.File(path) as file:
        file.visititems(keep)
        made_with = file.attrs["made_with"]
    return found, made_with


@unittest.skipUnless(importlib.util.find_spec("torchvision"), "no torchvision on this machine")
class Numbers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def make(self, *words):
        path = pathlib.Path(self.folder.name) / "numbers.h5"
        subprocess.run([sys.executable, FOLDER / "make.py", path, *words], check=True)
        return path

    def test_the_same_numbers(self):
        committed, made_with = arrays(FOLDER / "numbers.h5")
        again, here = arrays(self.make())
        self.assertEqual(set(committed), set(again))
        for name, (array, attributes) in committed.items():
            other, other_attributes = again[name]
            self.assertEqual(attributes, other_attributes, name)
            if array.dtype == numpy.uint8:
                close = numpy.abs(array.astype(int) - other.astype(int)).max() <= 1
            else:
                close = numpy.allclose(array, other, atol=1e-5)
            self.assertTrue(close, f"{name}: other numbers; {made_with} then, {here} now")

    def test_other_images(self):
        for seed, sides in ((2, 0), (3, 224)):
            path = self.make("--seed", str(seed), "--sides", str(sides))
            for test in ("test_operations", "test_resized_crop") + (("test_augment",) if sides == 0 else ()):
                done = subprocess.run([BUILD / "tests" / test], capture_output=True, text=True,
                                      env={**os.environ, "CORDS_AUGMENTATION_NUMBERS": str(path)})
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
