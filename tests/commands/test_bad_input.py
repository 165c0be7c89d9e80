"""Mistakes of users: one sentence that names the file, option or value and what would be right, exit status 2 on every
rank, and nothing left behind."""

import gzip
import shutil
import subprocess
import unittest

import h5py
import numpy

import commands  # tests/support

SMALL = commands.merged(commands.TRAINING, **{stage: {"epochs": 1, "batch": 8, "samples": 16}
                                              for stage in commands.TRAINING["stages"]})
TENSOR = "area_conv.1.parametrizations.weight.original1"


class BadInput(commands.Test):
    configuration = SMALL

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = commands.write_idx(cls.folder / "data")
        cls.done(*cls.training("run", data=cls.data))
        cls.model, cls.checkpoint = cls.folder / "run/model.h5", cls.folder / "run/checkpoint.h5"
        cls.points = cls.folder / "points.h5"
        cls.done(*cls.fixed_points(), "-output", cls.points)
        cls.out = cls.folder / "out"

    @classmethod
    def on_images(cls, *command, checkpoint=None, data=None):
        """A command that shows images to a network, without its -output."""
        return [*command, "-checkpoint", checkpoint or cls.model, "-dataset", "fashion_mnist",
                "-data", data or cls.data]

    @classmethod
    def evaluate(cls, **files):
        return cls.on_images("evaluate", **files)

    @classmethod
    def simulate(cls, **files):
        return [*cls.on_images("simulate", **files), "-samples", "0:2"]

    @classmethod
    def fixed_points(cls, **files):
        return [*cls.on_images("analyse", "fixed_points", **files), "-samples", "0:2"]

    @classmethod
    def stability(cls, checkpoint=None, points=None):
        return ["analyse", "stability", "-checkpoint", checkpoint or cls.model, "-fixed_points", points or cls.points]

    @classmethod
    def writers(cls):
        """Commands that write results."""
        return [cls.evaluate(), cls.simulate(), cls.fixed_points(), cls.stability()]

    def mistakes(self, cases):
        """cases: of words that are expected and the command's words."""
        for expected, words in cases:
            with self.subTest(" ".join(map(str, expected))):
                self.assert_mistake(words, *expected)


class Words(BadInput):
    """Options, names and numbers."""

    def test_unknown_options(self):
        out = ["-output", self.out]
        self.mistakes([
            (["-frobnicate"], [*self.training("out", data=self.data), "-frobnicate", "1"]),
            (["-architecture_chanels", "did you mean -architecture_channels?"],
             [*self.training("out", data=self.data), "-architecture_chanels", "3"]),
            (["-finetune_epoch ", "did you mean -finetune_epochs?"],
             [*self.training("out", data=self.data), "-finetune_epoch", "3"]),
            (["-image ", "did you mean -images?"], [*self.evaluate(), *out, "-image", "3"]),
            (["-sample ", "did you mean -samples?"], [*self.simulate(), *out, "-sample", "0:2"]),
            (["-fixed_points_tolerence", "did you mean -fixed_points_tolerance?"],
             [*self.fixed_points(), *out, "-fixed_points_tolerence", "1"]),
            (["-stability_cuont", "did you mean -stability_count?"],
             [*self.stability(), *out, "-stability_cuont", "3"]),
            (["-name ", "did you mean -names?"], ["info", "-name"]),
            (["-chekpoint", "did you mean -checkpoint"], ["evaluate", "-chekpoint", self.model, *out]),
            (["-finetune_", "unknown here"],
             [*self.training("out", data=self.data), "-stages", "compatibility,inverse"]),
        ])

    def test_unknown_names(self):
        self.mistakes([
            (["trian", "did you mean 'train'?"], ["trian"]),
            (["frobnicate", "train, evaluate, simulate, analyse, convert, pack, plan, bench, info"], ["frobnicate"]),
            (["fashon_mnist", "did you mean 'fashion_mnist'?"],
             [*self.training("out", data=self.data), "-dataset", "fashon_mnist"]),
            (["cifar11", "mnist, fashion_mnist"], [*self.evaluate(), "-output", self.out, "-dataset", "cifar11"]),
            (["fintune", "did you mean 'finetune'?"], [*self.training("out", data=self.data), "-stages", "fintune"]),
            (["stabilty", "did you mean 'stability'?"], ["analyse", "stabilty"]),
            (["needs the name of an analysis"], ["analyse"]),
            (["datasts", "did you mean 'datasets'?"], ["info", "datasts"]),
            (["equilbrium", "did you mean 'equilibrium'?"],
             [*self.training("out", data=self.data), "-gradient", "equilbrium"]),
            (["-equilibrium_tolerance", "nan"],
             [*self.training("out", data=self.data), "-equilibrium_tolerance", "nan"]),
            (["R3", "R2, R4, R6, R8"], [*self.training("out", data=self.data), "-architecture_preset", "R3"]),
            (["rleu", "did you mean 'relu'?"], [*self.training("out", data=self.data), "-architecture_phi", "rleu"]),
            (["train takes no name ('fast')"], ["train", "fast"]),
            (["'words'"], ["analyse", "stability", "words"]),
        ])

    def test_numbers(self):
        def train(*words):
            return [*self.training("out", data=self.data), *words]

        def evaluate(*words):
            return [*self.evaluate(), "-output", self.out, *words]

        self.mistakes([
            (["-architecture_stimulus_steps -5", "between 1 and"], train("-architecture_stimulus_steps", -5)),
            (["-architecture_stimulus_steps 0", "between 1 and"], train("-architecture_stimulus_steps", 0)),
            (["-finetune_epochs -1", "between 0 and"], train("-finetune_epochs", -1)),
            (["-finetune_batch 0", "between 1 and"], train("-finetune_batch", 0)),
            (["-inverse_learning_rate nan", "not a number"], train("-inverse_learning_rate", "nan")),
            (["-inverse_learning_rate inf", "between 0 and"], train("-inverse_learning_rate", "inf")),
            (["-seed 1.5", "whole number"], train("-seed", 1.5)),
            (["-seed 12x", "whole number"], train("-seed", "12x")),
            (["-log_interval", "whole number"], train("-log_interval")),
            (["-output", "no value"], [*self.evaluate(), "-output"]),
            (["-inverse_samples 21", "20 images"], train("-inverse_samples", 21)),
            (["-architecture_kernels 4", "odd"], train("-architecture_kernels", 4)),
            (["-architecture_strides", "2 values for 3 areas"], train("-architecture_strides", "1,2")),
            (["'3'", "belongs to no option"], train("-architecture_channels", "2,3,", "3")),
            (["at least 2 areas"], train("-architecture_channels", 3)),
            (["last two areas"], train("-architecture_channels", "2,3,4")),
            (["compatibility", "must come first"], train("-stages", "finetune,compatibility")),
            (["inverse", "right after"], train("-stages", "compatibility,finetune,inverse")),
            (["-images 21", "only 20"], evaluate("-images", 21)),
            (["-memory_limit nan", "with its unit"], train("-memory_limit", "nan")),
            (["-memory_limit 2XB", "with its unit"], train("-memory_limit", "2XB")),
            (["-memory_limit -1GB", "with its unit"], train("-memory_limit", "-1GB")),
            (["-memory_limit 1MB", "it needs at least"], train("-memory_limit", "1MB")),
            (["-precision 'bf61'", "did you mean 'bf16'?"], train("-precision", "bf61")),
            (["'fusd'", "did you mean 'fused'?"], train("-rollout", "fusd")),
            (["-images 5five", "whole number"], evaluate("-images", "5five")),
            (["-samples 5:5", "no image"], [*self.simulate(), "-output", self.out, "-samples", "5:5"]),
            (["-samples 5", "A:B"], [*self.simulate(), "-output", self.out, "-samples", "5"]),
            (["-samples 9999999:10000000", "20 images"],
             [*self.fixed_points(), "-output", self.out, "-samples", "9999999:10000000"]),
            (["-stability_count 0", "between 1 and"], [*self.stability(), "-output", self.out, "-stability_count", 0]),
            (["-stability_points 7", "0 to 2"], [*self.stability(), "-output", self.out, "-stability_points", 7]),
        ])

    def test_missing_options(self):
        for left_out in ("-checkpoint", "-dataset", "-data", "-output"):
            words = [*self.evaluate(), "-output", self.out]
            place = words.index(left_out)
            with self.subTest(left_out):
                self.assert_mistake(words[:place] + words[place + 2:], f"option {left_out} is missing")

    def test_yaml(self):
        def train(contents):
            path = self.folder / "bad.yaml"
            path.write_bytes(contents)
            return self.training("out", config=path, data=self.data)

        good = self.config.read_bytes()
        random = numpy.random.default_rng(2)
        for expected, contents in (
                (["bad.yaml", "line 2", "tab"], b"architecture:\n\tchannels: [2, 2]\n"),
                (["-finetune_epochs many", "whole number"], good + b"finetune: {epochs: many}\n"),
                (["-finetune_epochs 1,2", "whole number"], good + b"finetune: {epochs: [1, 2]}\n"),
                (["-finetune_epochs_a"], good + b"finetune: {epochs: {a: 1}}\n"),
                (["-architecture_channels", "list of numbers"], b"architecture: {channels: [2, wide]}\n"),
                (["-finetun_epochs", "did you mean -finetune_epochs?"], good + b"finetun: {epochs: 1}\n"),
                (["bad.yaml", "YAML"], b"architecture: [2, 2\nb: }"),
                (["bad.yaml", "YAML"], random.bytes(3000)),
                (["bad.yaml", "YAML"], b"just words")):
            with self.subTest(contents[-40:]):
                self.assert_mistake(train(contents), *expected)
        self.assert_mistake(self.training("out", config=self.folder / "none.yaml", data=self.data), "none.yaml",
                            "No such file")


class Images(BadInput):
    """IDX files, plain and gzip."""

    def folder_with(self, name, contents, compress=False):
        """A good dataset with one file replaced, or left out for None."""
        folder = self.folder / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        commands.write_idx(folder, compress=compress)
        path = folder / (name + (".gz" if compress else ""))
        path.unlink()
        if contents is not None:
            path.write_bytes(contents)
        return folder

    def test_damaged(self):
        images = (self.data / "t10k-images-idx3-ubyte").read_bytes()
        labels = (self.data / "t10k-labels-idx1-ubyte").read_bytes()
        flipped = bytes([images[0], images[1], images[2] ^ 0x40, *images[3:]])
        eleven = labels[:-1] + bytes([10])
        for what, name, contents, sentence in (
                ("missing", "images-idx3", None, "has none of the files"),
                ("missing", "labels-idx1", None, "has none of the files"),
                ("truncated", "images-idx3", images[:-1], "truncated"),
                ("truncated header", "images-idx3", images[:10], "ends inside its header"),
                ("truncated", "labels-idx1", labels[:-1], "truncated"),
                ("flipped", "images-idx3", flipped, "starts with 0x00004803, expected 0x00000803"),
                ("empty", "images-idx3", b"", "is empty"),
                ("empty", "labels-idx1", b"", "is empty"),
                ("swapped", "images-idx3", labels, "swapped"),
                ("swapped", "labels-idx1", images, "swapped"),
                ("label", "labels-idx1", eleven, "image 19 has label 10, the labels of fashion_mnist are 0 to 9"),
                ("none", "images-idx3", commands.idx_bytes(numpy.zeros((0, 28, 28))), "holds no images"),
                ("fewer", "labels-idx1", commands.idx_bytes(numpy.zeros(19)), "19 labels"),
                ("more", "images-idx3", images + b"\0", "holds 15681 bytes")):
            for split, command in (("t10k", self.evaluate), ("train", None)):
                with self.subTest(what=what, name=name, split=split):
                    folder = self.folder_with(f"{split}-{name}-ubyte", contents)
                    words = ([*command(data=folder), "-output", self.out] if command
                             else self.training("out", data=folder))
                    self.assert_mistake(words, f"{split}-{name}-ubyte", sentence)

    def test_damaged_gzip(self):
        images = (self.data / "t10k-images-idx3-ubyte").read_bytes()
        packed = gzip.compress(images)
        flipped = bytearray(packed)
        flipped[len(packed) // 2] ^= 1
        for sentence, contents in (("truncated", packed[:len(packed) // 2]), ("damaged", bytes(flipped)),
                                   ("is empty", b""), ("is empty", gzip.compress(b"")),
                                   ("truncated", gzip.compress(images[:-5])),
                                   ("goes on after", gzip.compress(images + b"\0")),
                                   ("damaged", b"\x1f\x8b" + b"\0" * 100)):
            with self.subTest(sentence):
                folder = self.folder_with("t10k-images-idx3-ubyte", contents, compress=True)
                self.assert_mistake([*self.simulate(data=folder), "-output", self.out], "t10k-images-idx3-ubyte.gz",
                                    sentence)

    def test_not_a_folder(self):
        for data, sentence in ((self.folder / "nowhere", "No such file"), (self.config, "not a directory")):
            with self.subTest(sentence):
                self.assert_mistake([*self.fixed_points(data=data), "-output", self.out], data, sentence)


class Networks(BadInput):
    """Files that should hold a network."""

    def damaged(self, change):
        """A copy of the model that `change` has edited through h5py."""
        path = self.folder / "damaged.h5"
        shutil.copy(self.model, path)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    def test_not_a_network(self):
        path = self.folder / "damaged.h5"
        good = self.model.read_bytes()
        for sentence, contents in (
                ("not an HDF5 file", numpy.random.default_rng(3).bytes(5000)), ("is empty", b""),
                ("truncated", good[:len(good) // 2]), ("not an HDF5 file", good[:4]),
                ("damaged", good[:40] + b"\xff" * 8 + good[48:])):
            path.write_bytes(contents)
            for words in ([*self.evaluate(checkpoint=path), "-output", self.out],
                          [*self.stability(checkpoint=path), "-output", self.out], ["info", path]):
                with self.subTest(f"{sentence}: {words[0]}"):
                    self.assert_mistake(words, path, sentence)
        self.assert_mistake([*self.evaluate(checkpoint=self.folder / "none.h5"), "-output", self.out], "none.h5",
                            "No such file")
        self.assert_mistake([*self.evaluate(checkpoint=self.points), "-output", self.out], self.points,
                            "holds no network")

    def test_damaged_tensors(self):
        def another_shape(file):
            del file["parameters"][TENSOR]
            file["parameters"][TENSOR] = numpy.zeros((3, 3, 3, 5), dtype="f4")

        def not_a_number(file):
            file["parameters"][TENSOR][1, 1, 1, 1] = numpy.nan

        def missing(file):
            del file["parameters"][TENSOR]

        def unknown(file):
            file["parameters"]["area_conv.7.weight"] = numpy.zeros(3, dtype="f4")

        def another_architecture(file):
            text = file["parameters"].attrs["architecture"]
            text = text.decode() if isinstance(text, bytes) else text
            file["parameters"].attrs["architecture"] = text.replace("channels: [2, 3, 3]", "channels: [2, 4, 4]")

        def no_architecture(file):
            del file["parameters"].attrs["architecture"]

        for expected, change in (([TENSOR, "3"], another_shape),
                                 ([TENSOR, "not finite at index [1,1,1,1]"], not_a_number),
                                 ([TENSOR, "has no tensor"], missing), (["area_conv.7.weight"], unknown),
                                 (["parametrizations"], another_architecture), (["no network"], no_architecture)):
            with self.subTest(change.__name__):
                path = self.damaged(change)
                self.assert_mistake([*self.evaluate(checkpoint=path), "-output", self.out], path, *expected)
                self.assert_mistake([*self.fixed_points(checkpoint=path), "-output", self.out], path, *expected)

    def test_networks_without_dynamics(self):
        cnn = self.folder / "run/cnn.h5"
        for words in (self.simulate(checkpoint=cnn), self.fixed_points(checkpoint=cnn), self.stability(checkpoint=cnn)):
            with self.subTest(words[1]):
                self.assert_mistake([*words, "-output", self.out], cnn, "no dynamics")

    def test_fixed_points_of_another_network(self):
        other = self.folder / "other/model.h5"
        if not other.exists():
            self.done(*self.training("other", "-architecture_channels", "2,4,4", data=self.data))
            self.done(*self.training("seed", "-seed", 4, data=self.data))
        self.assert_mistake([*self.stability(checkpoint=other), "-output", self.out], self.points, other, "neurons")
        self.assert_mistake([*self.stability(checkpoint=self.folder / "seed/model.h5"), "-output", self.out],
                            self.points, "no fixed point of the network in", "another checkpoint?")
        self.assert_mistake([*self.stability(points=self.model), "-output", self.out], self.model,
                            "holds no fixed points")

    def test_continuing_another_training(self):
        for expected, words in (
                (["another architecture"], ["-architecture_channels", "2,4,4"]),
                (["-stages compatibility,inverse,finetune"], ["-stages", "compatibility,inverse,linear,finetune"]),
                (["-seed 3"], ["-seed", 5]),
                (["-finetune_batch"], ["-finetune_batch", 4])):
            with self.subTest(words[0]):
                self.assert_mistake(self.training("run", *words, data=self.data), self.checkpoint, *expected)

    def test_damaged_checkpoint_of_a_training(self):
        run = self.folder / "broken"
        run.mkdir()
        checkpoint = run / "checkpoint.h5"
        good = self.checkpoint.read_bytes()
        for sentence, contents in (("not an HDF5 file", b"random bytes" * 99), ("is empty", b""),
                                   ("truncated", good[:-1000]), ("not the checkpoint of a training",
                                                                 self.model.read_bytes())):
            with self.subTest(sentence):
                checkpoint.write_bytes(contents)
                self.assert_mistake(self.training("broken", data=self.data), checkpoint, sentence)


class Outputs(BadInput):
    """Places that cannot be written to."""

    def test_below_a_file_and_a_folder(self):
        for words in self.writers():
            with self.subTest(words[1]):
                self.assert_mistake([*words, "-output", self.config / "out.h5"], "train.yaml/out.h5", "Not a directory")
                run = self.assert_mistake([*words, "-output", self.folder / "none/out.h5"], "none/out.h5", "No such file")
                self.assertNotRegex(run.stdout, "(?m)^(memory|loading)| left$", "said after the work, not before it")
                self.assert_mistake([*words, "-output", self.data], self.data, "folder")
        self.assert_mistake(self.training("train.yaml/run", data=self.data), "train.yaml/run", "Not a directory")
        self.assert_mistake(self.training("none/run", data=self.data), "none/run", "No such file")
        self.assert_mistake(self.training("train.yaml", data=self.data), "train.yaml", "Not a directory")

    def test_read_only(self):
        with commands.file_system(self.folder / "read-only", "ro") as folder:
            for words in self.writers():
                self.assert_mistake([*words, "-output", folder / "out.h5"], folder / "out.h5", "Read-only")
            self.assert_mistake(self.training("read-only/run", data=self.data), folder / "run", "Read-only")
            self.assert_mistake(self.training("read-only", data=self.data), folder, "Read-only")

    def test_full(self):
        with commands.file_system(self.folder / "full", "size=64k") as folder:
            (folder / "filler").write_bytes(b"x" * (56 << 10))
            for words in self.writers():
                self.assert_mistake([*words, "-output", folder / "out.h5"], folder / "out.h5", "No space left")
            self.assert_mistake(self.training("full/run", data=self.data), folder / "run", "No space left")
            (folder / "more").write_bytes(b"x" * (8 << 10))
            self.assert_mistake(self.training("full/run", data=self.data), folder / "run", "No space left")

    def test_full_in_the_middle_of_a_training(self):
        """The first checkpoint fits, the second does not beside it; when there is room again the run continues.
        A checkpoint also holds the choices of kernels, which are more on a machine that has trained other networks."""
        size = self.checkpoint.stat().st_size * 3 // 2  # the first one is not kept before the second is complete
        with commands.file_system(self.folder / "filling", f"size={size}") as folder:
            words = self.training("filling/run", "-checkpoint_interval", 0, data=self.data)
            result = commands.run(*words)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertRegex(result.stderr, r"cords: .*checkpoint.h5.*No space left.*\n\Z")
            self.assertEqual(sorted(path.name for path in (folder / "run").iterdir()), ["checkpoint.h5", "log.csv"])
            subprocess.run(["mount", "-o", "remount,size=1m", folder], check=True)
            self.done(*words)
            self.assert_same_arrays(folder / "run/model.h5", self.model)


class Ranks(BadInput):
    """The same on several ranks: one sentence all the same, every rank's status, no hang."""

    def cases(self):
        return [
            (["-imges", "did you mean -images?"], [*self.evaluate(), "-output", self.out, "-imges", 3]),
            (["nowhere", "No such file"], [*self.simulate(data=self.folder / "nowhere"), "-output", self.out]),
            ([self.config, "not an HDF5 file"], [*self.fixed_points(checkpoint=self.config), "-output", self.out]),
            (["Not a directory"], [*self.stability(), "-output", self.config / "out.h5"]),
            (["Not a directory"], self.training("train.yaml/run", data=self.data)),
            (["-seed 3"], self.training("run", "-seed", 5, data=self.data)),
        ]

    def test_one_sentence(self):
        for expected, words in self.cases():
            with self.subTest(words[0]):
                self.assert_mistake(words, *expected, ranks=2)

    def test_status_of_every_rank(self):
        for _, words in self.cases():
            with self.subTest(words[0]):
                self.assertEqual(commands.statuses(*words, ranks=3), [2, 2, 2])

    def test_full(self):
        with commands.file_system(self.folder / "full", "size=64k") as folder:
            (folder / "filler").write_bytes(b"x" * (56 << 10))
            self.assert_mistake([*self.fixed_points(), "-output", folder / "out.h5"], "No space left", ranks=2)
            self.assert_mistake(self.training("full/run", data=self.data), "No space left", ranks=2)
            self.assertEqual(commands.statuses(*self.training("full/run", data=self.data), ranks=2), [2, 2])

    def test_more_ranks_than_images(self):
        data = commands.write_idx(self.folder / "two", count=2)
        words = self.training("out", data=data)
        for stage in SMALL["stages"]:
            words += [f"-{stage}_samples", 0]
        self.assert_mistake(words, "3 ranks for 2 images", ranks=3)
        self.done(*self.evaluate(data=data), "-output", self.out, ranks=3)
        with h5py.File(self.out) as file:
            self.assertEqual(file["evaluation/label"][()].tolist(), [0, 1])
        self.out.unlink()


if __name__ == "__main__":
    unittest.main(verbosity=2)
