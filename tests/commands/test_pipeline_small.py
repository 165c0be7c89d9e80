"""train - evaluate - simulate - fixed points - stability on a tiny network: what the files say about themselves, and
the numbers against an implementation of the model in numpy that shares nothing with cords."""

import gzip
import re
import unittest

import h5py
import numpy
from scipy import signal

import commands  # tests/support

RUN = ("command", "options", "version", "commit", "compiler", "build_type", "libraries", "host", "date", "ranks",
       "threads", "seed", "input_0")


def text(value):
    return value.decode() if isinstance(value, bytes) else value


class Network:
    """SPEC section 1 in float64, arrays as [channel][row][column], from the parameters under their PyTorch names."""

    def __init__(self, parameters):
        self.parameters = {name: values.astype(float) for name, values in parameters.items()}

    def weight(self, name):
        """w = g v / |v|, the norm over all axes but the first."""
        g, v = (self.parameters[f"{name}.parametrizations.weight.original{k}"] for k in (0, 1))
        axes = tuple(range(1, v.ndim))
        return g * v / numpy.sqrt((v ** 2).sum(axis=axes, keepdims=True))

    def convolve(self, name, x, stride=1):
        """As PyTorch: cross-correlation, zeros around, half the kernel on each side."""
        w = self.weight(name)
        y = numpy.stack([sum(signal.correlate2d(x[i], w[o, i], mode="same") for i in range(len(x)))
                         for o in range(len(w))])
        return y[:, ::stride, ::stride]

    @staticmethod
    def pool(x):
        """Mean of 3 x 3, stride 2, zeros around counted."""
        ninth = numpy.full((3, 3), 1 / 9)
        return numpy.stack([signal.correlate2d(each, ninth, mode="same")[::2, ::2] for each in x])

    def synapses(self, i, r, image, strides):
        """What area i applies relu to."""
        inp = self.pool(self.convolve("inp_conv", image))
        rectified = [numpy.maximum(each, 0) for each in r]
        if i == 0:
            a = inp
        elif i == 1:
            a = rectified[0] + self.convolve("inp_skip", inp, strides[0])
        else:  # areas 0 and 1 differ in shape, so that there is a skip_area
            a = rectified[1] + self.convolve("skip_area.0", rectified[0], strides[1])
        return (self.convolve(f"area_conv.{i}", r[i]) + self.parameters[f"conv_bias.{i}"]
                + self.convolve(f"area_area.{i}", a, strides[i]))

    def logits(self, r):
        features = (numpy.maximum(r[-1], 0) + numpy.maximum(r[-2], 0)).mean(axis=(1, 2))
        return self.weight("out_fc") @ features + self.parameters["out_fc.bias"]

    def jacobian(self, i, u):
        """Diagonal block of area i of the ODE's Jacobian in units of 1/tau: -1 + D W, column by column."""
        shape = u.shape
        columns = []
        for k in range(u.size):
            unit = numpy.zeros(u.size)
            unit[k] = 1
            columns.append(self.convolve(f"area_conv.{i}", unit.reshape(shape)).ravel() * (u.ravel() > 0))
        return numpy.stack(columns, axis=1) - numpy.eye(u.size)


class Pipeline(commands.Test):
    shapes = [(2, 7, 7), (3, 4, 4), (3, 4, 4)]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.done(*cls.training("run"))
        cls.model = cls.folder / "run/model.h5"
        on_images = ["-checkpoint", cls.model, "-dataset", "fashion_mnist", "-data", commands.IMAGES]
        cls.files = {name: cls.folder / f"{name}.h5" for name in ("evaluate", "simulate", "points", "stability")}
        cls.done("evaluate", *on_images, "-images", 100, "-output", cls.files["evaluate"])
        cls.done("simulate", *on_images, "-samples", "0:3", "-output", cls.files["simulate"])
        cls.done("analyse", "fixed_points", *on_images, "-samples", "0:4", "-output", cls.files["points"])
        cls.done("analyse", "stability", "-checkpoint", cls.model, "-fixed_points", cls.files["points"],
                 "-stability_count", 10, "-output", cls.files["stability"])
        for name in ("model", "cnn", "checkpoint"):
            cls.files[name] = cls.folder / f"run/{name}.h5"
        cls.network = Network(commands.parameters(cls.model))

    def point(self, file, row):
        """State as one array [channel][row][column] per area, and the image, of a row of the fixed points."""
        areas, start = [], 0
        for channels, rows, columns in self.shapes:
            size = channels * rows * columns
            flat = file["fixed_points/state"][row, start:start + size]
            areas.append(flat.reshape(rows, columns, channels).transpose(2, 0, 1))
            start += size
        return areas, file["fixed_points/input"][row].astype(float).transpose(2, 0, 1)

    def test_every_array_describes_itself(self):
        for name, path in self.files.items():
            with self.subTest(name), h5py.File(path) as file:
                arrays = {}
                file.visititems(lambda key, thing: arrays.update({key: thing}) if isinstance(thing, h5py.Dataset)
                                else None)
                self.assertGreater(len(arrays), 4)
                for key, array in arrays.items():
                    axes, unit, meaning = (text(array.attrs[each]) for each in ("axes", "unit", "meaning"))
                    self.assertEqual(len(axes.split(",")), array.ndim, key)
                    self.assertTrue(all(axis.strip() for axis in axes.split(",")), key)
                    self.assertTrue(unit, key)
                    self.assertGreater(len(meaning), 5, key)

    def test_how_it_was_made(self):
        images = {split: [commands.IMAGES / f"{split}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
                  for split in ("train", "t10k")}
        shown = [self.model, *images["t10k"]]
        inputs = {"model": images["train"], "cnn": images["train"], "checkpoint": images["train"], "evaluate": shown,
                  "simulate": shown, "points": shown, "stability": [self.model, self.files["points"]]}
        for name, path in self.files.items():
            with self.subTest(name), h5py.File(path) as file:
                attributes = {key: text(value) for key, value in file["run"].attrs.items()}
                self.assertEqual(set(RUN) - set(attributes), set())
                self.assertRegex(attributes["date"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
                self.assertEqual(int(attributes["ranks"]), 1)
                self.assertEqual(int(attributes["threads"]), 1)
                self.assertIn("-output", attributes["options"])
                for library in ("PETSc", "SLEPc", "HDF5", "oneDNN", "Open MPI"):
                    self.assertIn(library, attributes["libraries"])
                found = [attributes[key] for key in sorted(attributes) if re.match(r"input_\d+$", key)]
                self.assertEqual(found, [f"sha256:{commands.digest(each)} {each}" for each in inputs[name]])

    def test_names_and_layouts_of_parameters(self):
        expected = {"conv_bias.0": (2, 7, 7), "conv_bias.1": (3, 4, 4), "conv_bias.2": (3, 4, 4), "out_fc.bias": (10,)}
        for name, shape in (("inp_conv", (2, 1, 3, 3)), ("inp_skip", (2, 2, 3, 3)), ("area_area.0", (2, 2, 3, 3)),
                            ("area_area.1", (3, 2, 3, 3)), ("area_area.2", (3, 3, 3, 3)), ("area_conv.0", (2, 2, 3, 3)),
                            ("area_conv.1", (3, 3, 3, 3)), ("area_conv.2", (3, 3, 3, 3)), ("skip_area.0", (3, 2, 1, 1)),
                            ("out_fc", (10, 3))):
            expected[f"{name}.parametrizations.weight.original0"] = shape[:1] + (1,) * (len(shape) - 1)
            expected[f"{name}.parametrizations.weight.original1"] = shape
        found = commands.parameters(self.model)
        self.assertEqual({name: values.shape for name, values in found.items()}, expected)
        self.assertEqual({values.dtype for values in found.values()}, {numpy.dtype("f4")})
        with h5py.File(self.model) as file:
            v = file["parameters/area_conv.0.parametrizations.weight.original1"]
            self.assertEqual(text(v.attrs["axes"]), "out,in,row,column")
            self.assertIn("channels: [2, 3, 3]", text(file["parameters"].attrs["architecture"]))

    def test_residuals(self):
        with h5py.File(self.files["points"]) as file:
            points = file["fixed_points"]
            self.assertEqual(points["image"][()].tolist(), [-1, 0, 1, 2, 3])
            self.assertTrue((points["converged_reason"][()] > 0).all())
            self.assertTrue((points["residual_norm_rel"][()] <= points.attrs["tolerance"]).all())
        with h5py.File(self.files["stability"]) as file:
            self.assertEqual(len(file["spectrum/eigenvalue"]), 5 * (3 + 1) * 10)
            self.assertLessEqual(file["spectrum/residual_norm_rel"][()].max(), file["spectrum"].attrs["tolerance"])
            self.assertLessEqual(file["stability/block_whole_difference"][()].max(), 1e-8)

    def test_fixed_points_by_numpy(self):
        strides = commands.ARCHITECTURE["strides"]
        with h5py.File(self.files["points"]) as file:
            for row in range(len(file["fixed_points/image"])):
                areas, image = self.point(file, row)
                self.assertEqual(not image.any(), row == 0)
                rates = [numpy.maximum(self.network.synapses(i, areas, image, strides), 0) for i in range(3)]
                squares = sum(((rate - area) ** 2).sum() for rate, area in zip(rates, areas))
                scale = max(numpy.sqrt(sum((area ** 2).sum() for area in areas)), 1e-300)
                self.assertGreater(scale, 1e-6, "a fixed point at zero would test nothing")
                self.assertLess(numpy.sqrt(squares) / scale, 1e-8)
                self.assertEqual(int(numpy.argmax(self.network.logits(areas))),
                                 int(file["fixed_points/predicted"][row]))
                for i, area in enumerate(areas):
                    self.assertAlmostEqual(area.mean(), file["fixed_points/mean"][row, i], delta=1e-12)

    def test_image_of_a_fixed_point(self):
        """14 x 14 from 28 x 28 with antialiasing: weights 1, 3, 3, 1 over 8 in each direction, edges cut and scaled;
        rounded to bytes."""
        pixels = numpy.frombuffer(gzip.decompress((commands.IMAGES / "t10k-images-idx3-ubyte.gz").read_bytes()),
                                  dtype=numpy.uint8, offset=16).reshape(-1, 28, 28)[2]
        resize = numpy.zeros((14, 28))
        for k in range(14):
            for j, weight in zip(range(2 * k - 1, 2 * k + 3), (1, 3, 3, 1)):
                if 0 <= j < 28:
                    resize[k, j] = weight
        resize /= resize.sum(axis=1, keepdims=True)
        with h5py.File(self.files["points"]) as file:
            found = (file["fixed_points/input"][3, :, :, 0] * .3530 + .2860) * 255
        self.assertLess(numpy.abs(found - numpy.round(found)).max(), 1e-4)
        self.assertLess(numpy.abs(numpy.round(found) - resize @ pixels @ resize.T).max(), .5 + 1e-4)

    def test_spectra_by_numpy(self):
        strides = commands.ARCHITECTURE["strides"]
        with h5py.File(self.files["points"]) as points, h5py.File(self.files["stability"]) as file:
            for row in (0, 2):
                areas, image = self.point(points, row)
                for i in range(3):
                    u = self.network.synapses(i, areas, image, strides)
                    dense = numpy.linalg.eigvals(self.network.jacobian(i, u)).real.max()
                    spectrum = file["spectrum"]
                    chosen = (spectrum["point"][()] == row) & (spectrum["area"][()] == i)
                    self.assertAlmostEqual(spectrum["eigenvalue"][chosen].real.max(), dense, delta=1e-8)
                    place = file["stability/point"][()].tolist().index(row)
                    self.assertAlmostEqual(file["stability/abscissa"][place, i], dense, delta=1e-8)
                    self.assertAlmostEqual(file["stability/slowest_time_constant_ms"][place, i], -10 / dense,
                                           delta=1e-6)

    def test_activity_by_numpy(self):
        """The whole trial of one image, step by step, all areas from the step before."""
        strides = commands.ARCHITECTURE["strides"]
        with h5py.File(self.files["points"]) as points:
            _, image = self.point(points, 2)
        state = [numpy.zeros(shape) for shape in self.shapes]
        with h5py.File(self.files["simulate"]) as file:
            activity = file["activity"]
            self.assertEqual(activity["phase"][()].tolist(), [0] * 6 + [1] * 8 + [2] * 6)
            numpy.testing.assert_allclose(activity["time_ms"], 2.0 * (numpy.arange(20) - 5), atol=1e-12)
            states, baseline = [], None
            for step in range(20):
                shown = image if activity["phase"][step] == 1 else numpy.zeros_like(image)
                state = [.8 * state[i] + .2 * numpy.maximum(self.network.synapses(i, state, shown, strides), 0)
                         for i in range(3)]
                numpy.testing.assert_allclose(activity["mean"][1, step], [each.mean() for each in state], rtol=1e-4)
                numpy.testing.assert_allclose(activity["logits"][1, step], self.network.logits(state), rtol=1e-4,
                                              atol=1e-5)
                states.append(state)
                baseline = state if step == 5 else baseline
            distances = [[((each - spontaneous) ** 2).mean() for each, spontaneous in zip(state, baseline)]
                         for state in states]
            self.assertGreater(min(distances[13]), 1e-4)
            numpy.testing.assert_allclose(activity["distance"][1], distances, rtol=1e-3, atol=1e-9)


if __name__ == "__main__":
    unittest.main(verbosity=2)
