"""cords bench as a user types it: what would be measured, a small real run and its file, bad input, the peer."""
# BESIDE OTHERS

import pathlib
import re
import subprocess
import time
import unittest

import commands
import h5py
import numpy
from PIL import Image

# Number of cases is what matters here, not their size.
TINY = ["-architecture_channels", "4,6,6", "-architecture_strides", "1,2,1", "-architecture_image_rows", 16,
        "-architecture_image_columns", 16, "-architecture_stem_channels", 4, "-architecture_stimulus_steps", 6,
        "-architecture_spontaneous_steps", 4, "-architecture_return_steps", 4]
NAMES = ("conv", "rollout", "gradient", "jacobian", "checkpoint")
ARRAYS = {"benchmark": "1", "backend": "1", "amount": "1", "limit": "1", "median": "s", "spread": "1", "ratio": "1",
          "gemm_ratio": "1", "value": "1", "peak_memory": "B", "planned_memory": "B", "memory_ratio": "1"}


def text(attribute):
    return attribute.decode() if isinstance(attribute, bytes) else attribute


class Dry(commands.Test):
    def test_what_would_be_measured(self):
        before = commands.tree(self.folder)
        printed = self.done("bench", "-dry", "-scratch", self.folder)
        for name in NAMES:
            self.assertRegex(printed, rf"(?m)^{name} .* limit: \w+")
        self.assertLess(len(printed.splitlines()), 60, "more than a page")
        self.assertLess(max(map(len, printed.splitlines())), 121)
        self.assertRegex(printed, r"rollout +f32 R8 trial, 100 \+ 100 steps, batch 8 +2843\.\d+ GFLOP  limit: f32")
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
        self.assertIn("limits of 1 rank with 1 thread,", printed)
        for name in ("rollout", "gradient", "jacobian"):
            self.assertRegex(printed, rf"(?m)^{name} .* \d+\.\d GFLOP/s +\d\.\d\d +(\d\.\d\d|-) +\d+ %  direct")
        self.assertRegex(printed, r"(?m)^checkpoint .* \d+\.\d\d GB/s +\d\.\d\d +- +\d+ %")
        self.assertRegex(printed, r"(?m)^loader .* \d+\.\d images/s +- +- +\d+ %")
        self.assertRegex(printed, r"(?m)^conv f64 4x4 4 to 6, 3x3 stride 2, 2 images +(\d\.\d\d direct +){3}\d+ %$")
        self.assertLess(max(map(len, printed.splitlines())), 141)
        with h5py.File(path) as file:
            self.assertEqual(set(file["bench"]), set(ARRAYS))
            for name, unit in ARRAYS.items():
                array = file["bench"][name]
                self.assertEqual(text(array.attrs["unit"]), unit)
                self.assertTrue(len(array.attrs["meaning"]) > 5)
                self.assertEqual(len(array), len(file["bench/amount"]))
            values = {name: array[()] for name, array in file["bench"].items()}
            self.assertEqual(text(file["run"].attrs["command"]), "bench")
            self.assertIn(f"matrix product of {text(file['bench'].attrs['blas'])}: f32 ", printed)
        self.assertTrue((values["median"] > 0).all() and (values["amount"] > 0).all())
        limited = values["limit"] > 0
        self.assertTrue((values["ratio"][limited] > 0).all() and (values["ratio"][~limited] == 0).all())
        cases = [bytes(row).split(b"\0")[0].decode() for row in values["benchmark"]]
        self.assertEqual({case.split()[0] for case in cases}, {*NAMES, "loader"})
        backends = [bytes(row).split(b"\0")[0].decode() for row in values["backend"]]
        for case, backend in zip(cases, backends):
            name, what = case.split(" ", 1)
            if name == "conv":  # one row for all directions
                what = what.rsplit(" ", 1)[0]
            self.assertIn(what, printed)
            self.assertIn(backend, printed)
            self.assertEqual(bool(backend), name not in ("checkpoint", "loader"))
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["bench.h5", "data", "train.yaml"])

    def test_loader_without_data_is_said(self):
        printed = self.done("bench", "loader", *TINY, "-repetitions", 1, "-scratch", self.folder)
        self.assertIn("loader     left out: give the directory of fashion_mnist with -data", printed)


class Blas(commands.Test):
    def test_kernels_of_openblas_are_named(self):
        """And what to set where they are older than the processor."""
        words = ["bench", "jacobian", *TINY, "-repetitions", 1, "-scratch", self.folder]
        libraries = self.done("info")
        if "OpenBLAS" not in libraries:
            self.skipTest("BLAS is another library")
        with open("/proc/cpuinfo") as file:
            wide = bool(re.search(r"\bavx2\b", file.read()))
        for kernels, advised in (("Prescott", wide), ("Nehalem", False)):  # every x86-64 processor runs these
            self.assertIn(f"matrix product of BLAS (OpenBLAS for {kernels}): f32 ",
                          printed := self.done(*words, OPENBLAS_CORETYPE=kernels))
            information = self.done("info", OPENBLAS_CORETYPE=kernels)
            for told in (printed, information):
                self.assertEqual("OPENBLAS_CORETYPE=" in told, advised)


class Kernels(commands.Test):
    def test_kernels_are_chosen_as_in_training(self):
        """By trials that are kept in a file; or by the order of backends.def."""
        cache = self.folder / "kernels.h5"
        words = ["bench", "conv", *TINY, "-repetitions", 1, "-scratch", self.folder, "-kernel_cache", cache]
        trials = r"kernels: (\d+) choices by trials"
        self.assertRegex(printed := self.done(*words), trials)
        self.assertTrue(cache.exists())
        of_one_type = self.done(*words[:-1], self.folder / "one.h5", "-type", "f32")
        self.assertLess(int(re.search(trials, of_one_type)[1]), int(re.search(trials, printed)[1]))
        self.assertNotIn("kernels:", self.done(*words))
        ordered = self.done(*words[:-1], self.folder / "none.h5", "-kernel_choice", "order")
        self.assertNotIn("kernels:", ordered)
        self.assertNotIn("onednn", ordered)
        self.assertFalse((self.folder / "none.h5").exists())
        self.assertFalse((self.folder / "dry.h5").exists())

    def test_bf16_is_left_out_where_it_is_not_there(self):
        words = ["bench", "gradient", *TINY, "-repetitions", 1, "-scratch", self.folder]
        printed = self.done(*words, CORDS_TEST_NO_BF16="1")
        self.assertIn("gradient   bf16 left out", printed)
        self.assertNotIn("gradient   bf16 custom", printed)


class Ranks(commands.Test):
    def test_ranks(self):
        """The rates of two ranks are those of both together."""
        printed = self.done("bench", *TINY, "-repetitions", 1, "-batch", 2, "-scratch", self.folder, ranks=2)
        self.assertIn("limits of 2 ranks with 1 thread,", printed)
        for name in NAMES:
            self.assertEqual(len(re.findall(rf"(?m)^{name} .*f32 custom t.*%", printed)), name in ("rollout", "gradient"))
            self.assertRegex(printed, rf"(?m)^{name} ")
        self.assertEqual([p.name for p in self.folder.glob("cords-bench*")], [])
        self.assert_mistake(["bench", "gradient", *TINY, "-dry"], "batch of 2 images", "3 ranks", ranks=3)
        self.assertIn("steps, batch 3", self.done("bench", "gradient", *TINY, "-dry", "-gradient_batch", 3, ranks=3))
        self.assert_mistake(["bench", "growth", *TINY, "-dry"], "growth", "one rank", ranks=2)

    def test_ranks_beside_threads(self):
        script = commands.SOURCE / "src/bench/ranks.sh"
        words = [script, "-n", "2", "-rounds", "2", "-cords", commands.CORDS, *TINY, "-scratch", self.folder]
        done = subprocess.run([str(word) for word in words], env=commands.environment(), capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        for kind in ("f32", "bf16"):
            for way in ("2 ranks that know nothing of each other", "2 ranks apart, as fast as the slowest",
                        "one rank with 2 threads", "2 ranks that split the batch", "2 ranks that split each image"):
                self.assertRegex(done.stdout, rf"(?m)^{kind} +{way} +\d+\.\d\d of 2 times one rank with one thread "
                                              r"\(\d+\.\d\d to \d+\.\d\d, rounds: 2; highest rates: \d+\.\d\d\)")
        for wrong, expected in ((["-n", "1"], "nothing to compare"), (["-cords", "/none"], "/none is not there")):
            failed = subprocess.run([str(script), *wrong, *map(str, TINY)], capture_output=True, text=True, timeout=120)
            self.assertEqual(failed.returncode, 2)
            self.assertIn(expected, failed.stderr)


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
        self.assertRegex(printed, r"peak memory of cords \d+ MB; by direct")
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

    def test_peer_that_is_left_alone(self):
        """A killed cords leaves no peer behind that would be at work for minutes."""
        folder = self.folder / "killed"  # keeps what cords could not remove
        folder.mkdir()
        script, started = folder / "slow.py", folder / "started"
        script.write_text(f"import os, sys, time\nsys.stdin.readline()\n"
                          f"open({str(started)!r}, 'w').write(f'{{os.getpid()}}\\n')\ntime.sleep(300)\n")
        words = commands.command("bench", "peer", *TINY, "-batch", 2, "-repetitions", 1, "-scratch", folder,
                                 "-peer_script", script)
        cords = subprocess.Popen(words, env=commands.environment(), stdout=subprocess.DEVNULL)
        self.addCleanup(cords.kill)
        self.wait_for(lambda: started.exists() and started.read_text().endswith("\n"))
        peer = pathlib.Path("/proc") / started.read_text().strip() / "cmdline"
        self.assertIn("slow.py", peer.read_text())
        cords.kill()
        cords.wait()
        self.wait_for(lambda: not peer.exists() or "slow.py" not in peer.read_text())

    def wait_for(self, condition):
        end = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_peer_that_is_not_there(self):
        words = ["bench", "peer", *TINY, "-batch", 2, "-repetitions", 1, "-scratch", self.folder]
        script = self.folder / "dies.py"
        script.write_text("raise SystemExit(1)\n")
        self.assert_mistake([*words, "-peer_script", self.folder / "none.py"], "-peer_script", "none.py")
        self.assert_mistake([*words, "-peer_python", "/none/python"], "-peer_python /none/python")
        self.assert_mistake([*words, "-peer_script", script], "dies.py", "without an answer", "python3-torch",
                            "packages.sh bench")

    def test_dry(self):
        printed = self.done("bench", "peer", "-dry", "-peer_steps", 100)
        self.assertRegex(printed, r"f32 R8 trial, 100 \+ 100 steps, batch 8 +2843\.\d+ GFLOP  limit: peer")
        self.assertRegex(printed, r"bf16 R8 training step, 100 \+ 100 \+ 100 steps, batch 2 +4107\.\d+ GFLOP")


def has_torchvision():
    return subprocess.run(["/usr/bin/python3", "-c", "import torchvision, PIL"], capture_output=True).returncode == 0


class Images(commands.Test):
    @unittest.skipUnless(has_torchvision(), "the peer needs Debian's python3-torchvision, which is not installed")
    def test_ratio(self):
        """Made images, which are removed again, and the user's; the same box of the same image is the peer's."""
        words = ["bench", "images", "-repetitions", 1, "-scratch", self.folder]
        printed = self.done(*words)
        self.assertRegex(printed, r"(?m)^images +JPEG 500x375 to 224x224, box, flip, RandAugment +\d+\.\d\d x the peer, "
                                  r"spread 0 %$")
        found = re.search(r"the peer is Pillow [0-9.]+ \(libjpeg-turbo [0-9.]+\), torchvision [0-9.]+; cords makes \d+ "
                          r"images/s of processor time; the same box differs by at most (\S+) of 255\n", printed)
        self.assertLess(float(found[1]), 1.5)
        self.assertEqual([p.name for p in self.folder.glob("cords-bench-images*")], [])
        data = self.folder / "photographs"
        (data / "train" / "a").mkdir(parents=True)
        row, column = numpy.mgrid[:600, :800]
        for k in range(2):
            Image.fromarray(numpy.stack([row % 256, column % 256, (row + column + k) % 256], -1).astype(numpy.uint8)).save(
                data / "train" / "a" / f"{k}.jpg")
        self.assertRegex(self.done(*words, "-images_data", data), r"(?m)^images +JPEG files to 224x224")

    def test_dry(self):
        self.assertRegex(self.done("bench", "images", "-dry"), r"images +JPEG 500x375 to 224x224.* 32\.000 images  limit: peer")

    def test_bad_input(self):
        words = ["bench", "images", "-repetitions", 1, "-scratch", self.folder]
        self.assert_mistake([*words, "-images_data", self.folder / "none"], "none")
        self.assert_mistake([*words, "-images_script", self.folder / "none.py"], "-images_script", "none.py")
        self.assert_mistake(words, "one rank", ranks=2)
        script = self.folder / "liar.py"
        script.write_text("import sys, json, pathlib, shutil\nfor line in sys.stdin:\n    print(json.dumps({'logits': "
                          "[1.0] * 714, 'seconds': 1.0}), flush=True)\n")
        data = self.folder / "one"
        (data / "train" / "a").mkdir(parents=True)
        Image.new("RGB", (300, 300)).save(data / "train" / "a" / "0.jpg")
        self.assert_mistake([*words, "-images_data", data, "-images_script", script], "times say nothing")


class Growth(commands.Test):
    def test_table(self):
        path = self.folder / "growth.h5"
        printed = self.done("bench", "growth", *TINY, "-repetitions", 1, "-growth_steps", 4, "-output", path)
        rows = re.findall(r"(?m)^growth (?:trial|training step), \w+ \d+ +x +(\S+)  x +(\S+) +(\S+) +\d\.\d\d +\d+ %  x +(\S+)"
                          r" +(\d+) MB +(\d+) MB  \w+", printed)
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
                    operations, time, linear, memory, _, _ = map(float, rows[k])
                    self.assertAlmostEqual(operations, amounts[k] / amounts[found[0]], delta=0.01)
                    self.assertAlmostEqual(linear, time / operations, delta=0.01 + 0.01 * linear)
                    self.assertGreater(memory, 0.5)
                self.assertEqual([float(x) for x in rows[found[0]][:4]], [1, 1, 1, 1])

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
