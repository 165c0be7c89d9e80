"""Jobs as jobs/submit.py makes them, in a Slurm of our own."""

import pathlib
import subprocess
import time
import unittest

import yaml

import commands
import slurm
from scratch import Scratch

SOURCE = commands.SOURCE
SUBMIT = SOURCE / "jobs" / "submit.py"
OVER = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL")


def submit(*words, folder=SOURCE, environment=None):
    return subprocess.run(["/usr/bin/python3", SUBMIT, *words], cwd=folder, env=environment, capture_output=True,
                          text=True, timeout=60)


def site(folder, **changes):
    """The path of a site file like local.yaml with some changes."""
    contents = yaml.safe_load((SOURCE / "jobs/sites/local.yaml").read_text())
    path = pathlib.Path(folder) / "here.yaml"
    changed = dict(contents, **changes)
    path.write_text(yaml.safe_dump({key: value for key, value in changed.items() if value is not None}))
    return str(path)


class Test(unittest.TestCase):
    """A class of tests with a folder and a Slurm of its own."""

    cluster_options = {}
    assert_same_arrays = commands.Test.assert_same_arrays

    @classmethod
    def setUpClass(cls):
        folder = Scratch(prefix="cords-jobs-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.cluster = slurm.Cluster(cls.folder / "slurm", **cls.cluster_options)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()

    def submit(self, name, words, *options, **changes_of_site):
        """The number of a new job."""
        where = site(self.folder, scratch=str(self.folder), **changes_of_site)
        done = submit("--site", where, "--name", name, "--folder", str(self.folder), *options, "--", "cords", *words,
                      environment=self.cluster.environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()[1]

    @staticmethod
    def training(config, output):
        return ["train", "-config", str(config), "-dataset", "fashion_mnist", "-data", str(commands.IMAGES), "-output", str(output)]

    def log(self, name="job"):
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else "no log"

    def wait_until(self, what, ready, limit_s, name="job"):
        end = time.monotonic() + limit_s
        while not ready():
            self.assertLess(time.monotonic(), end, f"{what} did not happen in {limit_s} s\n{self.log(name)}\n"
                            f"{self.cluster.logs()}")
            time.sleep(0.2)

    def ended(self, number):
        """Whether the job is over.  Slurm lets a requeued job wait for two minutes; a few seconds are enough here, but
        not none: slurmd takes a job that it has just ended for the one that is launched again."""
        job = self.cluster.job(number)
        if job.get("JobState") == "PENDING" and job.get("Reason") == "BeginTime":
            time.sleep(10)
            self.cluster.run("scontrol", "update", f"jobid={number}", "StartTime=now")
        return job.get("JobState") in OVER

    def assert_completed(self, number, name="job"):
        self.assertEqual(self.cluster.job(number)["JobState"], "COMPLETED", f"{self.log(name)}\n{self.cluster.logs()}")
