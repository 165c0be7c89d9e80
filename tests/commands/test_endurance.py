"""workflows/imagenet_like.py and workflows/endurance.py on a few small classes: training from tar files, and from packed
files through kills, with the same end; and a difference is found."""

import pathlib
import subprocess
import tarfile

import h5py
import numpy

import commands  # tests/support

WORKFLOWS = commands.SOURCE / "workflows"
CLASSES, IMAGES, VALIDATION, KILLS = 6, 16, 1, 8
TRAINING = commands.merged(
    commands.TRAINING, log_interval=4, kernel={"choice": "order"},
    architecture={"image_rows": 48, "image_columns": 64, "channels": [4, 4, 4]},
    compatibility={"epochs": 1, "batch": 8, "samples": 96, "learning_rate": 0.1, "mix": False},
    inverse={"epochs": 1, "batch": 8, "samples": 48}, finetune={"epochs": 1, "batch": 8, "samples": 48, "mix": False})


def run(script, *words):
    return subprocess.run(["/usr/bin/python3", WORKFLOWS / script, *(str(word) for word in words)], capture_output=True,
                          text=True, timeout=300, env=commands.environment())


class Endurance(commands.Test):
    configuration = TRAINING

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = cls.folder / "data"
        done = run("imagenet_like.py", cls.data, "--classes", CLASSES, "--images", IMAGES, "--validation", VALIDATION)
        if done.returncode:
            raise AssertionError(done.stderr)

    def endurance(self, *words, status=0):
        done = run("endurance.py", "--config", self.config, "--data", self.data, "--output", self.folder / "out",
                   "--cords", commands.CORDS, "--kills", KILLS, *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_kills_and_packed_files(self):
        printed = self.endurance()
        self.assertIn(f"{CLASSES * IMAGES} images of {CLASSES} classes", printed)
        self.assertIn(f"{KILLS} kills", printed)
        self.assertIn("packed files and kills against tar files and none: identical to the last bit", printed)
        self.assertGreater(sum("while a checkpoint was written" in line for line in printed.splitlines()), 2, printed)
        log = (self.folder / "out" / "killed.txt").read_text()
        self.assertGreater(log.count("continued"), KILLS // 2, log)
        with h5py.File(self.folder / "out" / "killed" / "model.h5", "r+") as file:
            name, array = next(iter(file["parameters"].items()))
            array[...] = numpy.nextafter(array[()], numpy.float32(1))
        printed = self.endurance(status=1)
        self.assertIn(f"DIFFERENT in model.h5: parameters/{name}\n", printed)

    def test_files(self):
        """The same images in a second writing, of odd sizes; one PNG called JPEG."""
        again = self.folder / "again"
        run("imagenet_like.py", again, "--classes", CLASSES, "--images", IMAGES, "--validation", VALIDATION)
        for path in (self.data / "ILSVRC2012_img_train.tar", self.data / "ILSVRC2012_img_val.tar"):
            with tarfile.open(path) as one, tarfile.open(again / path.name) as other:
                self.assertEqual(one.getnames(), other.getnames())
                for member in one:
                    self.assertEqual(one.extractfile(member).read(), other.extractfile(member.name).read())
        with tarfile.open(again / "ILSVRC2012_img_train.tar") as outer:
            first = outer.getmembers()[0]
            with tarfile.open(fileobj=outer.extractfile(first)) as inner:
                self.assertEqual(len(inner.getmembers()), IMAGES)
                self.assertEqual(inner.extractfile(inner.getmembers()[0]).read(4), b"\x89PNG")
                self.assertEqual(inner.extractfile(inner.getmembers()[1]).read(2), b"\xff\xd8")

    def test_mistakes(self):
        self.assertIn("--kills 1000: should be 0 to", self.endurance("--kills", 1000, status=2))
        self.assertIn("nowhere.yaml: No such file", self.endurance("--config", "/nowhere.yaml", status=2))
        done = run("imagenet_like.py", self.folder / "none", "--classes", 0)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--classes 0: should be at least 1", done.stderr)
        self.assertFalse(pathlib.Path(self.folder / "none").exists())


if __name__ == "__main__":
    import unittest
    unittest.main(verbosity=2)
