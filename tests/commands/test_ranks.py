"""The same commands on 1, 2 and 4 ranks, which deal images to each other or share them: the same numbers."""

import csv
import unittest

import h5py
import numpy

import commands  # tests/support

RANKS = (1, 2, 4)
# one rank; two that share images; two groups of two, side by side; all four share
CUTS = ((1, ()), (2, ("-domain_ranks", 2)), (4, ("-domain_grid", "1x2")), (4, ("-domain_ranks", 4)))


class Ranks(commands.Test):
    # batches that no number of ranks divides, and a last one with fewer images than ranks
    configuration = commands.merged(commands.TRAINING, log={"interval": 1},
                                    **{stage: {"epochs": 1, "batch": 14, "samples": 101}
                                       for stage in commands.TRAINING["stages"]})

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for ranks in RANKS:
            cls.done(*cls.training(f"run-{ranks}"), ranks=ranks)
        cls.model = cls.folder / "run-1/model.h5"

    def on_images(self, *command):
        return [*command, "-checkpoint", self.model, "-dataset", "fashion_mnist", "-data", commands.IMAGES]

    def results(self, name, words, ways=tuple((ranks, ()) for ranks in RANKS)):
        """Open result files of the same command on all numbers of ranks, or in all ways to share images."""
        files = []
        for way, (ranks, options) in enumerate(ways):
            path = self.folder / f"{name}-{way}.h5"
            self.done(*words, *options, "-output", path, ranks=ranks)
            files.append(h5py.File(path))
            self.addCleanup(files[-1].close)
            self.assertEqual(int(files[-1]["run"].attrs["ranks"]), ranks)
        return files

    def assert_close(self, one, other, tolerance, what):
        """Within a tolerance relative to the largest number."""
        self.assertEqual(one.shape, other.shape, what)
        self.assertGreater(one.size, 0, what)
        self.assertLessEqual(numpy.abs(one - other).max(), tolerance * max(numpy.abs(one).max(), 1e-300), what)

    def test_losses(self):
        logs = []
        for ranks in RANKS:
            with open(self.folder / f"run-{ranks}/log.csv", encoding="ascii") as file:
                logs.append(list(csv.DictReader(file)))
        self.assertEqual(len(logs[0]), 3 * 8)
        for log in logs[1:]:
            self.assertEqual(len(log), len(logs[0]))
            for row, expected in zip(log, logs[0]):
                self.assertEqual((row["stage"], row["update"]), (expected["stage"], expected["update"]))
                for column in ("loss", "loss_5", "error", "spontaneous", "accuracy"):
                    if expected[column]:
                        value = float(expected[column])
                        self.assertLessEqual(abs(float(row[column]) - value), 1e-5 * abs(value), (column, expected))

    def test_evaluate(self):
        one, *others = self.results("evaluate", [*self.on_images("evaluate"), "-images", 203])
        for other in others:
            for name in ("predicted", "label", "confusion"):
                numpy.testing.assert_array_equal(other[f"evaluation/{name}"], one[f"evaluation/{name}"])
            correct = [file["evaluation/accuracy"][()] * 203 for file in (one, other)]
            numpy.testing.assert_array_equal(*numpy.round(correct))
            self.assert_close(*correct, 1e-14, "accuracy: sums of shares, in another order")
            self.assert_close(one["evaluation/loss"][()], other["evaluation/loss"][()], 1e-9, "loss")

    def test_simulate(self):
        one, *others = self.results("simulate", [*self.on_images("simulate"), "-samples", "3:8"])
        for other in others:
            self.assertEqual(other["activity/image"][()].tolist(), [3, 4, 5, 6, 7])
            for name in one["activity"]:
                self.assert_close(one["activity"][name][()], other["activity"][name][()], 1e-9, name)

    def test_fixed_points_and_stability(self):
        points = self.results("points", [*self.on_images("analyse", "fixed_points"), "-samples", "3:8"])
        for other in points[1:]:
            self.assertEqual(other["fixed_points/image"][()].tolist(), [-1, 3, 4, 5, 6, 7])
            for name in ("state", "input", "mean", "active_fraction"):
                self.assert_close(points[0]["fixed_points"][name][()], other["fixed_points"][name][()], 1e-9, name)
            numpy.testing.assert_array_equal(other["fixed_points/predicted"], points[0]["fixed_points/predicted"])
        one, *others = self.results("stability", ["analyse", "stability", "-checkpoint", self.model, "-fixed_points",
                                                  self.folder / "points-0.h5", "-stability_count", 8,
                                                  "-stability_dense"])
        for other in others:
            for name in ("area", "point"):
                numpy.testing.assert_array_equal(other["spectrum"][name], one["spectrum"][name])
            self.assert_close(one["spectrum/eigenvalue"][()], other["spectrum/eigenvalue"][()], 1e-8, "eigenvalue")
            for name in ("abscissa", "margin", "verdict", "slowest_time_constant_ms", "abscissa_whole"):
                self.assert_close(one["stability"][name][()], other["stability"][name][()], 1e-8, name)
            dense = [numpy.sort_complex(numpy.round(file["spectrum_dense/eigenvalue"][()], 7)) for file in (one, other)]
            self.assert_close(*dense, 1e-6, "dense")

    def test_analyses_of_shared_images(self):
        one, *others = self.results("cut-points", [*self.on_images("analyse", "fixed_points"), "-samples", "3:6"], CUTS)
        for other in others:
            self.assertEqual(sorted(other["fixed_points"]), sorted(one["fixed_points"]))
            for name in ("image", "label", "predicted", "input", "active_fraction"):
                numpy.testing.assert_array_equal(other["fixed_points"][name], one["fixed_points"][name], name)
            for name in ("state", "mean"):
                self.assert_close(one["fixed_points"][name][()], other["fixed_points"][name][()], 1e-10, name)
            self.assertLessEqual(other["fixed_points/residual_norm_rel"][()].max(), 1e-10)
        one, *others = self.results("cut-stability",
                                    ["analyse", "stability", "-checkpoint", self.model, "-fixed_points",
                                     self.folder / "cut-points-2.h5", "-stability_count", 8], CUTS)
        for other in others:
            for name in ("area", "point"):
                numpy.testing.assert_array_equal(other["spectrum"][name], one["spectrum"][name])
            self.assert_close(one["spectrum/eigenvalue"][()], other["spectrum/eigenvalue"][()], 1e-8, "eigenvalue")
            self.assertLessEqual(other["spectrum/residual_norm_rel"][()].max(), 1e-8)
            for name in ("abscissa", "margin", "verdict", "converged_pairs", "abscissa_whole"):
                self.assert_close(one["stability"][name][()], other["stability"][name][()], 1e-8, name)

    def test_simulate_shared_images(self):
        one, *others = self.results("cut-simulate", [*self.on_images("simulate"), "-samples", "3:6"], CUTS)
        for other in others:
            for name in ("image", "label", "time_ms", "phase"):
                numpy.testing.assert_array_equal(one["activity"][name], other["activity"][name], name)
            for name, tolerance in (("mean", 1e-6), ("norm", 1e-6), ("logits", 1e-6), ("distance", 1e-5),
                                    ("active_fraction", 0.03)):  # one neuron may be on the edge
                self.assert_close(one["activity"][name][()], other["activity"][name][()], tolerance, name)

    def test_equilibrium_of_shared_images(self):
        logs = []
        alone = {key: value for key, value in self.configuration.items() if key not in ("compatibility", "inverse")}
        config = self.write_config("equilibrium.yaml", {**alone, "stages": ["finetune"], "gradient": "equilibrium"})
        for way, (ranks, options) in enumerate(CUTS):
            # asked for much, since the ways round differently and so end at different steps of the solvers
            told = self.done(*self.training(f"equilibrium-{way}", config=config), "-equilibrium_tolerance", 1e-6,
                             "-equilibrium_adjoint_tolerance", 1e-5, *options, ranks=ranks)
            self.assertEqual("not predicted: the solvers" in told, ranks > 1, told)
            with open(self.folder / f"equilibrium-{way}/log.csv", encoding="ascii") as file:
                logs.append(list(csv.DictReader(file)))
        self.assertEqual([len(log) for log in logs], [8] * len(CUTS))
        for log in logs[1:]:
            for row, expected in zip(log, logs[0]):
                for column, tolerance in (("loss", 1e-5), ("transient", 1e-4), ("accuracy", 1e-6)):
                    value = float(expected[column])
                    self.assertLessEqual(abs(float(row[column]) - value), tolerance * abs(value), (column, expected))

    def test_whole_spectra_of_shared_images(self):
        points = self.folder / "dense-points.h5"
        self.done(*self.on_images("analyse", "fixed_points"), "-samples", "3:4", "-output", points)
        self.assert_mistake(["analyse", "stability", "-checkpoint", self.model, "-fixed_points", points, "-domain_ranks",
                             2, "-stability_dense", "-output", self.folder / "dense.h5"], "-stability_dense", ranks=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
