"""What cords says about itself: usage, -help of every command, info."""
# BESIDE OTHERS

import itertools
import re
import subprocess
import unittest

import commands  # tests/support

COMMANDS = ("train", "evaluate", "simulate", "analyse", "convert", "pack", "plan", "info", "bench")
ANALYSES = ("fixed_points", "stability")
OPTION = re.compile(r"^  (-\w+) <(.*?)>\s+(\S.*)$")


class Help(commands.Test):
    def options(self, *words):
        """Of -help: name to (default and unit, meaning).  All lines of the second paragraph must be options."""
        result = commands.run(*words, "-help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        found = {}
        for line in result.stdout.split("\n\n")[1].splitlines():
            self.assertRegex(line, OPTION)
            name, default, about = OPTION.match(line).groups()
            found[name] = default, about
        return found

    def mistake(self, *words):
        """The one sentence of a command that fails."""
        result = commands.run(*words)
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr, r"\Acords: .*\n\Z")
        return result.stderr

    def test_usage(self):
        for words, status in (([], 2), (["-help"], 0), (["--help"], 0), (["-h"], 0), (["-frobnicate"], 2)):
            with self.subTest(words):
                result = commands.run(*words)
                self.assertEqual(result.returncode, status)
                for name in COMMANDS:
                    self.assertRegex(result.stdout, rf"(?m)^  {name} +\w+")
                self.assertIn("75 stopped by SIGTERM, SIGUSR1", result.stdout)

    def test_options_of_commands(self):
        for words, expected in (
                (["train"], {"-data": "", "-output": "", "-seed": "1", "-architecture_image_rows": "224 pixels",
                             "-architecture_time_step": "2 ms", "-architecture_stimulus_steps": "100 steps",
                             "-checkpoint_interval": "60 s", "-finetune_learning_rate": "1e-05",
                             "-compatibility_optimizer": "sgd", "-architecture_phi": "relu",
                             "-inverse_batch": "64 images"}),
                (["evaluate"], {"-checkpoint": "", "-dataset": "", "-data": "", "-images": "0 images", "-output": ""}),
                (["simulate"], {"-checkpoint": "", "-samples": "0:8", "-output": ""}),
                (["analyse", "fixed_points"], {"-samples": "0:64", "-fixed_points_tolerance": "1e-10",
                                               "-fixed_points_euler_steps": "100 steps"}),
                (["analyse", "stability"], {"-fixed_points": "", "-stability_count": "20",
                                            "-stability_dense_max": "4000 neurons"}),
                (["convert"], {"-state_dict": "", "-allow_unused": "", "-allow_missing": "", "-classes": "0",
                               "-architecture_image_rows": "224 pixels", "-architecture_channels": "list"}),
                (["info"], {"-names": "false"})):
            with self.subTest(words):
                options = self.options(*words)
                defaults = {name: default for name, (default, _) in options.items()}
                self.assertLessEqual(expected.items(), defaults.items())
                self.assertIn("-config", options)
                foreign = [name for name in options
                           if re.match(r"-(eps|st|ksp|pc|snes|mat|vec|log_view|options|malloc|on_error)", name)
                           and not name.startswith(("-stability", "-stages", "-state_dict", "-strict_images"))]
                self.assertEqual(foreign, [], "PETSc's options")

    def test_solvers_of_commands(self):
        """-help names the prefixes of PETSc's and SLEPc's options with an example; -help solvers lists all."""
        for words, expected in (
                (["train"], {"-equilibrium_snes_": "SNESSetFromOptions", "-equilibrium_ksp_": "KSPSetFromOptions"}),
                (["analyse", "fixed_points"], {"-fixed_points_snes_": "SNESSetFromOptions",
                                               "-fixed_points_ksp_": "KSPSetFromOptions"}),
                (["analyse", "stability"], {"-stability_eps_": "EPSSetFromOptions"})):
            with self.subTest(words):
                title, *lines = self.done(*words, "-help").split("\n\n")[2].splitlines()
                self.assertIn(f"cords {' '.join(words)} -help solvers", title)
                listed = self.done(*words, "-help", "solvers")
                found = {}
                for line in lines:
                    start, example, page = re.match(r"^  (-\w+_)\.\.\. .*, as in (-\w+ \S+); manual page (\w+)$", line).groups()
                    self.assertTrue(example.startswith(start))
                    self.assertIn(f"  {example.split()[0]} ", listed.replace(":", " "))
                    found[start] = page
                self.assertEqual(found, expected)
                self.assertNotIn("-output", listed)
                self.assertEqual(listed.count("(SNESSetTolerances)") > 0, "SNESSetFromOptions" in expected.values())
        self.assertIn("no solver of PETSc", self.mistake("evaluate", "-help", "solvers"))
        self.assertIn("-help nonsense: there is -help alone", self.mistake("train", "-help", "nonsense"))
        one, two = (self.done("analyse", "stability", "-help", "solvers", ranks=ranks) for ranks in (1, 2))
        self.assertEqual(one.splitlines(), two.splitlines())

    def test_reader_that_goes_away(self):
        process = subprocess.Popen(commands.command("analyse", "stability", "-help", "solvers"),
                                   env=commands.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.close()
        self.assertEqual((process.stderr.read(), process.wait()), ("", 0))
        process.stderr.close()

    def test_names_of_analyses_in_help(self):
        result = commands.run("analyse", "-help")
        self.assertEqual(result.returncode, 0)
        for name in ANALYSES:
            self.assertIn(f"cords analyse {name}", result.stdout)

    def test_choices_are_listed(self):
        self.assertIn("relu, prelu, tanh, softplus, identity", self.options("train")["-architecture_phi"][1])

    def test_help_does_no_work(self):
        before = commands.tree(self.folder)
        for words in (self.training("out"), ["analyse", "stability", "-output", self.folder / "out.h5"]):
            self.assertIn("  -", self.done(*words, "-help"))
        self.assertEqual(commands.tree(self.folder), before)

    def test_help_on_two_ranks(self):
        printed = self.done("evaluate", "-help", ranks=2)
        self.assertEqual(printed.count("-checkpoint <"), 1)


class Info(commands.Test):
    configuration = commands.merged(commands.TRAINING, **{stage: {"epochs": 1, "samples": 16}
                                                          for stage in commands.TRAINING["stages"]})

    def test_tables(self):
        everything = self.done("info")
        for thing, names in (("datasets", {"mnist", "fashion_mnist"}), ("backends", {"onednn", "gemm", "reference"}),
                             ("stages", {"compatibility", "inverse", "linear", "parametric", "finetune"}),
                             ("analyses", set(ANALYSES)), ("areas", {"rate"})):
            with self.subTest(thing):
                title, *lines = self.done("info", thing).splitlines()
                lines = list(itertools.takewhile(lambda line: line.startswith("  "), lines))  # then comes what it does
                self.assertEqual(title, thing)
                self.assertLessEqual(names, {line.split()[0] for line in lines})
                for line in lines:
                    self.assertGreater(len(line.split()), 2, "a name without a meaning")
                    self.assertIn(line, everything)
                self.assertEqual(self.done("info", thing, "-names").split(), [line.split()[0] for line in lines])

    def test_architectures(self):
        printed = self.done("info", "architectures")
        for preset, areas in (("R2", 2), ("R4", 4), ("R6", 6), ("R8", 8)):
            self.assertIn(f"{preset}: {areas} areas", printed)
        self.assertIn("R8: 8 areas, 752640 neurons", printed)

    def test_libraries(self):
        printed = self.done("info")
        for library in ("cords ", "Open MPI", "PETSc 3.", "SLEPc 3.", "HDF5 1.", "oneDNN "):
            self.assertIn(library, printed)

    def test_files(self):
        data = commands.write_idx(self.folder / "data")
        self.done(*self.training("run", data=data))
        model = self.folder / "run/model.h5"
        printed = self.done("info", model)
        for words in ("command: train", "-seed 3", "ranks: 1", "network (recurrent form), 696 parameters",
                      "custom: 3 areas",
                      "area 1:    3 channels of   4 x   4 pixels"):
            self.assertIn(words, printed)
        for name, values in commands.parameters(model).items():
            self.assertRegex(printed, rf"{re.escape(name)} +{' x '.join(map(str, values.shape))}\n")
        self.assertIn("network (folded form)", self.done("info", self.folder / "run/cnn.h5"))
        points = self.folder / "points.h5"
        self.done("analyse", "fixed_points", "-checkpoint", model, "-dataset", "fashion_mnist", "-data", data,
                  "-samples", "0:1", "-output", points)
        self.assertIn("command: analyse fixed_points", self.done("info", points))


if __name__ == "__main__":
    unittest.main(verbosity=2)
