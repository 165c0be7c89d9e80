"""Training that is killed at random moments, and at every step of finishing a checkpoint, and continued: the end is
bit-identical to that of a training that was never disturbed.

test_kill.py --kills 50 kills that often."""

import argparse
import random
import signal
import sys
import time
import unittest

import commands  # tests/support
from restart import WHOLE_S_MAX, Restart, with_updates

KILLS, CHECKPOINTS_MAX = 12, 9  # kills, and checkpoints that are waited for before each
STEPS = 4  # places between the steps of finishing a checkpoint


def kills():
    """How often to kill; the option is taken from the command line, the rest is unittest's."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--kills", type=int, default=KILLS)
    known, sys.argv[1:] = parser.parse_known_args()
    return known.kills


KILLS = kills()


class Killed(Restart):
    # checkpoints for all that are waited for, about half as many again that go by unseen, and some
    configuration = with_updates(max(3, KILLS * 3 // 10), 16, 320, interval_s=0)

    def assert_one_whole(self, run):
        """At any moment the newest checkpoint is whole, and so is the one before it, from the second on."""
        self.assert_complete(run / "checkpoint.h5")
        if (run / "checkpoint_prev.h5").exists():
            self.assert_complete(run / "checkpoint_prev.h5")
            self.assertLessEqual(self.place(run / "checkpoint_prev.h5"), self.place(run / "checkpoint.h5"))

    def test_kills(self):
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
            self.assert_one_whole(run)
            places.append(self.place(run / "checkpoint.h5"))
        self.assertEqual(places, sorted(places))
        self.assertGreater(len(set(places)), KILLS // 2, "the kills were not spread over the training")
        self.assertGreater(during_saving, 0, "no kill has hit a checkpoint being written")
        printed = self.done(*self.training("killed"), timeout=WHOLE_S_MAX)
        self.assertIn("continued", printed)
        self.assert_same_end(run)
        print(f"{KILLS} kills, {during_saving} of them while a checkpoint was written, in {len(set(places))} places")

    def test_killed_before_the_first_checkpoint(self):
        process = self.start("early")
        time.sleep(0.05)
        process.kill()
        process.communicate()
        self.done(*self.training("early"))
        self.assert_same_end(self.folder / "early")


class KilledAtEveryStep(Restart):
    configuration = with_updates(2, 16, 64, interval_s=0)

    def test_steps(self):
        """Of the first checkpoint to the third; the next run starts from the newest whole one."""
        run = self.folder / "steps"
        for number in range(1, 3 * STEPS + 1):
            with self.subTest(number):
                result = commands.run(*self.training("steps"), CORDS_TEST_KILL_COMMIT=str(number))
                self.assertEqual(result.returncode, -signal.SIGKILL, result.stdout + result.stderr)
                self.assertNotIn("continues from the checkpoint before it", result.stdout)
                if (run / "checkpoint.h5").exists():
                    self.assert_complete(run / "checkpoint.h5")
        self.assertTrue((run / "checkpoint_prev.h5").exists())
        self.done(*self.training("steps"))
        self.assert_same_end(run)


if __name__ == "__main__":
    unittest.main(verbosity=2)
