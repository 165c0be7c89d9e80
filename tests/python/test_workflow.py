"""workflows/: which rules run, mistakes in a configuration as sentences, and a very small run on real images to its
report, killed in the middle and continued."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

import yaml

from scratch import Scratch  # tests/support

SOURCE = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = SOURCE / "workflows"
CORDS = os.environ.get("CORDS", str(SOURCE / "build" / "cords"))
RULES = {"all", "train", "evaluate", "evaluate_cnn", "simulate", "fixed_points", "stability", "report"}
RESULTS = ("train/model.h5", "train/cnn.h5", "train/log.csv", "evaluation.h5", "evaluation_cnn.h5", "activity.h5",
           "fixed_points.h5", "stability.h5", "report/report.html")

CONFIGURATION = {
    "dataset": "fashion_mnist", "data": "/usr/share/datasets/fashion-mnist", "launcher": "", "program": CORDS,
    "evaluation": {"images": 64}, "activity": {"samples": "0:2"}, "fixed_points": {"samples": "0:2"},
    "stability": {"points": 1},
}
STAGE = {"epochs": 1, "batch": 16, "samples": 160, "learning_rate": 1e-3}
IN_TIME = dict(STAGE, loss_steps=6)
TRAINING = {
    "seed": 3,
    "architecture": {"channels": [3, 3], "strides": [1, 1], "image_rows": 14, "image_columns": 14, "stem_kernel": 3,
                     "stem_channels": 3, "stem_stride": 1, "pool_kernel": 3, "pool_stride": 2, "stimulus_steps": 10,
                     "spontaneous_steps": 10, "return_steps": 10},
    "stages": ["compatibility", "inverse", "linear", "parametric", "finetune"],
    "compatibility": STAGE, "inverse": STAGE, "linear": IN_TIME, "parametric": IN_TIME,
    "finetune": dict(IN_TIME, epochs=40),
    "checkpoint": {"interval": 0.5},
}


class Packages(unittest.TestCase):
    """What packages.sh wants to install, told to a user who may not."""

    def asked(self, *groups):
        folder = Scratch(prefix="cords-packages-")
        self.addCleanup(folder.cleanup)
        for name, lines in (("dpkg-query", "exit 1"), ("id", "echo 1000")):  # nothing is installed; not root
            path = pathlib.Path(folder.name) / name
            path.write_text(f"#!/bin/sh\n{lines}\n")
            path.chmod(0o755)
        done = subprocess.run(["bash", WORKFLOWS / "packages.sh", *groups], text=True, stderr=subprocess.PIPE,
                              env=dict(os.environ, PATH=f"{folder.name}:{os.environ['PATH']}"))
        return done.returncode, done.stderr

    def test_groups(self):
        for group, package in (("build", "slepc-dev"), ("demo", "snakemake"), ("test", "libcmocka-dev"),
                               ("bench", "python3-torch"), ("digits", "npm")):
            status, told = self.asked(group)
            self.assertEqual(status, 1)
            self.assertIn("as root run: apt-get install", told)
            self.assertIn(f" {package}", told)
            self.assertEqual("slepc-dev" in told, group == "build")
        status, told = self.asked("build", "nonsense")
        self.assertEqual(status, 2)
        self.assertIn("unknown group 'nonsense'; there are build, demo, test, bench and digits", told)


class Workflow(unittest.TestCase):
    def setUp(self):
        folder = Scratch(prefix="cords-workflow-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.run_folder = self.folder / "run"

    def command(self, *words, configuration):
        return ["/usr/bin/snakemake", "--snakefile", WORKFLOWS / "Snakefile", "--directory", self.run_folder,
                "--configfile", configuration, "--profile", WORKFLOWS / "profiles/local", "--cores", "1", *words]

    def snakemake(self, *words, configuration):
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        self.run_folder.mkdir(exist_ok=True)
        done = subprocess.run(self.command(*words, configuration=configuration), env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        return done.returncode, done.stdout

    def configuration(self, **changes):
        training = self.folder / "train.yaml"
        training.write_text(yaml.safe_dump(TRAINING))
        path = self.folder / "config.yaml"
        contents = dict(CONFIGURATION, training=str(training), **changes)
        path.write_text(yaml.safe_dump({key: value for key, value in contents.items() if value is not None}))
        return path

    def test_rules_of_every_configuration(self):
        configurations = [path for path in (WORKFLOWS / "config").glob("demo*.yaml")]
        self.assertGreaterEqual(len(configurations), 2)
        for path in configurations:
            with self.subTest(path.name):
                status, output = self.snakemake("--dry-run", configuration=path)
                self.assertEqual(status, 0, output)
                counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+) +\d+ +\d+$", output, re.M)}
                self.assertEqual(counts.pop("total"), len(RULES))
                self.assertEqual(counts, dict.fromkeys(RULES, 1))

    def test_training_files_are_read_as_numbers(self):
        """YAML reads 1e-3 as text; a schedule that is text would be noticed only when its stage begins."""
        for path in (WORKFLOWS / "config").glob("train_*.yaml"):
            with self.subTest(path.name):
                contents = yaml.safe_load(path.read_text())
                self.assertEqual(len(contents["stages"]), 5)
                for stage in contents["stages"]:
                    self.assertIsInstance(contents[stage]["learning_rate"], (int, float))

    def test_mistakes_in_the_configuration(self):
        for sentence, changes in (
                ("evaluation.images: 0 is less than the minimum of 1 (evaluation.images is how many test images",
                 {"evaluation": {"images": 0}}),
                ("evaluation.images: 'all' is not of type 'integer'", {"evaluation": {"images": "all"}}),
                ("'images' is a required property", {"evaluation": {}}),
                ("fixed_points.samples: 64 is not of type 'string'", {"fixed_points": {"samples": 64}}),
                ("fixed_points.samples: '64' does not match", {"fixed_points": {"samples": "64"}}),
                ("'stability' is a required property", {"stability": None}),
                ("'stabilty' was unexpected", {"stabilty": {"points": 1}}),
                ("dataset: 'fashion mnist' does not match", {"dataset": "fashion mnist"}),
                ("data: /nowhere is not a folder", {"data": "/nowhere"})):
            with self.subTest(sentence):
                status, output = self.snakemake(configuration=self.configuration(**changes))
                self.assertNotEqual(status, 0)
                self.assertIn(sentence, output)
                self.assertLessEqual(len(output.splitlines()), 4, output)
                self.assertFalse([name for name in os.listdir(self.run_folder) if not name.startswith(".")])

    def test_a_wrong_training_file_stops_at_once(self):
        configuration = self.configuration()
        training = self.folder / "train.yaml"
        training.write_text(training.read_text().replace("finetune:", "finetun:", 1))
        status, output = self.snakemake(configuration=configuration)
        self.assertNotEqual(status, 0)
        self.assertIn("finetun", output)
        self.assertFalse((self.run_folder / "train/model.h5").exists())

    def start_and_kill(self, configuration):
        """Start the run, wait for a checkpoint of its last stage, kill everything at once."""
        self.run_folder.mkdir()
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        output = self.folder / "first.txt"
        with open(output, "wb") as stream:
            run = subprocess.Popen(self.command(configuration=configuration), stdout=stream, stderr=stream,
                                   env=environment, start_new_session=True)
        log = self.run_folder / "train/log.csv"
        end = time.monotonic() + 90
        try:
            while not (log.exists() and "finetune" in log.read_text()
                       and (self.run_folder / "train/checkpoint.h5").exists()):
                self.assertIsNone(run.poll(), output.read_text())
                self.assertLess(time.monotonic(), end, output.read_text())
                time.sleep(0.05)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
        self.assertFalse((self.run_folder / "train/model.h5").exists(), "killed too late, the training had finished")

    def test_killed_continued_and_finished(self):
        configuration = self.configuration()
        self.start_and_kill(configuration)
        checkpoint = (self.run_folder / "train/checkpoint.h5").stat().st_mtime_ns
        self.snakemake("--unlock", configuration=configuration)
        status, output = self.snakemake(configuration=configuration)
        self.assertEqual(status, 0, output)
        self.assertGreater((self.run_folder / "train/checkpoint.h5").stat().st_mtime_ns, checkpoint)
        for name in RESULTS:
            self.assertTrue((self.run_folder / name).stat().st_size > 0, name)
        with self.subTest("continued, not started over"):
            rows = [line.split(",")[0] for line in (self.run_folder / "train/log.csv").read_text().splitlines()[1:]]
            self.assertEqual(list(dict.fromkeys(rows)), TRAINING["stages"])
            self.assertRegex(output, r"(?i)continu")
        with self.subTest("the summary"):
            summary = subprocess.run(["/usr/bin/python3", WORKFLOWS / "summary.py", self.run_folder], text=True,
                                     capture_output=True)
            self.assertEqual(summary.returncode, 0, summary.stderr)
            for words in ("accuracy of the recurrent network", "fixed points: 3 of 3", "stability: ",
                          "report/report.html"):
                self.assertIn(words, summary.stdout)
        with self.subTest("a second run does nothing"):
            before = {name: (self.run_folder / name).stat().st_mtime_ns for name in RESULTS}
            status, output = self.snakemake(configuration=configuration)
            self.assertEqual(status, 0, output)
            self.assertIn("Nothing to be done", output)
            self.assertEqual(before, {name: (self.run_folder / name).stat().st_mtime_ns for name in RESULTS})


if __name__ == "__main__":
    unittest.main(verbosity=2)
