"""The report from result files of exactly the documented form, and from a real run if CORDS_RUN names its folder."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser

import h5py
import numpy

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ANALYSIS = SOURCE / "analysis"
sys.path.insert(0, str(ANALYSIS))

import cords_results  # noqa: E402  (found by the line above)
import report  # noqa: E402
import summary  # noqa: E402
import tables  # noqa: E402

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


VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Reads a page; tells what is not closed, ids, references and all text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.references, self.tags, self.text, self.trouble = [], [], [], set(), "", []
        self.feed(text)
        self.close()
        self.trouble += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.references.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.trouble.append(f"</{tag}> closes something else")

    def handle_data(self, data):
        self.text += data


def run_report(*arguments):
    return subprocess.run([sys.executable, str(ANALYSIS / "report.py"), *map(str, arguments)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)


def change(path, array, values):
    """Other numbers in an array that is there."""
    with h5py.File(path, "r+") as file:
        file[array][...] = values


def words(folder):
    """The summary as one text."""
    with cords_results.Run(folder) as run:
        told = summary.summary(run)
    return " ".join(told["warnings"] + told["sentences"] + [f"{a} {b}" for a, b in told["tiles"]])


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.scratch = pathlib.Path(cls.temporary.name)
        cls.example = Example(cls.scratch / "run")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def copy(self):
        """A copy of the example, to be changed."""
        folder = self.scratch / self._testMethodName / "run"
        shutil.copytree(self.example.folder, folder)
        return folder

    def check_page(self, folder, out):
        """What holds for the report of any run."""
        text = (out / "report.html").read_text()
        page = Page(text)
        self.assertEqual(page.trouble, [])
        self.assertEqual(len(page.ids), len(set(page.ids)), "an id stands twice")
        self.assertNotIn("script", page.tags)
        for reference in page.references:
            self.assertRegex(reference, r"^(#|data:)", "the page is not self-contained")
            if reference.startswith("#"):
                self.assertIn(reference[1:], page.ids)
        for needed in ("width=device-width", "prefers-color-scheme: dark", "@media print", "overflow-x: auto"):
            self.assertIn(needed, text)
        run = cords_results.Run(folder)
        for name in run.files():
            self.assertIn(run.digest(name), page.text)
            for array_name in run.file(name).names() if not name.endswith("checkpoint.h5") else ():
                array = run.file(name)[array_name]
                self.assertTrue(array.unit and array.meaning, f"{name}: {array_name} lacks unit or meaning")
                for part in (array_name, array.meaning):
                    self.assertIn(part, page.text)
        self.assertEqual([path.name for path in out.rglob("*.part")], [])
        return page


class Whole(Base):
    def test_report_of_a_complete_run(self):
        out = self.scratch / "out"
        done = run_report(self.example.folder, "-o", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        page = self.check_page(self.example.folder, out)
        names = {path.stem for path in (ANALYSIS / "figures").glob("*.py")}
        self.assertGreaterEqual(len(names), 8)
        for name in names:
            self.assertIn(name, page.ids)
            self.assertTrue((out / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG"))
            self.assertIn(b"</svg>", (out / "figures" / f"{name}.svg").read_bytes())
        self.assertNotIn("Not shown", page.text)
        for value in (TOLERANCE, "fashion_mnist", "-eps_nev 20", "0123abc", "PETSc 3.18.5", "is the file of this run"):
            self.assertIn(tables.number(value, 1) if isinstance(value, float) else value, page.text)
        # the same files give the same page
        again = self.scratch / "again"
        self.assertEqual(run_report(self.example.folder, "-o", again).returncode, 0)
        for path in out.rglob("*.*"):
            self.assertEqual(path.read_bytes(), (again / path.relative_to(out)).read_bytes(), path.name)

    def test_training_only(self):
        folder = self.scratch / "training_only"
        shutil.copytree(self.example.folder / "train", folder / "train")
        out = self.scratch / "training_out"
        self.assertEqual(run_report(folder, "-o", out).returncode, 0)
        page = self.check_page(folder, out)
        self.assertIn("Not shown", page.text)
        for sentence in ("was not evaluated", "No fixed points were computed", "stability of the fixed points was not computed",
                         "4 areas with 16, 16, 32, 32 channels"):
            self.assertIn(sentence, page.text)
        self.assertEqual({path.stem for path in (out / "figures").iterdir()}, {"training", "return_to_baseline"})

    def test_run_of_the_environment(self):
        folder = os.environ.get("CORDS_RUN")
        if not folder:
            self.skipTest("CORDS_RUN names no folder of a run")
        out = self.scratch / "environment"
        done = run_report(folder, "-o", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("Not shown: " + str(folder), self.check_page(folder, out).text)


class Summary(Base):
    def test_numbers_come_from_the_files(self):
        told = words(self.example.folder)
        run = cords_results.Run(self.example.folder)
        accuracy = 100 * run.file("evaluation.h5")["evaluation/accuracy"].values[-1]
        cnn = 100 * run.file("evaluation_cnn.h5")["evaluation/accuracy"].values[-1]
        self.assertIn(f"{accuracy:.2f} % of 200 test images", told)
        self.assertIn(f"{abs(accuracy - cnn):.2f} points {'above' if accuracy > cnn else 'below'} the CNN", told)
        self.assertIn("4 areas and 9,408 neurons", told)
        self.assertIn("7 of 7 fixed points (6 images, the spontaneous state) reached", told)
        self.assertIn("7 stable, 0 unstable, 0 undecided", told)
        self.assertIn("280 eigenpairs were computed, all of them within the asked relative residual of 1\u202f×\u202f10⁻⁸", told)
        self.assertIn("8 of 8 asked for converged", told)
        slow = run.file("stability.h5")["stability/slowest_time_constant_ms"].values
        self.assertIn(f"{tables.number(slow[1:].max(), 3)}\u00a0ms with an image", told)
        self.assertIn(f"{tables.number(slow[0].max(), 3)}\u00a0ms in the spontaneous state", told)
        self.assertNotIn("quick", told)

    def test_not_converged_is_said(self):
        folder = self.copy()
        with cords_results.Run(folder) as run:
            residual = run.file("fixed_points.h5")["fixed_points/residual_norm_rel"].values.copy()
        residual[3] = 2e-3
        change(folder / "fixed_points.h5", "fixed_points/residual_norm_rel", residual)
        told = words(folder)
        self.assertIn("6 of 7 fixed points", told)
        self.assertIn("(rows 3)", told)
        self.assertIn("not to be trusted", told)
        self.assertIn("the worst is 0.002", told)
        residual[3] = numpy.nan
        change(folder / "fixed_points.h5", "fixed_points/residual_norm_rel", residual)
        self.assertIn("6 of 7 fixed points", words(folder))

    def test_verdicts_and_missing_time_constants(self):
        folder = self.copy()
        change(folder / "stability.h5", "stability/verdict", [1, -1, 0, 1, 1, 1, 1])
        slow = 1000.0 * numpy.arange(1, 8)[:, None] * numpy.ones(4)
        slow[3:] = 50
        change(folder / "stability.h5", "stability/slowest_time_constant_ms", slow)
        told = words(folder)
        self.assertIn("5 stable, 1 unstable, 1 undecided", told)
        self.assertIn("5 / 7 fixed points stable (1 unstable, 1 undecided)", told)
        self.assertIn("at stable fixed points are 50\u00a0ms with an image", told)  # not 2 or 3 s of the others
        change(folder / "stability.h5", "stability/slowest_time_constant_ms", numpy.nan)
        told = words(folder)
        self.assertIn("No time constant can be told", told)

    def test_made_from_an_older_file_is_said(self):
        folder = self.copy()
        self.assertNotIn("another version", words(folder))
        change(folder / "fixed_points.h5", "fixed_points/label", 5)
        self.assertIn("stability.h5 was made from another version of fixed_points.h5", words(folder))

    def test_quick_is_said_first(self):
        for options in ("-config workflows/config/train_demo_quick.yaml", "-quick"):
            folder = self.scratch / options[-5:] / "run"
            Example(folder, options=options)
            self.assertTrue(summary.summary(cords_results.Run(folder))["warnings"][0].startswith("This is the quick variant"))
        folder = self.scratch / "demo_quick"
        shutil.copytree(self.example.folder, folder)
        self.assertIn("This is the quick variant", words(folder))


class Figures(Base):
    def draw(self, folder, only=None):
        """Every figure as SVG text, {name: text}; the page's width only."""
        target = self.scratch / self._testMethodName
        target.mkdir(exist_ok=True)
        drawn = {}
        with cords_results.Run(folder) as run:
            for name, module in report.find_figures():
                if only is None or name in only:
                    entry = report.draw(name, module, run, target)
                    self.assertEqual(entry["failed"], "", name)
                    drawn[name] = entry.get("wide", "") or entry["missing"]
        return drawn

    def test_words_come_from_the_file(self):
        folder = self.copy()
        with h5py.File(folder / "stability.h5", "r+") as file:
            file["stability/slowest_time_constant_ms"].attrs.update(unit="fortnight", meaning="patience of <an> $area$")
            file["spectrum/eigenvalue"].attrs["unit"] = "1/aeon"
        with h5py.File(folder / "activity.h5", "r+") as file:
            file["activity/time_ms"].attrs["unit"] = "blink"
        drawn = self.draw(folder, {"time_constants", "spectra", "activity"})
        self.assertIn("patience of &lt;an&gt; $area$ (fortnight)", drawn["time_constants"])
        self.assertIn("(1/aeon)", drawn["spectra"])
        self.assertIn("(blink)", drawn["activity"])

    def test_axes_come_from_the_file(self):
        folder = self.copy()
        before = self.draw(folder, {"activity"})["activity"]
        with h5py.File(folder / "activity.h5", "r+") as file:
            for name in ("mean", "norm", "active_fraction"):
                array = file[f"activity/{name}"]
                attributes, values = dict(array.attrs), array[...].transpose(2, 0, 1)
                del file[f"activity/{name}"]
                array = file.create_dataset(f"activity/{name}", data=values)
                array.attrs.update(attributes, axes="area,image,step")
        self.assertEqual(before, self.draw(folder, {"activity"})["activity"])

    def test_return_to_baseline(self):
        """From training through time, from trials, from both; from neither there is nothing to draw."""
        name = "return_to_baseline"
        folder = self.copy()
        both = self.draw(folder, {name})[name]
        for words in ("5 fine-tune", "trained network, S = ", "area 3"):
            self.assertIn(words, both)
        log = folder / "train" / "log.csv"
        rows = [row.split(",") for row in log.read_text().splitlines()]
        place = rows[0].index("spontaneous")
        log.write_text("".join(",".join(row[:place] + ([""] if number else row[place:place + 1]) + row[place + 1:]) + "\n"
                               for number, row in enumerate(rows)))
        trials = self.draw(folder, {name})[name]
        self.assertNotIn("5 fine-tune", trials)
        self.assertIn("trained network, S = ", trials)
        with h5py.File(folder / "activity.h5", "r+") as file:
            del file["activity/distance"]
        self.assertIn("neither trials with a return phase", self.draw(folder, {name})[name])

    def test_bench(self):
        folder = self.copy()
        drawn = self.draw(folder, {"bench", "cost_growth"})
        for words in ("rollout f32 R8 trial", "checkpoint R8 parameters", "share of the limit",
                      "7x7 512 to 512, 3x3, 1 image", "56x56 64 to 128, 3x3 stride 2, 8 images", "back to the weights"):
            self.assertIn(words, drawn["bench"])
        self.assertNotIn("loader", drawn["bench"])  # has no limit
        for words in ("side of the image (pixels)", "448", "steps per phase", "planned memory", "in proportion to operations"):
            self.assertIn(words, drawn["cost_growth"])
        change(folder / "bench.h5", "bench/limit", 0)
        change(folder / "bench_growth.h5", "bench/benchmark", 0)
        drawn = self.draw(folder, {"bench", "cost_growth"})
        self.assertIn("no case in it has a limit", drawn["bench"])
        self.assertIn("no case of cords bench growth", drawn["cost_growth"])
        (folder / "bench.h5").unlink()
        (folder / "bench_growth.h5").unlink()
        drawn = self.draw(folder, {"bench", "cost_growth"})
        for name, command in (("bench", "bench"), ("cost_growth", "bench growth")):
            self.assertIn(f"The machine was not measured (cords {command} -output", drawn[name])

    def test_other_shapes(self):
        for number, shape in enumerate((dict(areas=2, images=1, tests=3, per_area=1), dict(areas=8, images=3, dense=50))):
            folder = self.scratch / f"shape{number}" / "run"
            Example(folder, **shape)
            for name, text in self.draw(folder).items():
                self.assertIn("</svg>", text, name)

    def test_a_file_is_all_a_figure_needs_and_its_mistake_is_told(self):
        folder = self.scratch / "figures"
        folder.mkdir()
        (folder / "mine.py").write_text('"""Mine\n\nText."""\nORDER = 1\n\n\ndef figure(run):\n    return 1 / 0\n')
        (name, module), = report.find_figures(folder)
        stderr, sys.stderr = sys.stderr, open(os.devnull, "w")
        try:
            entry = report.draw(name, module, cords_results.Run(self.example.folder), folder)
        finally:
            sys.stderr.close()
            sys.stderr = stderr
        self.assertEqual((entry["title"], entry["text"]), ("Mine", "Text."))
        self.assertIn("ZeroDivisionError", entry["failed"])


class Files(Base):
    def test_complex_numbers_and_attributes_however_stored(self):
        path = self.scratch / "kinds.h5"
        values = numpy.array([(1.0, 2.0), (3.0, -4.0)], dtype=[("r", "f4"), ("i", "f4")])
        with h5py.File(path, "w") as file:
            data = file.create_dataset("group/pair", data=values)
            data.attrs.update(axes=numpy.bytes_("pair"), unit=b"1/tau", meaning="eigenvalue")
            file.create_group("run").attrs.update(seed=numpy.int64(3), options=numpy.bytes_("-a 1"))
        file = cords_results.ResultFile(path)
        self.assertTrue(numpy.array_equal(file["group/pair"].values, [1 + 2j, 3 - 4j]))
        self.assertEqual((file["/group/pair"].axes, file["group/pair"].unit), (("pair",), "1/tau"))
        self.assertEqual((file.run["seed"], file.run["options"]), (3, "-a 1"))
        self.assertEqual(tables.statistics(file["group/pair"])["mean"], "2 − 1 i")

    def test_continued_log_counts_the_later_row(self):
        folder = self.copy()
        path = folder / "train/log.csv"
        lines = path.read_text().splitlines()
        changed = lines[5].split(",")
        changed[COLUMNS.index("loss")] = "9.5"
        path.write_text("\n".join(lines + [",".join(changed)]) + "\n")
        stage = cords_results.Run(folder).log()["compatibility"]
        self.assertEqual(len(stage["update"]), 30)
        self.assertEqual(stage["loss"][4], 9.5)
        self.assertTrue((numpy.diff(stage["update"]) > 0).all())

    def test_numbers_are_written_for_readers(self):
        for value, text in ((0.0, "0"), (1234567, "1,234,567"), (-0.25, "−0.25"), (numpy.inf, "∞"), (2.5e-11, "2.50\u202f×\u202f10⁻¹¹"),
                            (100.0, "100"), (0.8815, "0.8815"), (numpy.nan, "not a number")):
            self.assertEqual(tables.number(value), text)


class Errors(Base):
    def refused(self, says, *arguments):
        """One sentence, status 2, nothing left behind."""
        done = run_report(*arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertRegex(done.stderr, says)
        self.assertFalse((self.scratch / "none").exists())

    def test_bad_input(self):
        out = self.scratch / "none"
        self.refused(r"nowhere: there is no such folder", self.scratch / "nowhere", "-o", out)
        empty = self.scratch / "empty"
        empty.mkdir()
        self.refused(r"empty: no results of cords", empty, "-o", out)
        self.refused(r"required: -o", self.example.folder)
        blocked = self.scratch / "blocked"
        blocked.write_text("a file")
        self.refused(r"blocked: cannot be made", self.example.folder, "-o", blocked)

        folder = self.copy()
        good = (folder / "stability.h5").read_bytes()
        for bad in (good[:len(good) // 2], b"", numpy.random.default_rng(0).bytes(5000)):
            (folder / "stability.h5").write_bytes(bad)
            self.refused(r"stability\.h5: not a complete HDF5 file", folder, "-o", out)
        (folder / "stability.h5").write_bytes(good)
        log = (folder / "train/log.csv").read_text()
        for bad, says in ((log.replace("50,6400", "5x,6400", 1), "a cell is not a number"), ("a,b\n1,2\n", "no column")):
            (folder / "train/log.csv").write_text(bad)
            self.refused(rf"log\.csv: .*{says}", folder, "-o", out)

    def test_text_of_files_cannot_become_markup(self):
        folder = self.copy()
        evil = "<script>alert(1)</script><img src=http://example.org/x>"
        with h5py.File(folder / "evaluation.h5", "r+") as file:
            file["run"].attrs["options"] = evil
            file["evaluation/accuracy"].attrs["meaning"] = evil
            file["evaluation/loss"].attrs["unit"] = evil
        out = self.scratch / "evil"
        self.assertEqual(run_report(folder, "-o", out).returncode, 0)
        page = self.check_page(folder, out)
        self.assertNotIn("img", page.tags)
        self.assertIn(evil, page.text)


if __name__ == "__main__":
    unittest.main()
