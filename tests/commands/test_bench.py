"""cords bench as a user types it: what would be measured, a small real run and its file, bad input, the peer."""

import re
import subprocess
import unittest

import commands
import h5py

# Number of cases is what matters here, not their size.
TINY = ["-architecture_channels", "4,6,6", "-architecture_strides", "1,2,1", "-architecture_image_rows", 16,
        "-architecture_image_columns", 16, "-architecture_stem_channels", 4, "-architecture_stimulus_steps", 6,
        "-architecture_spontaneous_steps", 4, "-architecture_return_steps", 4]
NAMES = ("conv", "rollout", "gradient", "jacobian", "checkpoint")
ARRAYS = {"benchmark": "1", "amount": "1", "limit": "1", "median": "s", "spread": "1", "ratio": "1",
          "gemm_ratio": "1", "value": "1", "peak_memory": "B", "planned_memory": "B", "memory_ratio": "1"}


def text(attribute):
    return attribute.decode() if isinstance(attribute, bytes) else attribute


class Dry(commands.Test):
    def test_what_would_be_measured(self):
        before = commands.tree(self.folder)
        printed = self.done("bench", "-dry", "-scratch", self.folder)
        for name in NAMES:
            self.assertRegex(printed, rf"(?m)^{name} .* limit: \w+$")
        self.assertRegex(printed, r"rollout +f32 R8 trial, 100 \+ 100 steps, batch 8 +2843\.\d+ GFLOP limit: f32")
        for shape in ("56x56 64 to 64", "28x28 128 to 128", "14x14 256 to 256", "7x7 512 to 512", "56x56 64 to 128"):
            for kind in ("f32", "bf16", "f64"):
                self.assertIn(f"{kind} {shape}", printed)
        self.assertNotIn("/s", printed, "a dry run has measured something")
        self.assertEqual(commands.tree(self.folder), before)

    def test_one_name(self):
        printed = self.done("bench", "jacobian", "-dry")
        self.assertEqual({line.split()[0] for line in printed.splitlines()}, {"jacobian"})

    def test_other_presets(self):
        for preset, operations in (("R2", 0.69), ("R8", 3.16)):
            printed = self.done("bench", "jacobian", "-dry", "-architecture_preset", preset)
            found = float(re.search(r"at a time: 1 +(\d+\.\d+) GFLOP", printed)[1])
            self.assertAlmostEqual(found, operations, delta=0.01)


class Real(commands.Test):
    def test_numbers_are_written(self):
        path = self.folder / "bench.h5"
        data = commands.write_idx(self.folder / "data")
        printed = self.done("bench", *TINY, "-repetitions", 2, "-batch", 2, "-data", data, "-scratch", self.folder,
                            "-output", path)
        self.assertIn("limits of 1 threads", printed)
        for name in (*NAMES, "loader"):
            self.assertRegex(printed, rf"(?m)^{name} .*spread \d+ %$")
        with h5py.File(path) as file:
            self.assertEqual(set(file["bench"]), set(ARRAYS))
            for name, unit in ARRAYS.items():
                array = file["bench"][name]
                self.assertEqual(text(array.attrs["unit"]), unit)
                self.assertTrue(len(array.attrs["meaning"]) > 5)
                self.assertEqual(len(array), len(file["bench/amount"]))
            values = {name: array[()] for name, array in file["bench"].items()}
            self.assertEqual(text(file["run"].attrs["command"]), "bench")
        self.assertTrue((values["median"] > 0).all() and (values["amount"] > 0).all())
        limited = values["limit"] > 0
        self.assertTrue((values["ratio"][limited] > 0).all() and (values["ratio"][~limited] == 0).all())
        cases = [bytes(row).split(b"\0")[0].decode() for row in values["benchmark"]]
        self.assertEqual({case.split()[0] for case in cases}, {*NAMES, "loader"})
        for case in cases:
            self.assertIn(case.split(" ", 1)[1], printed)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["bench.h5", "data", "train.yaml"])

    def test_loader_without_data_is_said(self):
        printed = self.done("bench", "loader", *TINY, "-repetitions", 1, "-scratch", self.folder)
        self.assertIn("loader     left out: give the directory of fashion_mnist with -data", printed)


def has_torch():
    return subprocess.run(["/usr/bin/python3", "-c", "import torch, h5py"], capture_output=True).returncode == 0


class Peer(commands.Test):
    @unittest.skipUnless(has_torch(), "the peer needs Debian's python3-torch, which is not installed")
    def test_ratios(self):
        path = self.folder / "peer.h5"
        printed = self.done("bench", "peer", *TINY, "-batch", 3, "-repetitions", 2, "-peer_steps", 5, "-scratch",
                            self.folder, "-output", path)
        for kind in ("f32", "bf16"):
            self.assertRegex(printed, rf"{kind} custom trial, 4 \+ 5 steps, batch 3 +\d+\.\d\d x the peer, spread \d+ %")
            self.assertRegex(printed, rf"{kind} custom training step, 4 \+ 5 \+ 4 steps, batch 2 +\d+\.\d\d x the peer")
        differences = [float(found) for found in re.findall(r"differ from the peer's by (\S+);", printed)]
        self.assertEqual(len(differences), 4)
        self.assertLess(max(differences[0], differences[2]), 1e-5)  # f32
        self.assertNotIn(" s ", printed.split("flushed")[1], "absolute times are nobody's business")
        with h5py.File(path) as file:
            self.assertEqual(list(file["bench/limit"]), [6, 6, 6, 6])
            self.assertTrue((file["bench/memory_ratio"][()] > 0).all() and (file["bench/peak_memory"][()] > 1e6).all())
            self.assertTrue((file["bench/ratio"][()] > 0).all() and (file["bench/median"][()] == 0).all())
        self.assertEqual([p.name for p in self.folder.glob("*bench-peer*")], [])

    def test_peer_that_disagrees(self):
        """Times of other work are not compared."""
        script = self.folder / "liar.py"
        script.write_text("import sys, json\nfor line in sys.stdin:\n    print(json.dumps({'logits': [[1.0] * 1000] * 2, "
                          "'seconds': 1.0, 'peak_bytes': 1}), flush=True)\n")
        self.assert_mistake(["bench", "peer", *TINY, "-batch", 2, "-repetitions", 1, "-scratch", self.folder,
                             "-peer_script", script], "trial differ", "times say nothing")

    def test_peer_that_is_not_there(self):
        words = ["bench", "peer", *TINY, "-batch", 2, "-repetitions", 1, "-scratch", self.folder]
        script = self.folder / "dies.py"
        script.write_text("raise SystemExit(1)\n")
        self.assert_mistake([*words, "-peer_script", self.folder / "none.py"], "-peer_script", "none.py")
        self.assert_mistake([*words, "-peer_python", "/none/python"], "-peer_python /none/python")
        self.assert_mistake([*words, "-peer_script", script], "dies.py", "without an answer", "python3-torch")

    def test_dry(self):
        printed = self.done("bench", "peer", "-dry", "-peer_steps", 100)
        self.assertRegex(printed, r"f32 R8 trial, 100 \+ 100 steps, batch 8 +2843\.\d+ GFLOP limit: peer")
        self.assertRegex(printed, r"bf16 R8 training step, 100 \+ 100 \+ 100 steps, batch 2 +4107\.\d+ GFLOP")


class Growth(commands.Test):
    def test_table(self):
        path = self.folder / "growth.h5"
        printed = self.done("bench", "growth", *TINY, "-repetitions", 1, "-growth_steps", 4, "-output", path)
        rows = re.findall(r"operations x (\S+), time x (\S+): (\S+) of linear; peak memory (\d+) MB, planned (\d+) MB",
                          printed)
        with h5py.File(path) as file:
            cases = [bytes(row).split(b"\0")[0].decode() for row in file["bench/benchmark"]]
            values, amounts = file["bench/value"][()], file["bench/amount"][()]
            self.assertEqual(len(cases), len(rows))
            self.assertTrue((file["bench/peak_memory"][()] > 1e6).all())
            self.assertTrue((file["bench/planned_memory"][()] > 1e6).all())
        expected = {"side": [8, 16, 32], "steps": [2, 4, 8, 16], "batch": [1, 2, 4, 8], "areas": [3],
                    "channels": [2, 4, 8]}
        for work in ("trial", "training step"):
            for axis, numbers in expected.items():
                found = [k for k, case in enumerate(cases) if re.fullmatch(rf"growth {work}, {axis} \d+", case)]
                self.assertEqual(list(values[found]), numbers)
                self.assertTrue((amounts[found][1:] > amounts[found][:-1]).all())
                for k in found:
                    self.assertAlmostEqual(float(rows[k][0]), amounts[k] / amounts[found[0]], delta=0.01)

    def test_of_r8(self):
        printed = self.done("bench", "growth", "-dry")
        for case in ("side 112", "side 448", "areas 2", "areas 8", "channels 32", "channels 128", "batch 8", "steps 40"):
            for work in ("trial", "training step"):
                self.assertRegex(printed, rf"(?m)^growth +{work}, {case} .* limit: f32$")


class BadInput(commands.Test):
    def test_mistakes(self):
        for words, expected in (
                (["rolout"], ["rolout", "did you mean 'rollout'"]),
                (["conv", "-repetitions", 0], ["-repetitions", "0"]),
                (["conv", "-batch", "many"], ["-batch", "many"]),
                (["conv", "-dry", "-output", self.folder / "x.h5"], ["-output", "-dry"]),
                (["conv", "-repetition", 3], ["-repetition", "-repetitions"]),
                (["conv", "-peer_steps", 3], ["-peer_steps"]),
                (["peer", "-peer_steps", 0], ["-peer_steps", "0"]),
                (["peer", "-peer_steps", 2], ["-peer_steps", "3 steps"]),
                (["peer", "-architecture_phi", "tanh"], ["relu"]),
                (["conv", "-architecture_preset", "R9"], ["R9"])):
            with self.subTest(words):
                self.assert_mistake(["bench", *words, *(() if "-architecture_preset" in words else TINY)], *expected)

    def test_output_that_cannot_be_written(self):
        self.assert_mistake(["bench", "checkpoint", *TINY, "-repetitions", 1, "-scratch", self.folder,
                             "-output", self.folder / "none/bench.h5"], "none/bench.h5")


if __name__ == "__main__":
    unittest.main(verbosity=2)
