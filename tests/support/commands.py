"""Running cords as a user does: the program, tiny networks, small IDX files, small file systems.

Tests of commands are classes derived from commands.Test, which has a folder of its own for each class."""

import contextlib
import gzip
import hashlib
import os
import pathlib
import struct
import subprocess
import unittest

import h5py
import numpy
import yaml

from scratch import Scratch

SOURCE = pathlib.Path(__file__).resolve().parents[2]
CORDS = os.environ.get("CORDS", str(SOURCE / "build" / "cords"))
IMAGES = pathlib.Path("/usr/share/datasets/fashion-mnist")
SECONDS_MAX = 60

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
MORE_RANKS_THAN_CORES = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_ess_singleton_isolated": "1"}  # one rank without mpirun starts no daemon, which takes its time

# Three areas with a skip connection into the last, all stages that differ in kind, updates of milliseconds.
ARCHITECTURE = {"channels": [2, 3, 3], "strides": [1, 2, 1], "image_rows": 14, "image_columns": 14, "stem_kernel": 3,
                "stem_channels": 2, "stem_stride": 1, "pool_kernel": 3, "pool_stride": 2, "stimulus_steps": 8,
                "spontaneous_steps": 6, "return_steps": 6}
TRAINING = {
    "seed": 3,
    "architecture": ARCHITECTURE,
    "stages": ["compatibility", "inverse", "finetune"],
    "compatibility": {"epochs": 2, "batch": 16, "samples": 160, "learning_rate": 0.05},
    "inverse": {"epochs": 2, "batch": 16, "samples": 160, "learning_rate": 1e-3, "clip": 1.0},
    "finetune": {"epochs": 2, "batch": 16, "samples": 160, "learning_rate": 1e-3, "clip": 1.0, "loss_steps": 6},
}


def environment(**changes):
    return {**os.environ, **ONE_THREAD, **MORE_RANKS_THAN_CORES, **changes}


def command(*words, ranks=1):
    launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    return [*launcher, CORDS, *(str(word) for word in words)]


def run(*words, ranks=1, timeout=SECONDS_MAX, **changes):
    """Run cords to its end.  changes: of the environment."""
    return subprocess.run(command(*words, ranks=ranks), env=environment(**changes), capture_output=True, text=True,
                          timeout=timeout)


def statuses(*words, ranks, timeout=SECONDS_MAX):
    """The exit status of each rank.  A shell around each rank keeps mpirun from ending the others at the first."""
    with Scratch(prefix="cords-ranks-") as folder:
        shell = '"$@"; echo $? > "$0/$OMPI_COMM_WORLD_RANK"'
        subprocess.run(["mpirun", "-n", str(ranks), "sh", "-c", shell, folder, *command(*words)], env=environment(),
                       capture_output=True, timeout=timeout, check=True)
        return [int((pathlib.Path(folder) / str(rank)).read_text()) for rank in range(ranks)]


def parameters(path, group="parameters"):
    """All arrays of a group by name."""
    with h5py.File(path) as file:
        return {name: array[()] for name, array in file[group].items()}


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def tree(folder):
    """Everything below a folder: files with size and time, folders by name."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None
            for path in pathlib.Path(folder).rglob("*")}


def merged(configuration, **changes):
    """A configuration with changes; dictionaries in it are changed, not replaced."""
    return {**configuration,
            **{key: {**configuration.get(key, {}), **value} if isinstance(value, dict) else value
               for key, value in changes.items()}}


def idx_bytes(array):
    """An IDX file: images for three dimensions, labels for one."""
    array = numpy.asarray(array, dtype=numpy.uint8)
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, count=20, compress=False, labels=None, prefixes=("train", "t10k")):
    """Both splits of a small dataset of noise.  Returns the folder."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(1)
    labels = numpy.arange(count) % 10 if labels is None else labels
    for prefix in prefixes:
        for name, array in ((f"{prefix}-images-idx3-ubyte", random.integers(0, 256, (count, 28, 28))),
                            (f"{prefix}-labels-idx1-ubyte", labels)):
            contents = idx_bytes(array)
            (folder / (name + (".gz" if compress else ""))).write_bytes(
                gzip.compress(contents, mtime=0) if compress else contents)
    return folder


@contextlib.contextmanager
def file_system(folder, options):
    """A file system in memory.  Without the right to mount this fails: what it is for would stay untested."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


class Test(unittest.TestCase):
    """A class of tests with a folder, a configuration file in it and what to look at after each command."""

    configuration = TRAINING

    @classmethod
    def setUpClass(cls):
        folder = Scratch(prefix="cords-commands-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.config = cls.write_config("train.yaml", cls.configuration)

    @classmethod
    def write_config(cls, name, configuration):
        path = cls.folder / name
        path.write_text(yaml.safe_dump(configuration))
        return path

    @classmethod
    def training(cls, output, *words, config=None, data=IMAGES):
        """The words of a training command."""
        return ["train", "-config", config or cls.config, "-data", data, "-output", cls.folder / output, *words]

    @classmethod
    def done(cls, *words, **options):
        """Run a command that must succeed; returns what it printed."""
        result = run(*words, **options)
        if result.returncode:
            raise AssertionError(f"{' '.join(map(str, words))}: status {result.returncode}\n"
                                 f"{result.stdout}{result.stderr}")
        return result.stdout + result.stderr

    def assert_mistake(self, words, *expected, ranks=1):
        """The command fails with one sentence that has the expected words in it, status 2, and leaves no file.
        Returns the run."""
        before = tree(self.folder)
        result = run(*words, ranks=ranks)
        sentences = [line for line in result.stderr.splitlines() if line.startswith("cords: ")]
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(len(sentences), 1, result.stderr)
        self.assertNotIn("PETSC ERROR", result.stderr)
        if ranks == 1:
            self.assertEqual(result.stderr, sentences[0] + "\n")
        for words in expected:
            self.assertIn(str(words), sentences[0])
        self.assertEqual(tree(self.folder), before, "something was left behind or changed")
        return result

    def assert_same_arrays(self, one, other, group="parameters"):
        """Bit-identical, not just equal."""
        one, other = parameters(one, group), parameters(other, group)
        self.assertTrue(one)
        self.assertEqual(sorted(one), sorted(other))
        self.assertEqual([name for name in one if one[name].tobytes() != other[name].tobytes()], [])
