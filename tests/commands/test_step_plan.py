"""cords plan: what it says is sent is what a training counts, every way to share images is there once, rates come from
cords bench, and a wrong description of a machine gets a sentence."""

import re
import unittest

import commands  # tests/support
import h5py

MACHINE = """name: two nodes of two
ranks_per_node: 2
memory_per_node_gb: 4
network: {latency_us: 2, bandwidth_gb_s: 1}
node: {latency_us: 0.5, bandwidth_gb_s: 5}
rate: {f32_gflop_s: 10, bf16_gflop_s: 20}
"""
NETWORK = ["-architecture_channels", "4,6,6", "-architecture_strides", "1,2,1", "-architecture_image_rows", 28,
           "-architecture_image_columns", 28, "-architecture_stem_channels", 4, "-architecture_spontaneous_steps", 5,
           "-architecture_stimulus_steps", 6, "-architecture_return_steps", 4]
STAGE = ["-linear_loss_steps", 3]
ROW = re.compile(r"^ *(\d+) +(\d+x\d+) +([\d.]+) +(\d+) +([\d.]+) +([\d.]+) +(\d+) +([\d.]+) +([\d.]+) +([\d.]+) "
                 r"+([\d.]+)(  does not fit)?$", re.M)


class Plan(commands.Test):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.machine = cls.folder / "machine.yaml"
        cls.machine.write_text(MACHINE)

    def plan(self, *words, machine=None):
        return self.done("plan", "-machine", machine or self.machine, "-image_channels", 1, "-classes", 10, *NETWORK,
                         "-stage", "linear", *STAGE, *words)

    def rows(self, printed):
        """Grid to the numbers behind it."""
        return {row[1]: [float(number) for number in row[2:11]] for row in ROW.findall(printed)}

    def mistake(self, *words, expected):
        result = commands.run("plan", *words)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertRegex(result.stderr, r"\Acords: .*\n\Z")
        for text in expected:
            self.assertIn(text, result.stderr)

    def test_every_way(self):
        printed = self.plan("-ranks", 4, "-batch", 4)
        rows = self.rows(printed)
        self.assertEqual(set(rows), {"1x1", "1x2", "2x1", "1x4", "2x2", "4x1"})
        times = [numbers[5] + numbers[6] for numbers in rows.values()]
        self.assertEqual(times, sorted(times))
        self.assertIn(f"best: groups {4 if list(rows)[0] == '1x1' else 2}", printed)
        self.assertEqual(set(self.rows(self.plan("-ranks", 4, "-batch", 2))), {"1x2", "2x1", "1x4", "2x2", "4x1"})
        self.assertEqual(set(self.rows(self.plan("-ranks", 4, "-batch", 4, "-grid", "2x2"))), {"2x2"})
        self.assertIn("4 slower ways are left out", self.plan("-ranks", 4, "-batch", 4, "-show", 2))

    def test_counts_are_those_of_a_training(self):
        updates = 4
        for grid in ("2x1", "1x1"):
            with self.subTest(grid):
                said = self.done("train", "-data", commands.IMAGES, "-output", self.folder / grid, *NETWORK, *STAGE,
                                 "-stages", "linear", "-linear_epochs", 1, "-linear_batch", 6, "-linear_samples",
                                 6 * updates, "-domain_grid", grid, ranks=2)
                self.assertIn("; predicted: the same\n", said)
                messages, sent = map(float, re.search(r"all ranks ([\d.]+) messages, ([\d.]+) MB", said).groups())
                # one row of log.csv: two numbers from rank 0
                messages, sent = messages - 2 / updates, sent - 12e-6 / updates
                planned = self.rows(self.plan("-ranks", 2, "-batch", 6, "-grid", grid))[grid]
                self.assertAlmostEqual(planned[3], sent, delta=6e-4)
                most = float(re.search(r"sends most, ([\d.]+) messages", said)[1])
                self.assertAlmostEqual(planned[1], most, delta=1)
                self.assertLessEqual(messages, 2 * planned[1])

    def test_rates_of_a_bench(self):
        path = self.folder / "bench.h5"
        self.done("bench", "gradient", *NETWORK, "-repetitions", 1, "-output", path, "-scratch", self.folder)
        with h5py.File(path) as file:
            names = [bytes(name).rstrip(b"\0").decode() for name in file["bench/benchmark"][()]]
            case = [name.startswith("gradient f32 ") for name in names].index(True)
            rate = file["bench/amount"][case] / file["bench/median"][case]
        operations, *_, compute = self.rows(self.plan("-bench", path, "-batch", 100000))["1x1"][:6]
        self.assertAlmostEqual(compute / (operations * 1e9 / rate), 1, delta=0.02)

    def test_memory(self):
        small = self.folder / "small.yaml"
        small.write_text(MACHINE.replace("memory_per_node_gb: 4", "memory_per_node_gb: 0.05"))
        printed = self.plan("-ranks", 2, "-batch", 4, machine=small)
        self.assertIn("  does not fit\n", printed)
        self.assertIn("best: none", printed)

    def test_mistakes(self):
        given = ["-machine", self.machine]
        for words, expected in (
                ([], ["-machine"]),
                (["-machine", self.folder / "none.yaml"], ["none.yaml", "No such file"]),
                (["-machine", self.folder], [str(self.folder)]),
                ([*given, "-ranks", 0], ["-ranks 0"]),
                ([*given, "-ranks", 4, "-grid", "3x1"], ["-grid 3x1", "4 ranks"]),
                ([*given, "-ranks", 4, "-grid", "two"], ["-grid two", "ROWSxCOLUMNS"]),
                ([*given, "-ranks", 4, "-batch", 1, "-grid", "1x1"], ["-ranks 4", "-batch"]),
                ([*given, "-stage", "finetun"], ["finetun", "finetune"]),
                ([*given, "-gradient", "equilibrium"], ["equilibrium", "-gradient time"]),
                ([*given, "-bench", self.machine], ["machine.yaml"]),
                ([*given, "-bench", self.folder / "none.h5"], ["none.h5"])):
            with self.subTest(words):
                self.mistake(*words, expected=expected)

    def test_hostile_machines(self):
        path = self.folder / "hostile.yaml"
        for contents, expected in (
                (b"", "'ranks_per_node' is missing"), (b"\1\2\3\4" * 700, "YAML"), (b"a: &a {b: *a}\n", "anchor"),
                (b"- 1\n- 2\n", "hostile.yaml"), (b"a: [" * 5000, "hostile.yaml"),
                (MACHINE.encode() + b"more: 1\n", "'more' is unknown"),
                (MACHINE.replace("rate:", "rates:").encode(), "rate"),
                (MACHINE.replace(", bandwidth_gb_s: 1}", ", bandwidth_gb_s: 1, latency: 3}").encode(), "latency"),
                (MACHINE.replace("bf16_gflop_s: 20", "bf16_gflop_s: -1").encode(), "rate: bf16_gflop_s")):
            with self.subTest(contents[:40]):
                path.write_bytes(contents)
                self.mistake("-machine", path, expected=["hostile.yaml", expected])
        path.write_text(MACHINE.replace(", bf16_gflop_s: 20", ""))
        self.mistake("-machine", path, "-precision", "bf16", expected=["rate: bf16_gflop_s", "is missing"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
