"""Datasets of image files through whole commands: training, evaluation, packing; images that cannot be decoded."""

import io
import os
import pathlib
import shutil
import tarfile
import unittest

import h5py
import numpy
import scipy.io
from PIL import Image

import commands  # tests/support

WNIDS = ("n02000000", "n03000000", "n01440764", "n04000000")  # in the order of the development kit

def picture(number, kind="JPEG", rows=30, columns=40, mode="RGB"):
    """The bytes of a smooth picture."""
    row, column = numpy.mgrid[:rows, :columns]
    pixels = numpy.stack([40 + 30 * number % 120 + row, 60 + column, 200 - row - column], axis=-1).astype(numpy.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind, **({"quality": 92} if kind == "JPEG" else {}))
    return stream.getvalue()


def write_folder(folder, per_class=6, spoilt=()):
    """Two classes in both splits; the pictures of `spoilt` (split, class, number) are cut off."""
    for split in ("train", "val"):
        for k, name in enumerate(("ant", "bee")):
            (folder / split / name).mkdir(parents=True)
            for i in range(per_class):
                kind, mode = (("PNG", "RGBA"), ("JPEG", "CMYK"), ("JPEG", "L"), ("JPEG", "RGB"))[i % 4]
                contents = picture(7 * k + i, kind, 30 + i, 40 - 3 * i, mode)
                if (split, name, i) in spoilt:
                    contents = contents[:-20]
                (folder / split / name / f"{i}.jpg").write_bytes(contents)
    return folder


def add(tar, name, contents):
    member = tarfile.TarInfo(name)
    member.size = len(contents)
    tar.addfile(member, io.BytesIO(contents))


def tar_bytes(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, contents in members:
            add(tar, name, contents)
    return stream.getvalue()


def write_imagenet(folder, per_class=4):
    """The distributed form: a tar of tars, a flat tar, the development kit."""
    folder.mkdir()
    inner = [(f"{wnid}.tar", tar_bytes((f"{wnid}_{i}.JPEG", picture(5 * k + i)) for i in range(per_class)))
             for k, wnid in enumerate(WNIDS)]
    (folder / "ILSVRC2012_img_train.tar").write_bytes(tar_bytes(inner))
    truth = [3, 1, 4, 2, 1]
    (folder / "ILSVRC2012_img_val.tar").write_bytes(
        tar_bytes((f"ILSVRC2012_val_{i + 1:08}.JPEG", picture(i)) for i in range(len(truth))))
    kit = folder / "ILSVRC2012_devkit_t12" / "data"
    kit.mkdir(parents=True)
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{number}\n" for number in truth))
    synsets = numpy.array([[(k + 1, wnid, "words", 0)] for k, wnid in enumerate(WNIDS)] + [[(1500, "n00001740", "", 3)]],
                          dtype=[(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "num_children")])
    scipy.io.savemat(kit / "meta.mat", {"synsets": synsets}, do_compression=True)
    return [sorted(WNIDS).index(WNIDS[number - 1]) for number in truth]


class Images(commands.Test):
    configuration = {
        "seed": 3, "architecture": commands.ARCHITECTURE, "stages": ["finetune"],
        "finetune": {"epochs": 2, "batch": 4, "learning_rate": 1e-3, "clip": 1.0, "loss_steps": 6}}

    def good(self, *words, **settings):
        result = commands.run(*words, **settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def mistake(self, *words):
        result = commands.run(*words)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertRegex(result.stderr.splitlines()[-1], r"\Acords: ")
        return result.stderr

    def train(self, dataset, data, output, *words, **settings):
        return self.good("train", "-config", self.config, "-dataset", dataset, "-data", data, "-output", output, *words,
                         **settings)

    def test_left_out(self):
        """Training and evaluation go on without two pictures, on any number of ranks, and list them."""
        data = write_folder(self.folder / "left_out",
                            spoilt=(("train", "ant", 3), ("train", "bee", 0), ("val", "bee", 2)))
        losses, logs = [], []
        for ranks, threads in ((1, 0), (2, 2), (1, 3)):
            output = self.folder / f"left_out_{ranks}"
            if output.exists():
                shutil.rmtree(output)
            result = self.train("folder", data, output, "-loader_threads", threads, ranks=ranks)
            self.assertRegex(result.stdout, r"(?m)^loading: stage finetune, 2 epochs: waited [0-9.]+ s of [0-9.]+ s for "
                             rf"images \([0-9.]+ %\), [0-9]+ images/s per core, decoding threads: {threads}$")
            self.assertIn("images left out: 2", result.stdout)
            self.assertIn("ant/3.jpg, is a truncated JPEG image: its end is missing; it is left out", result.stderr)
            lines = (output / "skipped_images.txt").read_text().splitlines()
            self.assertEqual([line.split()[0] for line in lines], ["3", "6"])
            self.assertTrue(lines[1].endswith("bee/0.jpg"))
            losses.append(numpy.genfromtxt(output / "log.csv", delimiter=",", names=True, dtype=None,
                                           encoding=None)["loss"])
            logs.append((output / "log.csv").read_bytes())
        numpy.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
        self.assertEqual(logs[0], logs[2])  # any number of threads: the same bytes
        file = self.folder / "left_out.h5"
        result = self.good("evaluate", "-checkpoint", self.folder / "left_out_1/model.h5", "-dataset", "folder", "-data",
                           data, "-output", file, "-loader_threads", 2)
        self.assertRegex(result.stdout, r"(?m)^loading: waited .*, decoding threads: 2$")
        # one OpenMP thread: the other processors decode
        threads = min(4, len(os.sched_getaffinity(0)) - 1)
        automatic = self.good("evaluate", "-checkpoint", self.folder / "left_out_1/model.h5", "-dataset", "folder",
                              "-data", data, "-output", self.folder / "automatic.h5", OMP_NUM_THREADS="1")
        self.assertRegex(automatic.stdout, rf"(?m)^loading: waited .*, decoding threads: {threads}$")
        self.assertIn("images left out: 1", result.stdout)
        self.assertIn("on 11 images", result.stdout)
        with h5py.File(file) as results:
            self.assertEqual(list(results["evaluation/skipped"]), [8])
            predicted, label = results["evaluation/predicted"][()], results["evaluation/label"][()]
            self.assertEqual(list(numpy.flatnonzero(predicted < 0)), [8])
            self.assertEqual(list(label), [0] * 6 + [1] * 6)
            right = (predicted == label).sum() / 11
            self.assertAlmostEqual(results["evaluation/accuracy"][-1], right)
            self.assertEqual(results["evaluation/confusion"][()].sum(), 11)

    def test_strict(self):
        data = write_folder(self.folder / "strict", spoilt=(("train", "bee", 1),))
        sentences = []
        for threads in (0, 3):
            sentence = self.mistake("train", "-config", self.config, "-dataset", "folder", "-data", data, "-output",
                                    self.folder / f"strict_{threads}", "-strict_images", "-loader_threads", threads)
            self.assertIn("bee/1.jpg, is a truncated JPEG image", sentence)
            self.assertIn("without -strict_images it is left out", sentence)
            sentences.append(sentence)
        self.assertEqual(sentences[0], sentences[1])

    def test_imagenet(self):
        """The distributed form, and the same packed: the same losses; labels are ranks of WordNet ids."""
        data = self.folder / "imagenet"
        labels = write_imagenet(data)
        packed = self.folder / "packed"
        packed.mkdir()
        for split, name in (("train", "train.h5"), ("test", "val.h5")):
            self.good("pack", "-dataset", "imagenet", "-data", data, "-split", split, "-output", packed / name)
        with h5py.File(packed / "val.h5") as file:
            self.assertEqual(list(file["images/label"]), labels)
            self.assertEqual(bytes(file["images/classes"][()]).decode().split(), sorted(WNIDS))
            offset, number = file["images/offset"][()], 2
            self.assertEqual(bytes(file["images/data"][offset[number]:offset[number + 1]]), picture(number))
            self.assertIn("ILSVRC2012_val_00000003.JPEG", bytes(file["images/name"][()]).decode().splitlines()[number])
            self.assertEqual(file["images/written"][0], len(labels))
        logs = []
        for dataset, folder in (("imagenet", data), ("packed", packed)):
            self.train(dataset, folder, self.folder / f"run_{dataset}")
            logs.append(numpy.genfromtxt(self.folder / f"run_{dataset}" / "log.csv", delimiter=",", names=True,
                                         dtype=None, encoding=None)["loss"])
        numpy.testing.assert_array_equal(*logs)

    def test_pack(self):
        """A second run finds everything done; damage is found."""
        data, file = write_folder(self.folder / "pack"), self.folder / "pack.h5"
        words = "pack", "-dataset", "folder", "-data", data, "-output", file
        self.assertRegex(self.good(*words).stdout, r"pack\.h5: 12 images, \d+ bytes, sha256:[0-9a-f]{64}, complete")
        digest = commands.digest(file)
        self.assertIn("is there already", self.good(*words, ranks=2).stdout)
        self.assertEqual(commands.digest(file), digest)
        self.good("pack", "-check", file)
        with h5py.File(file) as contents:
            place = contents["images/data"].id.get_offset() + 100
        contents = bytearray(file.read_bytes())
        contents[place] ^= 1
        file.write_bytes(contents)
        self.assertIn("is damaged: its images have the digest", self.mistake("pack", "-check", file))

    def test_bad_input(self):
        data = write_folder(self.folder / "bad")
        output = self.folder / "bad.h5"
        for words, expected in (
                (("-dataset", "folder", "-data", self.folder / "nowhere", "-output", output), "No such file or directory"),
                (("-dataset", "foldr", "-data", data, "-output", output), "did you mean 'folder'"),
                (("-dataset", "packed", "-data", data, "-output", output), "is packed already"),
                (("-dataset", "folder", "-data", data), "-output"),
                (("-dataset", "folder", "-data", data, "-output", self.folder / "no/such/bad.h5"), "cannot write"),
                (("-check", self.config), "is not an HDF5 file"),
                (("-check", self.folder / "nothing.h5"), "No such file")):
            with self.subTest(words):
                self.assertIn(expected, self.mistake("pack", *words))
        self.assertFalse(pathlib.Path(f"{output}.part").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
