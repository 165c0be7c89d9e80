"""Tests leave no folder behind, not even when they are killed."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from scratch import Scratch  # tests/support

BUILD = pathlib.Path(os.environ.get("CORDS_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
SECONDS_MAX = 20

KILLED = """
import os, pathlib, signal, subprocess
from scratch import Scratch
folder = Scratch(prefix="killed-")
(pathlib.Path(folder.name) / "a").mkdir()
subprocess.run(["mount", "-t", "tmpfs", "none", folder.name + "/a"], check=True)
(pathlib.Path(folder.name) / "a" / "file").write_text("x")
os.kill(os.getpid(), signal.SIGKILL)
"""


class Killed(unittest.TestCase):
    def setUp(self):
        scratch = Scratch()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.environment = {**os.environ, "TMPDIR": scratch.name, "OMPI_MCA_orte_tmpdir_base": "/tmp"}

    def wait_for(self, what, condition):
        end = time.monotonic() + SECONDS_MAX
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: {list(self.folder.iterdir())}")
            time.sleep(0.02)

    def found(self):
        return list(self.folder.glob("cords-test-*"))

    def test_python(self):
        done = subprocess.run([sys.executable, "-c", KILLED], env=self.environment)
        self.assertEqual(done.returncode, -signal.SIGKILL)
        self.wait_for("still there", lambda: not list(self.folder.iterdir()))

    def test_c(self):
        process = subprocess.Popen([BUILD / "tests" / "test_h5"], env=self.environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        # with something in it: the test runs, and the process that removes the folder stands since before
        self.wait_for("nothing was written", lambda: list(self.folder.glob("cords-test-*/*")))
        process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL)
        self.wait_for("still there", lambda: not self.found())


if __name__ == "__main__":
    unittest.main(verbosity=2)
