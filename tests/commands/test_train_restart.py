"""Training that is killed, stopped, or runs into a full disk, and continued: the end is bit-identical to that of a
training that was never disturbed."""

import contextlib
import pathlib
import random
import re
import signal
import subprocess
import time
import unittest

import h5py

import commands  # tests/support

KILLS, CHECKPOINTS_MAX = 10, 9  # kills, and checkpoints that are waited for before each


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
        cls.done(*cls.training("whole"))
        cls.whole = cls.folder / "whole"

    def assert_same_end(self, run):
        for name in ("model.h5", "cnn.h5"):
            self.assert_same_arrays(run / name, self.whole / name)
        for group in ("optimizer/moment1", "optimizer/moment2"):
            self.assert_same_arrays(run / "checkpoint.h5", self.whole / "checkpoint.h5", group)
        self.assertEqual((run / "log.csv").read_bytes(), (self.whole / "log.csv").read_bytes())
        self.assertEqual(sorted(path.name for path in run.iterdir()),
                         ["checkpoint.h5", "cnn.h5", "log.csv", "model.h5"])

    def assert_complete(self, checkpoint):
        """The file can be read from end to end."""
        arrays = []
        with h5py.File(checkpoint) as file:
            file.visititems(lambda _, thing: arrays.append(thing[()]) if isinstance(thing, h5py.Dataset) else None)
        self.assertGreater(len(arrays), 50)

    def start(self, run, ranks=1):
        return subprocess.Popen(commands.command(*self.training(run), ranks=ranks), env=commands.environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Killed(Restart):
    configuration = with_updates(3, 16, 320, interval_s=0)  # 180 checkpoints

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

    def place(self, checkpoint):
        with h5py.File(checkpoint) as file:
            return int(file["train"].attrs["stage"]), int(file["train"].attrs["update"])

    def test_ten_kills(self):
        """At random moments; every other one while a checkpoint is being written."""
        moments = random.Random(8)
        run = self.folder / "killed"
        part = run / "checkpoint.h5.part"
        during_saving = 0
        places = []
        for kill in range(KILLS):
            process = self.start("killed")
            try:
                self.wait_for_checkpoints(process, run / "checkpoint.h5", moments.randint(1, CHECKPOINTS_MAX))
                if kill % 2:
                    self.wait_for(process, part.exists)
                time.sleep(moments.uniform(0, 0.004))
                process.send_signal(signal.SIGKILL)
            finally:
                output, errors = process.communicate()
            self.assertEqual(process.returncode, -signal.SIGKILL, f"not killed but ended\n{output}{errors}")
            during_saving += part.exists()
            self.assert_complete(run / "checkpoint.h5")
            places.append(self.place(run / "checkpoint.h5"))
        self.assertEqual(places, sorted(places))
        self.assertGreater(len(set(places)), KILLS // 2, "the kills were not spread over the training")
        self.assertGreater(during_saving, 0, "no kill has hit a checkpoint being written")
        printed = self.done(*self.training("killed"))
        self.assertIn("continued", printed)
        self.assert_same_end(run)

    def test_killed_before_the_first_checkpoint(self):
        process = self.start("early")
        time.sleep(0.05)
        process.kill()
        process.communicate()
        self.done(*self.training("early"))
        self.assert_same_end(self.folder / "early")


class Stopped(Restart):
    def stop(self, run, number, ranks=1):
        """Send a signal when the work has begun; returns what the program printed."""
        process = self.start(run, ranks)
        first = process.stdout.readline()
        self.assertRegex(first, r"^stage \w+: ")
        checkpoint = self.folder / run / "checkpoint.h5"
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(number)
        output, errors = process.communicate(timeout=commands.SECONDS_MAX)
        self.assertEqual(process.returncode, 75, first + output + errors)
        self.assertFalse((self.folder / run / "model.h5").exists())
        self.assert_complete(checkpoint)
        with h5py.File(checkpoint) as file:
            self.assertGreater(file["train"].attrs["update"] + file["train"].attrs["stage"], 0)
        return first + output + errors

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGUSR1):
            with self.subTest(number.name):
                printed = self.stop(number.name, number)
                self.assertIn(f"stopped by a signal; {self.folder / number.name}/checkpoint.h5 is complete, the same "
                              "command continues", printed)
                self.done(*self.training(number.name))
                self.assert_same_end(self.folder / number.name)

    def stop_early(self, run, number):
        """Send a signal as soon as the program listens, long before it has read its data."""
        process = self.start(run)
        mask = 1 << number - 1
        while process.poll() is None:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            if int(re.search(r"^SigCgt:\s*(\w+)", status, re.M).group(1), 16) & mask:
                break
            time.sleep(0.0003)
        process.send_signal(number)
        output, errors = process.communicate(timeout=commands.SECONDS_MAX)
        self.assertEqual(process.returncode, 75, output + errors)
        self.assertIn("stopped by a signal before the training began; "
                      f"{self.folder / run} is as it was\n", output)

    def test_signals_before_the_work_begins(self):
        for number in (signal.SIGTERM, signal.SIGUSR1):
            with self.subTest(number.name):
                self.stop_early("unborn", number)
                self.assertFalse((self.folder / "unborn").exists())
                before = commands.tree(self.whole)
                self.stop_early("whole", number)
                self.assertEqual(commands.tree(self.whole), before)

    def test_signal_to_two_ranks(self):
        self.stop("ranks", signal.SIGUSR1, ranks=2)

    def test_twice(self):
        """Stopped, continued, stopped again."""
        self.stop("twice", signal.SIGUSR1)
        self.assertIn("continued", self.stop("twice", signal.SIGTERM))
        self.done(*self.training("twice"))
        self.assert_same_end(self.folder / "twice")

    def test_a_finished_training_again(self):
        before = commands.tree(self.whole)
        printed = self.done(*self.training("whole"))
        self.assertIn(f"{self.whole}/model.h5 is finished; nothing to do", printed)
        self.assertEqual(commands.tree(self.whole), before)

    def test_log_that_ran_ahead(self):
        """Rows after the last checkpoint are written again, not twice."""
        self.stop("ahead", signal.SIGTERM)
        with open(self.folder / "ahead/log.csv", "a", encoding="ascii") as log:
            log.write("finetune,1,20,320,0.1,0.1,")
        self.done(*self.training("ahead"))
        self.assert_same_end(self.folder / "ahead")


class FullDisk(Restart):
    configuration = with_updates(2, 8, 16, interval_s=0)

    def fail(self, run, number):
        """Train with the write of that number failing, which must leave a valid checkpoint or nothing.  Returns whether
        there is a checkpoint, or None if the training ended before."""
        folder = self.folder / run
        result = commands.run(*self.training(run), CORDS_TEST_FAIL_WRITE=str(number))
        if result.returncode == 0:
            return None
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertRegex(result.stderr, r"(\A|\n)cords: cannot write .*: No space left on device; the unfinished file "
                                        r"was removed\n\Z")
        if not folder.exists():
            return False
        self.assertLessEqual({path.name for path in folder.iterdir()}, {"checkpoint.h5", "cnn.h5", "log.csv"})
        self.assert_complete(folder / "checkpoint.h5")
        return True

    def first_of_second_checkpoint(self):
        """Number of the first write after the first checkpoint, by bisection."""
        low, high = 1, 4096
        while high - low > 1:
            middle = (low + high) // 2
            if self.fail(f"search-{middle}", middle) is False:
                low = middle
            else:
                high = middle
        return high

    def test_writes_that_fail(self):
        first = self.first_of_second_checkpoint()
        self.assertGreater(first, 100)
        with self.subTest("in the first checkpoint: nothing is left"):
            for number in (1, 2, first // 2, first - 2, first - 1):
                self.assertIs(self.fail(f"first-{number}", number), False)
        with self.subTest("in the second: the first is left, the same command continues to the same end"):
            for number in (first, first + 1, 2 * first - 3, 2 * first - 2):
                self.assertIs(self.fail(f"second-{number}", number), True)
                self.done(*self.training(f"second-{number}"))
                self.assert_same_end(self.folder / f"second-{number}")
        with self.subTest("in one run, again and again"):
            for number in (2 * first, 3 * first + 5, first + first // 3, 2 * first + 2):
                self.assertIs(self.fail("often", number), True)
            self.done(*self.training("often"))
            self.assert_same_end(self.folder / "often")


if __name__ == "__main__":
    unittest.main(verbosity=2)
