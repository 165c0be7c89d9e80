"""Memory of the largest network of the paper: an R8 gradient through 300 steps of one image stays below 8 GB."""

import os
import subprocess
import unittest

import commands

LIMIT_BYTES = 8e9


class Memory(commands.Test):
    def test_gradient_of_r8_through_300_steps(self):
        words = commands.command(
            "train", "-architecture_preset", "R8", "-architecture_spontaneous_steps", 10,
            "-architecture_stimulus_steps", 200, "-architecture_return_steps", 100, "-stages", "finetune",
            "-finetune_epochs", 1, "-finetune_batch", 1, "-finetune_samples", 1, "-log_interval", 1,
            "-data", commands.IMAGES, "-output", self.folder / "r8")
        environment = commands.environment(OMP_NUM_THREADS=str(os.cpu_count()))
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        peak_bytes = usage.ru_maxrss * 1024
        print(f"peak memory {peak_bytes / 1e9:.2f} GB, limit {LIMIT_BYTES / 1e9:.0f} GB")
        self.assertLess(peak_bytes, LIMIT_BYTES)
        self.assertGreater(peak_bytes, 1e9, "so little memory cannot hold 300 steps of 752,640 neurons")


if __name__ == "__main__":
    unittest.main()
