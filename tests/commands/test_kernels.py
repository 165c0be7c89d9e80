"""Choices of kernels and -precision: the file of choices, what `cords info backends` shows of it, what a machine without
bf16 does, and that a continued run computes as before."""

import re
import shutil
import unittest

import h5py
import numpy

import commands  # tests/support

SMALL = commands.merged(commands.TRAINING, **{stage: {"epochs": 1, "batch": 8, "samples": 16}
                                              for stage in commands.TRAINING["stages"]})


def attribute(file, group, name):
    value = file[group].attrs[name]
    return value.decode() if isinstance(value, bytes) else value


class Kernels(commands.Test):
    configuration = SMALL

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = commands.write_idx(cls.folder / "data")
        cls.cache = cls.folder / "kernels.h5"
        cls.done(*cls.training("run", data=cls.data), "-kernel_cache", cls.cache)

    def train(self, output, *words, **options):
        return self.done(*self.training(output, data=self.data), *words, **options)

    def test_table(self):
        printed = self.done("info", "backends", "-kernel_cache", self.cache)
        self.assertIn("precisions of this processor: f32, f64", printed)
        self.assertIn(f"{self.cache}, measured on this machine", printed)
        lines = re.findall(r"(\w+) +(forward|backward_data|backward_weights) +(one|many) +(\d+) +(\w+) +([\d.]+)\n",
                           printed)
        self.assertGreater(len(lines), 12)
        with h5py.File(self.cache) as file:
            text = bytes(file["kernels/choices"][()]).decode()
            self.assertIn("oneDNN", attribute(file, "kernels", "measured_by"))
        self.assertIn("backend", text)
        self.assertEqual(len(text.splitlines()), printed.count(" forward ") + printed.count(" backward_"))
        absent = self.done("info", "backends", "-kernel_cache", self.folder / "none.h5")
        self.assertIn("nothing measured yet", absent)
        self.assertFalse((self.folder / "none.h5").exists())

    def test_second_run_makes_no_trial(self):
        before = self.cache.read_bytes()
        printed = self.train("second", "-kernel_cache", self.cache)
        self.assertNotIn("by trials", printed)
        self.assertEqual(self.cache.read_bytes(), before)
        self.assert_same_arrays(self.folder / "run/model.h5", self.folder / "second/model.h5")

    def test_order(self):
        printed = self.train("order", "-kernel_choice", "order", "-kernel_cache", self.folder / "unused.h5")
        self.assertNotIn("by trials", printed)
        self.assertFalse((self.folder / "unused.h5").exists())

    def test_damaged(self):
        good = self.cache.read_bytes()
        bad = self.folder / "bad.h5"
        for what, contents in (("noise", numpy.random.default_rng(4).bytes(4000)), ("truncated", good[:len(good) // 2]),
                               ("empty", b"")):
            with self.subTest(what):
                bad.write_bytes(contents)
                printed = self.train(f"damaged_{what}", "-kernel_cache", bad)
                self.assertEqual(printed.count("damaged or no file of kernel choices; it is ignored and made anew"), 1)
                self.assertIn("measured on this machine", self.done("info", "backends", "-kernel_cache", bad))
                self.assertEqual((self.folder / "bad.h5.damaged").read_bytes(), contents)
        with h5py.File(bad, "r+") as file:
            file["kernels"].attrs["measured_by"] = "another processor"
        self.assertIn("not used", self.done("info", "backends", "-kernel_cache", bad))
        printed = self.train("other", "-kernel_cache", bad, ranks=2)
        self.assertEqual(printed.count("measured on another processor, by another version or with other libraries; it is "
                                       "ignored and made anew"), 1)

    def test_bad_values(self):
        out = self.training("out", data=self.data)
        foreign = self.folder / "foreign.h5"
        shutil.copy(self.folder / "run/model.h5", foreign)
        for expected, words in ((["measurd", "did you mean 'measured'?"], ["-kernel_choice", "measurd"]),
                                (["-kernel_cache", "no value"], ["-kernel_cache"]),
                                (["-kernel_cache", "holds something else"], ["-kernel_cache", foreign]),
                                (["-kernel_cache", "holds something else"], ["-kernel_cache", self.folder / "data"]),
                                (["-kernel_cache", "No such file"], ["-kernel_cache", self.folder / "no/kernels.h5"]),
                                (["-precision", "f32, bf16"], ["-precision", "f16"]),
                                (["-precision_strict"], ["-precision_strict", "perhaps"])):
            with self.subTest(" ".join(map(str, words))):
                self.assert_mistake([*out, *words], *expected)

    def test_no_place(self):
        blocked = self.folder / "blocked"
        blocked.write_text("a file where a folder should be")
        printed = self.train("no_place", XDG_CACHE_HOME=str(blocked))
        self.assertEqual(printed.count("the trials will be made again in the next run"), 1)

    def test_continued(self):
        """A continued run uses the choices of its checkpoint, whatever the file says."""
        slow = self.folder / "slow.h5"
        shutil.copy(self.cache, slow)
        with h5py.File(slow, "r+") as file:
            text = bytes(file["kernels/choices"][()]).decode()
            text = re.sub("backend .*", "backend reference ahead 7.77", text, count=1).encode()
            attributes = dict(file["kernels/choices"].attrs)
            del file["kernels/choices"]
            file["kernels/choices"] = numpy.frombuffer(text, dtype="u1")
            file["kernels/choices"].attrs.update(attributes)
        self.train("continued", "-kernel_cache", slow)
        (self.folder / "continued/model.h5").unlink()  # then there is something left to do
        self.train("continued", "-kernel_cache", self.cache)
        with h5py.File(self.folder / "continued/checkpoint.h5") as file:
            self.assertIn("backend reference ahead 7.77", attribute(file, "train", "kernels").splitlines()[0])

    def test_precision(self):
        printed = self.train("no_bf16", "-precision", "bf16", CORDS_TEST_NO_BF16="1")
        self.assertEqual(printed.count("cannot multiply bf16"), 1)
        self.assertIn("f32, f64; bf16 needs", self.done("info", "backends", CORDS_TEST_NO_BF16="1"))
        result = commands.run(*self.training("strict", data=self.data), "-precision", "bf16", "-precision_strict",
                              CORDS_TEST_NO_BF16="1")
        self.assertEqual(result.returncode, 2)
        self.assertIn("-precision bf16", result.stderr)
        self.assertFalse((self.folder / "strict").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
