"""Training that is stopped, or runs into a full disk, and continued: the end is bit-identical to that of a training that
was never disturbed.  (Killed: test_kill.py.)"""

import csv
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
import unittest

import h5py

import commands  # tests/support
from restart import Restart, with_updates

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


class TimeLimit(Restart):
    configuration = with_updates(2, 4, 4800, interval_s=3600)  # some seconds

    def test_limits_until_it_is_done(self):
        """Every run ends in time; the last says that it has finished."""
        limit_s, stops = 3, 0
        while True:
            start = time.monotonic()
            result = commands.run(*self.training("limited", "-time_limit", f"{limit_s}s"))
            lasted_s = time.monotonic() - start
            self.assertLess(lasted_s, limit_s)
            if result.returncode == 0:
                break
            stops += 1
            self.assertEqual(result.returncode, 75, result.stderr)
            self.assertGreater(lasted_s, limit_s - 1.6)
            self.assertRegex(result.stdout, r"\n-time_limit: [0-9.]+ s of 3\.0 s are over, and another update \(.* s at "
                                            r"worst of late\) and checkpoint \(.* s\) want 1\.\d s with their margin\n")
            self.assertIn(f"stopped by -time_limit; {self.folder}/limited/checkpoint.h5 is complete, the same command "
                          "continues\n", result.stdout)
            self.assertLess(stops, 40)
        self.assertGreater(stops, 1)
        self.assert_same_end(self.folder / "limited")

    def test_too_short_for_anything(self):
        result = commands.run(*self.training("nothing", "-time_limit", "1s"))
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertIn("stopped by -time_limit before the training began", result.stdout)
        self.assertFalse((self.folder / "nothing").exists())

    def test_on_two_ranks(self):
        result = commands.run(*self.training("ranks", "-time_limit", "0:00:03"), ranks=2)
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertIn("stopped by -time_limit; ", result.stdout)


class OtherRanks(Restart):
    """Stopped and continued on other numbers of ranks: the losses of one rank that was never stopped."""

    configuration = commands.merged(with_updates(4, 14, 101, interval_s=0), log={"interval": 1})

    def test_one_two_four_one(self):
        checkpoint = self.folder / "moving/checkpoint.h5"
        places = []
        for ranks in (1, 2, 4):
            process = self.start("moving", ranks)
            self.wait_for_checkpoints(process, checkpoint, 12)
            process.send_signal(signal.SIGUSR1)
            output, errors = process.communicate(timeout=commands.SECONDS_MAX)
            self.assertEqual(process.returncode, 75, output + errors)
            places.append(self.place(checkpoint))
        self.assertEqual(places, sorted(set(places)))
        self.assertIn("continued", self.done(*self.training("moving")))
        moving, whole = self.rows("moving"), self.rows("whole")
        self.assertEqual(len(whole), 3 * 4 * 8)
        self.assertEqual(len(moving), len(whole))
        for row, expected in zip(moving, whole):
            self.assertEqual((row["stage"], row["update"]), (expected["stage"], expected["update"]))
            value = float(expected["loss"])
            self.assertLessEqual(abs(float(row["loss"]) - value), 1e-5 * abs(value), expected)

    def rows(self, run):
        with open(self.folder / run / "log.csv", encoding="ascii") as file:
            return list(csv.DictReader(file))


class Damaged(Restart):
    """A damaged newest checkpoint: the one before it is used, to the same end, and the program says so."""

    configuration = with_updates(2, 16, 64, interval_s=0)

    def setUp(self):
        self.run_folder = self.folder / "damaged"
        shutil.rmtree(self.run_folder, ignore_errors=True)
        shutil.copytree(self.whole, self.run_folder)
        (self.run_folder / "model.h5").unlink()
        self.newest, self.previous = self.run_folder / "checkpoint.h5", self.run_folder / "checkpoint_prev.h5"

    def assert_previous_used(self, reason):
        printed = self.done(*self.training("damaged"))
        sentences = [line for line in printed.splitlines() if "continues from the checkpoint before it" in line]
        self.assertEqual(len(sentences), 1, printed)
        self.assertRegex(sentences[0], reason)
        self.assertIn(str(self.newest), sentences[0])
        self.assertTrue(sentences[0].endswith(f", {self.previous}"))
        self.assert_same_end(self.run_folder)

    def test_previous_stands_one_update_before(self):
        self.assertEqual(self.place(self.newest), (2, 8))
        self.assertEqual(self.place(self.previous), (2, 7))

    def test_truncated(self):
        good = self.newest.read_bytes()
        for length in (0, 1, 100, len(good) // 2, len(good) - 1):
            with self.subTest(length):
                self.setUp()
                self.newest.write_bytes(good[:length])
                self.assert_previous_used("truncated|is empty|not an HDF5 file|damaged")

    def test_flipped_bytes(self):
        """At any place: seen, or of no consequence."""
        good = self.newest.read_bytes()
        places = random.Random(4)
        for _ in range(12):
            place = places.randrange(len(good))
            with self.subTest(place):
                self.setUp()
                bad = bytearray(good)
                bad[place] ^= 1 << places.randrange(8)
                self.newest.write_bytes(bad)
                self.done(*self.training("damaged"))
                self.assert_same_end(self.run_folder)

    def test_numbers(self):
        with self.subTest("NaN"):
            with h5py.File(self.newest, "r+") as file:
                file["optimizer/moment2/out_fc.bias"][3] = float("nan")
            self.assert_previous_used("moment2/out_fc.bias.*not finite at index .3.")
        self.setUp()
        with self.subTest("another number"):
            with h5py.File(self.newest, "r+") as file:
                file["parameters/out_fc.bias"][3] += 1
            self.assert_previous_used("do not have the SHA-256")
        self.setUp()
        with self.subTest("missing"):
            with h5py.File(self.newest, "r+") as file:
                del file["parameters/out_fc.bias"]
            self.assert_previous_used("do not have the SHA-256")

    def test_gone(self):
        self.newest.unlink()
        self.assert_previous_used("is not there")

    def test_the_good_one_is_not_replaced_by_the_damaged(self):
        """Killed just after the first save of the run that fell back."""
        good = self.place(self.previous)
        self.newest.write_bytes(b"damaged")
        result = commands.run(*self.training("damaged"), CORDS_TEST_KILL_COMMIT="3")
        self.assertEqual(result.returncode, -signal.SIGKILL)
        self.assertEqual(self.newest.read_bytes(), b"damaged")
        self.assertEqual(self.place(self.previous), good)
        self.assert_previous_used("not an HDF5 file")

    def test_both(self):
        for name in ("checkpoint.h5", "checkpoint_prev.h5"):
            path = self.run_folder / name
            path.write_bytes(path.read_bytes()[:-100])
        for ranks in (1, 2):
            self.assert_mistake(self.training("damaged"), f"'{self.newest}' is truncated",
                                f"'{self.previous}' is truncated", "give another -output", ranks=ranks)

    def test_another_seed_is_no_damage(self):
        self.assert_mistake(self.training("damaged", "-seed", 5), self.newest, "-seed 3")


class Diverging(Restart):
    configuration = with_updates(2, 16, 64, interval_s=0)

    def test_a_rate_that_is_too_large(self):
        """The sentence names the place; the state is as good as before, and a smaller rate goes on from it."""
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                run = f"diverging-{ranks}"
                words = self.training(run)
                result = commands.run(*words, "-finetune_learning_rate", 1e6, ranks=ranks)
                self.assertEqual(result.returncode, 2, result.stderr)
                sentences = [line for line in result.stderr.splitlines() if line.startswith("cords: ")]
                self.assertEqual(len(sentences), 1, result.stderr)
                self.assertRegex(sentences[0], r"^cords: stage finetune, update \d+ \(epoch \d+, batch \d+\): .* not "
                                               r"finite.* tensor .*images? (\d+|of).*; .*/checkpoint.h5 holds the last "
                                               r"good state.*-finetune_learning_rate")
                self.assertIn("continued", self.done(*words, ranks=ranks))

    def test_loss_limit(self):
        result = commands.run(*self.training("limit", "-loss_limit", 0.5))
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertRegex(result.stderr, r"^cords: stage compatibility, update 0 \(epoch 0, batch 0\): the loss is "
                                        r"2\.\d+, above -loss_limit 0\.5; the batch was images \d+, .* and 8 more; ")
        self.done(*self.training("limit", "-loss_limit", 1000))
        self.assert_same_end(self.folder / "limit")


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
        self.assertLessEqual({path.name for path in folder.iterdir()}, {"checkpoint.h5", "checkpoint_prev.h5", "cnn.h5", "log.csv"})
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
