"""An R2 of the paper at 224 x 224, 401,408 neurons: from PyTorch and back, the same answers as PyTorch's, and its fixed
points.

test_full_size.py --stability also finds 20 eigenpairs of each area and of the whole at the spontaneous state and at one
image, and prints what that takes: minutes.  --weights FILE.pth takes another R2 than one of random weights."""

import argparse
import importlib.util
import pathlib
import resource
import sys
import time
import unittest

import h5py
import numpy

import commands  # tests/support
from torch_network import G, V

SIDE, CHANNELS, SIZE, CLASSES, NEURONS = 224, 64, 56, 10, 401408
PAIRS, MINUTES = 20, 60  # eigenpairs of each area; longest run of a command


def arguments():
    """The options are taken from the command line, the rest is unittest's."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--stability", action="store_true")
    parser.add_argument("--weights", type=pathlib.Path)
    known, sys.argv[1:] = parser.parse_known_args()
    return known


ARGUMENTS = arguments()


def random_state():
    """Weights of the sizes that training leaves: activity and stable fixed points, hard-edged spectra."""
    import torch
    random = torch.Generator().manual_seed(7)
    state = {}

    def uniform(*shape):
        return 2 * torch.rand(shape, generator=random) - 1

    def kernel(name, gain, *shape):
        state[name + G] = gain * (1 + 0.2 * uniform(shape[0], *(1 for _ in shape[1:])))
        state[name + V] = uniform(*shape)

    kernel("inp_conv", 1, CHANNELS, 1, 7, 7)
    kernel("inp_skip", 0.7, CHANNELS, CHANNELS, 3, 3)
    for i in range(2):
        kernel(f"area_area.{i}", 1, CHANNELS, CHANNELS, 3, 3)
        kernel(f"area_conv.{i}", 0.55, CHANNELS, CHANNELS, 3, 3)
        state[f"conv_bias.{i}"] = 0.1 * uniform(CHANNELS, SIZE, SIZE)
    kernel("out_fc", 1, CLASSES, CHANNELS)
    state["out_fc.bias"] = 0.1 * uniform(CLASSES)
    return state


def answer(state):
    """Logits that PyTorch computes in float32 after 100 steps without and 100 with the image of the self-check."""
    import torch
    from torch.nn import functional

    def weight(name):
        return torch._weight_norm(state[name + V], state[name + G], 0)

    def conv(name, x, stride=1):
        kernel = weight(name)
        return functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    y, x = numpy.ogrid[:SIDE, :SIDE]
    image = torch.from_numpy((((37 * y + 17 * x) % 256) / 64 - 2).astype("float32"))[None, None]
    inp = functional.avg_pool2d(conv("inp_conv", image, 2), 3, 2, padding=1)
    skip, first = conv("inp_skip", inp), conv("area_area.0", inp)
    r = [torch.zeros(1, CHANNELS, SIZE, SIZE) for _ in range(2)]
    with torch.no_grad():
        for t in range(200):
            z = [first if t >= 100 else 0, conv("area_area.1", torch.relu(r[0]) + (skip if t >= 100 else 0))]
            r = [0.8 * r[i] + 0.2 * torch.relu(conv(f"area_conv.{i}", r[i]) + state[f"conv_bias.{i}"] + z[i])
                 for i in range(2)]
        return functional.linear((r[0] + r[1]).mean(dim=(2, 3)), weight("out_fc"), state["out_fc.bias"])[0].numpy()


@unittest.skipUnless(importlib.util.find_spec("torch"), "python3-torch is not installed (workflows/packages.sh bench)")
class FullSize(commands.Test):
    @classmethod
    def setUpClass(cls):
        import torch
        super().setUpClass()
        cls.state = torch.load(ARGUMENTS.weights) if ARGUMENTS.weights else random_state()
        cls.torch, cls.model, cls.points = (cls.folder / name for name in ("r2.pth", "r2.h5", "points.h5"))
        torch.save(cls.state, cls.torch)
        cls.printed = cls.done("convert", cls.torch, cls.model, timeout=60 * MINUTES)
        cls.timed("fixed points", "analyse", "fixed_points", "-checkpoint", cls.model, "-dataset", "fashion_mnist",
                  "-data", commands.IMAGES, "-samples", "0:1", "-output", cls.points)

    @classmethod
    def timed(cls, what, *words):
        """Run a command and tell what it took."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        cls.done(*words, timeout=60 * MINUTES)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{what}: {time.monotonic() - start:.1f} s, {used:.1f} s of one processor")

    def test_back(self):
        import torch
        back = self.folder / "back.pth"
        self.assertIn("network: R2, recurrent form, 2 areas, images 224 x 224 x 1, 10 classes", self.printed)
        self.done("convert", self.model, back)
        loaded = torch.load(back)
        self.assertEqual(sorted(loaded), sorted(self.state))
        for name, tensor in self.state.items():
            self.assertTrue(torch.equal(loaded[name], tensor), name)

    def test_answer(self):
        expected = answer(self.state)
        with h5py.File(self.model) as file:
            difference = abs(file["self_check/logits"][...] - expected).max() / abs(expected).max()
        print(f"logits: off by {difference:.1e} of the largest")
        self.assertLess(difference, 1e-5)

    def test_fixed_points(self):
        with h5py.File(self.points) as file:
            self.assertEqual(file["fixed_points/state"].shape, (2, NEURONS))
            self.assertEqual(list(file["fixed_points/image"]), [-1, 0])
            self.assertLess(file["fixed_points/residual_norm_rel"][...].max(), 1e-10)
            self.assertGreater(abs(file["fixed_points/state"][...]).max(axis=1).min(), 1e-3)

    @unittest.skipUnless(ARGUMENTS.stability, "takes minutes (--stability)")
    def test_stability(self):
        out = self.folder / "stability.h5"
        self.timed("stability", "analyse", "stability", "-checkpoint", self.model, "-fixed_points", self.points,
                   "-output", out)
        with h5py.File(out) as file:
            areas, points = file["spectrum/area"][...], file["spectrum/point"][...]
            for point in range(2):
                for area in (-1, 0, 1):
                    self.assertEqual(((areas == area) & (points == point)).sum(), PAIRS)
            residual = file["spectrum/residual_norm_rel"][...].max()
            difference = file["stability/block_whole_difference"][...].max()
        print(f"eigenpairs: residual at most {residual:.1e}, areas and whole differ by {difference:.1e}")
        self.assertLess(residual, 1e-8)
        self.assertLess(difference, 1e-8)


if __name__ == "__main__":
    unittest.main()
