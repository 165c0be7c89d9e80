"""Trainings that are interrupted and continued, beside one that never was."""

import contextlib
import subprocess
import time

import h5py

import commands

WHOLE_S_MAX = 600  # test_kill.py --kills 50 makes a long training


def with_updates(epochs, batch, samples, interval_s):
    """The tiny training with so many updates in each stage."""
    stage = {"epochs": epochs, "batch": batch, "samples": samples}
    return commands.merged(commands.TRAINING, checkpoint={"interval": interval_s},
                           **{name: stage for name in commands.TRAINING["stages"]})


class Restart(commands.Test):
    configuration = with_updates(3, 16, 320, interval_s=3600)  # only signals and ends of stages make checkpoints

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.done(*cls.training("whole"), timeout=WHOLE_S_MAX)
        cls.whole = cls.folder / "whole"

    def assert_same_end(self, run):
        for name in ("model.h5", "cnn.h5"):
            self.assert_same_arrays(run / name, self.whole / name)
        for group in ("optimizer/moment1", "optimizer/moment2"):
            self.assert_same_arrays(run / "checkpoint.h5", self.whole / "checkpoint.h5", group)
        self.assertEqual((run / "log.csv").read_bytes(), (self.whole / "log.csv").read_bytes())
        self.assertEqual(sorted(path.name for path in run.iterdir()),
                         ["checkpoint.h5", "checkpoint_prev.h5", "cnn.h5", "log.csv", "model.h5"])

    def assert_complete(self, checkpoint):
        """The file can be read from end to end."""
        arrays = []
        with h5py.File(checkpoint) as file:
            file.visititems(lambda _, thing: arrays.append(thing[()]) if isinstance(thing, h5py.Dataset) else None)
        self.assertGreater(len(arrays), 50)

    def start(self, run, ranks=1):
        return subprocess.Popen(commands.command(*self.training(run), ranks=ranks), env=commands.environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def place(self, checkpoint):
        """Stage and update where a checkpoint stands."""
        with h5py.File(checkpoint) as file:
            return int(file["train"].attrs["stage"]), int(file["train"].attrs["update"])

    def wait_for(self, process, ready):
        while not ready() and process.poll() is None:
            time.sleep(0.0003)

    def wait_for_checkpoints(self, process, checkpoint, count):
        """Wait until the checkpoint was replaced that often.  Some may go by unseen, so there must be enough left."""
        def number():
            with contextlib.suppress(FileNotFoundError):
                return checkpoint.stat().st_ino
            return None

        for _ in range(count):
            before = number()
            self.wait_for(process, lambda: number() not in (before, None))
