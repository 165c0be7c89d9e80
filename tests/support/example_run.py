"""Result files of a run as cords writes them, made up: for tests of what reads them."""

import hashlib
import pathlib

import h5py
import numpy

STAGES = ("compatibility", "inverse", "linear", "parametric", "finetune")
COLUMNS = (["stage", "epoch", "update", "samples", "learning_rate", "gradient_norm", "loss", "accuracy"]
           + [f"loss_{i}" for i in range(6)] + [f"accuracy_{i}" for i in range(6)] + ["spontaneous", "error", "spectral"])
TOLERANCE = 1e-10
CLASSES = 10


class Writer:
    """A result file as cords writes it."""

    def __init__(self, folder, name, command, options="", inputs=()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = h5py.File(path, "w")
        run = self.file.create_group("run")
        run.attrs.update(command=command, options=options, version="0.1.0", commit="0123abc", compiler="GNU 12.2.0",
                         build_type="Release", libraries="PETSc 3.18.5\nSLEPc 3.18.2\nHDF5 1.10.8", ranks=1, threads=2,
                         host="node1", date="2024-05-06T07:08:09Z", seed=42)
        for number, source in enumerate(inputs):
            digest = hashlib.sha256((folder / source).read_bytes()).hexdigest()
            run.attrs[f"input_{number}"] = f"sha256:{digest} {folder.name}/{source}"

    def array(self, name, values, axes, unit, meaning):
        data = self.file.create_dataset(name, data=values)
        data.attrs.update(axes=axes, unit=unit, meaning=meaning)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


class Example:
    """A small made-up run."""

    def __init__(self, folder, images=6, tests=200, areas=4, per_area=8, dense=0, options=""):
        self.folder = pathlib.Path(folder)
        self.random = numpy.random.default_rng(1)
        self.images, self.tests, self.areas, self.per_area, self.dense = images, tests, areas, per_area, dense
        self.options = options
        self.channels = [16 * 2 ** (i // 2) for i in range(areas)]
        self.sides = [14 if i < 2 else 7 for i in range(areas)]
        self.neurons = numpy.array([c * s * s for c, s in zip(self.channels, self.sides)])
        self.log()
        self.models()
        self.evaluations()
        self.activity()
        self.fixed_points()
        self.stability()
        self.bench()
        self.sweep()

    def sweep(self):
        """Two data sets, two networks, three seeds; one of them was not run."""
        recurrent = self.random.normal(0.9, 0.005, (2, 2, 3))
        recurrent[1, 0, 2] = numpy.nan
        axes = "data,network,seed"
        with Writer(self.folder, "accuracy.h5", "accuracy.py gather") as out:
            out.array("accuracy/data", numpy.array(["Fashion-MNIST", "MNIST-8000"], "S"), "data", "1", "name of the data set")
            out.array("accuracy/network", numpy.array(["R2-like", "R4-like"], "S"), "network", "1", "name of the network")
            out.array("accuracy/seed", numpy.arange(1, 4), "seed", "1", "key of the training's random numbers")
            out.array("accuracy/images", numpy.array([10000, 2000]), "data", "1", "number of images that were classified")
            out.array("accuracy/recurrent", recurrent, axes, "1", "fraction classified correctly by the recurrent network")
            out.array("accuracy/cnn", recurrent + 0.004, axes, "1", "fraction classified correctly by the CNN")

    def bench(self):
        kinds = (("rollout f32 R8 trial", 1, 3e12), ("conv bf16 7x7 512 to 512, 3x3, 1 image step", 3, 1e9),
                 ("conv f32 56x56 64 to 128, 3x3 stride 2, 8 images backward_weights", 1, 1e9),
                 ("jacobian f64 R8 transposed", 2, 3e9), ("checkpoint R8 parameters", 5, 5e7), ("loader images", 0, 64))
        growth = [(f"growth {work}, {axis} {value}", 1, 1e9 * factor * value)
                  for work, factor in (("trial", 1), ("training step", 6))
                  for axis, values in (("side", (112, 224, 448)), ("steps", (5, 10, 20, 40)), ("batch", (1, 2, 4, 8)),
                                       ("areas", (2, 4, 6, 8)), ("channels", (32, 64, 128))) for value in values]
        for name, rows in (("bench.h5", kinds), ("bench_growth.h5", growth)):
            names = numpy.zeros((len(rows), 104), "u1")
            for row, (text, _, _) in enumerate(rows):
                names[row, :len(text)] = list(text.encode())
            limit, amount = (numpy.array([row[k] for row in rows]) for k in (1, 2))
            value = [float(text.split()[-1]) if "growth" in text else 0.0 for text, _, _ in rows]
            with Writer(self.folder, name, "bench") as out:
                out.array("bench/benchmark", names, "case,character", "1", "what was measured, as text")
                out.array("bench/limit", limit, "case", "1", "what the ratio refers to")
                for array, values, unit in (
                        ("amount", amount, "1"), ("median", amount / 2e11, "s"), ("spread", 0.02 + 0 * amount, "1"),
                        ("ratio", 0.85 * (limit > 0), "1"), ("gemm_ratio", 1.2 * ((limit == 1) | (limit == 2)), "1"),
                        ("value", value, "1"), ("peak_memory", 1e8 + amount / 50, "B"),
                        ("planned_memory", 1e8 + amount / 52, "B"), ("memory_ratio", 0 * amount, "1")):
                    out.array(f"bench/{array}", numpy.asarray(values, dtype=float), "case", unit, f"{array} of a case")

    def log(self):
        (self.folder / "train").mkdir(parents=True, exist_ok=True)
        with open(self.folder / "train/log.csv", "w") as stream:
            stream.write(",".join(COLUMNS) + "\n")
            for stage in STAGES:
                for row in range(30):
                    done = (row + 1) / 30
                    cells = dict(stage=stage, epoch=row // 10, update=50 * (row + 1), samples=6400 * (row + 1),
                                 learning_rate=1e-3 * (1 - done / 2), gradient_norm=0.5,
                                 loss=2.3 - 1.8 * done + 0.1 * self.random.random())
                    if stage == "inverse":
                        cells.update(loss=0.5 * 10 ** (-2 * done), error=0.3 * 10 ** (-2 * done), spectral=0.02 * (1 - done) + 1e-3)
                    else:
                        cells["accuracy"] = 0.1 + 0.75 * done ** 0.4
                    if stage in ("linear", "parametric", "finetune"):
                        cells.update({f"loss_{i}": cells["loss"] * (1.3 - 0.05 * i) for i in range(6)},
                                     **{f"accuracy_{i}": cells["accuracy"] * (0.85 + 0.03 * i) for i in range(6)})
                    if stage in ("parametric", "finetune"):
                        cells["spontaneous"] = 1e-3 * 10 ** (-done)
                    stream.write(",".join(str(cells.get(name, "")) for name in COLUMNS) + "\n")

    def models(self):
        for name in ("model", "cnn"):
            with Writer(self.folder, f"train/{name}.h5", "train", "-dataset fashion_mnist " + self.options) as out:
                group = out.file.create_group("parameters")
                group.attrs.update(form=name, architecture="classes: 10\narchitecture:\n  preset: custom\n"
                                   f"  channels: {self.channels}\n  phi: relu\n  time_step: 2\n")
                for i, channels in enumerate(self.channels):
                    out.array(f"parameters/area_conv.{i}.parametrizations.weight.original1",
                              self.random.normal(size=(channels, channels, 3, 3)).astype("f4"),
                              "out,in,row,column", "1", f"direction of the recurrent kernels of area {i}")

    def evaluations(self):
        label = self.random.integers(CLASSES, size=self.tests)
        for name, steps, right in (("evaluation", 20, 0.87), ("evaluation_cnn", 1, 0.89)):
            wrong = self.random.integers(CLASSES, size=self.tests)
            predicted = numpy.where(self.random.random(self.tests) < right, label, wrong)
            confusion = numpy.zeros((CLASSES, CLASSES), "i8")
            numpy.add.at(confusion, (label, predicted), 1)
            last = (predicted == label).mean()
            ramp = 1 - numpy.exp(-numpy.arange(1, steps + 1) / 3) if steps > 1 else numpy.ones(1)
            with Writer(self.folder, f"{name}.h5", "evaluate", "-dataset fashion_mnist " + self.options, ["train/model.h5"]) as out:
                accuracy = 0.1 + (last - 0.1) * ramp
                accuracy[-1] = last
                out.array("evaluation/accuracy", accuracy, "step", "1", "fraction of the images classified correctly")
                out.array("evaluation/loss", 2.3 - 1.9 * ramp, "step", "nat", "mean cross-entropy")
                out.array("evaluation/predicted", predicted, "image", "1", "class with the largest logit at the last step")
                out.array("evaluation/label", label, "image", "1", "class of the image")
                out.array("evaluation/confusion", confusion, "label,predicted", "1", "number of images of a class that got an answer")

    def activity(self):
        steps, images, areas = 60, self.images, self.areas
        phase = numpy.repeat([0, 1, 2], steps // 3)
        time = 2.0 * numpy.arange(1, steps + 1)
        shape = numpy.where(phase == 1, 1.0, 0.4)
        for i in range(1, steps):
            shape[i] = 0.85 * shape[i - 1] + 0.15 * shape[i]
        mean = (shape[None, :, None] * (0.1 + 0.05 * numpy.arange(areas)) * self.random.uniform(0.8, 1.2, (images, 1, areas)))
        label = self.random.integers(CLASSES, size=images)
        logits = self.random.normal(size=(images, steps, CLASSES))
        logits[numpy.arange(images), :, label] += 6 * shape
        with Writer(self.folder, "activity.h5", "simulate", inputs=["train/model.h5"]) as out:
            out.array("activity/time_ms", time, "step", "ms", "time since the start of the trial")
            out.array("activity/phase", phase, "step", "1", "0 spontaneous, 1 stimulus, 2 return")
            out.array("activity/mean", mean, "image,step,area", "1", "mean activity of the neurons of an area")
            out.array("activity/norm", 40 * mean, "image,step,area", "1", "2-norm of the activity of an area")
            out.array("activity/active_fraction", numpy.clip(2 * mean, 0, 1), "image,step,area", "1", "fraction of the neurons of an area above zero")
            distance = (mean - mean[:, steps // 3 - 1, None]) ** 2
            out.array("activity/distance", distance, "image,step,area", "1", "squared distance from the spontaneous state")
            out.array("activity/logits", logits, "image,step,class", "1", "output of the read-out")
            out.array("activity/image", numpy.arange(images), "image", "1", "index in the dataset")
            out.array("activity/label", label, "image", "1", "class of the image")

    def area_table(self, out):
        out.array("areas/neurons", self.neurons, "area", "1", "number of neurons")
        out.array("areas/channels", self.channels, "area", "1", "number of channels")
        out.array("areas/rows", self.sides, "area", "1", "rows of a map")
        out.array("areas/columns", self.sides, "area", "1", "columns of a map")
        out.array("areas/tau_ms", numpy.full(self.areas, 10.0), "area", "ms", "time constant of a neuron")

    def fixed_points(self):
        points = self.images + 1
        r = self.random
        with Writer(self.folder, "fixed_points.h5", "analyse fixed_points", f"-samples 0:{self.images}", ["train/model.h5"]) as out:
            out.array("fixed_points/state", numpy.maximum(r.normal(size=(points, self.neurons.sum())), 0), "point,neuron", "1", "activity, the areas one after the other")
            out.array("fixed_points/input", r.normal(size=(points, 28, 28, 1)), "point,row,column,channel", "1", "the image as the network sees it, resized and normalised; zero for the spontaneous state")
            out.array("fixed_points/residual_norm_rel", 10 ** r.uniform(-15, -11, points), "point", "1", "|F| / max(|r|, |phi(u)|) over all neurons, recomputed outside the solver")
            out.array("fixed_points/newton_iterations", r.integers(3, 9, points), "point", "1", "Newton steps of all areas together")
            out.array("fixed_points/linear_iterations", r.integers(40, 160, points), "point", "1", "iterations of the linear solver")
            out.array("fixed_points/converged_reason", numpy.full(points, 3), "point", "1", "SNESConvergedReason: positive is converged")
            out.array("fixed_points/image", numpy.append(-1, numpy.arange(self.images)), "point", "1", "index in the dataset, -1 for the spontaneous state")
            out.array("fixed_points/label", numpy.append(-1, r.integers(CLASSES, size=self.images)), "point", "1", "class of the image, -1 for none")
            out.array("fixed_points/predicted", r.integers(CLASSES, size=points), "point", "1", "class with the largest logit")
            out.array("fixed_points/active_fraction", r.uniform(0.1, 0.5, (points, self.areas)), "point,area", "1", "part of the neurons where the slope of phi is not zero (relu: those with u > 0)")
            out.array("fixed_points/mean", r.uniform(0.1, 0.3, (points, self.areas)), "point,area", "1", "mean activity")
            out.file["fixed_points"].attrs.update(tolerance=TOLERANCE, method="Newton-Krylov, block forward substitution")
            self.area_table(out)

    def stability(self):
        points = min(self.images + 1, 9)
        r, rows = self.random, []
        for point in range(points):
            for area in range(-1, self.areas):
                count = self.per_area
                real = -0.35 - 0.25 * r.random(count) + 0.03 * max(area, 0)
                rows += [(x + 1j * y, 10 ** r.uniform(-14, -9), area, point) for x, y in zip(real, r.normal(0, 0.1, count))]
        values, residual, area, point = (numpy.array(column) for column in zip(*rows))
        abscissa = numpy.array([[values[(area == a) & (point == p)].real.max() for a in range(self.areas)] for p in range(points)])
        whole = abscissa.max(axis=1)
        with Writer(self.folder, "stability.h5", "analyse stability", "-eps_nev 20", ["train/model.h5", "fixed_points.h5"]) as out:
            out.array("spectrum/eigenvalue", values, "pair", "1/tau", "eigenvalue of the Jacobian of the ODE")
            out.array("spectrum/residual_norm_rel", residual, "pair", "1", "residual, recomputed outside the solver")
            out.array("spectrum/area", area, "pair", "1", "area, -1 for the whole system")
            out.array("spectrum/point", point, "pair", "1", "row in the fixed-points file")
            out.array("stability/point", numpy.arange(points), "point", "1", "row in the fixed-points file")
            out.array("stability/image", numpy.arange(points) - 1, "point", "1", "index in the dataset, -1 for the spontaneous state")
            out.array("stability/abscissa", abscissa, "point,area", "1/tau", "largest real part of the area's spectrum")
            out.array("stability/abscissa_whole", whole, "point", "1/tau", "largest real part of the whole system's spectrum")
            out.array("stability/margin", -whole, "point", "1/tau", "distance of the spectrum from the imaginary axis")
            out.array("stability/verdict", numpy.ones(points, "i8"), "point", "1", "1 stable, -1 unstable, 0 undecided")
            out.array("stability/converged_pairs", numpy.full((points, self.areas), self.per_area), "point,area", "1", "eigenpairs within the tolerance")
            out.array("stability/block_whole_difference", 1e-11 * r.random(points), "point", "1/tau", "largest difference of block and whole-system eigenvalues")
            out.array("stability/slowest_time_constant_ms", -10 / abscissa, "point,area", "ms", "time in which the slowest perturbation falls to 1/e")
            for group in ("spectrum", "stability"):
                out.file[group].attrs.update(tolerance=1e-8, count=self.per_area)
            if self.dense:
                angle, radius = r.uniform(0, 2 * numpy.pi, self.dense), numpy.sqrt(r.random(self.dense))
                out.array("spectrum_dense/eigenvalue", -1 + 0.5 * radius * numpy.exp(1j * angle), "eigenvalue", "1/tau", "whole spectrum by a dense solver")
                out.array("spectrum_dense/area", numpy.full(self.dense, self.areas - 1), "eigenvalue", "1", "area")
                out.array("spectrum_dense/point", numpy.zeros(self.dense, "i8"), "eigenvalue", "1", "row in the fixed-points file")
            self.area_table(out)
