"""Open what cords wrote: arrays with their axes, units and meanings, and how each file was made.

    run = Run("results/demo")
    points = run.file("fixed_points.h5")
    state = points["fixed_points/state"]      # state.axes == ("point", "neuron"), state.unit, state.meaning
    state.values                              # a NumPy array, read now
    points.run["options"], points.attributes("fixed_points")["tolerance"]
    run.log()["finetune"]["accuracy"]         # columns of train/log.csv, one table per stage

Whatever a file can tell is read from it.  An error is one sentence in a ResultError."""

import csv
import hashlib
import math
import os

import h5py
import numpy


# Which command writes a file of a run.
WRITERS = {"log.csv": "cords train", "evaluation.h5": "cords evaluate", "evaluation_cnn.h5": "cords evaluate",
           "activity.h5": "cords simulate", "fixed_points.h5": "cords analyse fixed_points",
           "stability.h5": "cords analyse stability", "bench.h5": "cords bench", "bench_growth.h5": "cords bench growth",
           "accuracy.h5": "workflows/accuracy.py gather"}


class ResultError(Exception):
    """A file that cannot be used; the text is one sentence that names it."""


class MissingResult(ResultError):
    """A file or array that is not there; the rest of the run can still be looked at."""


def _absent(path):
    """The error of a file that is not there; it tells which command writes it, where that is known."""
    writer = WRITERS.get(os.path.basename(path))
    if writer:  # a training writes a folder
        writer += f" … -output {os.path.dirname(path) if path.endswith('.csv') else path}"
    return MissingResult(f"{path}: there is no such file" + (f"; {writer} writes it" if writer else ""))


def _plain(value):
    """An attribute as str, int, float or list: HDF5 and NumPy wrap them in several ways."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, numpy.ndarray):
        values = [_plain(item) for item in value.ravel()]
        return values[0] if value.size == 1 else values
    if isinstance(value, numpy.generic):
        return _plain(value.item())
    return "" if isinstance(value, h5py.Empty) else value


def _attributes(thing):
    return {name: _plain(value) for name, value in thing.attrs.items()}


def _complex(values):
    """Compounds {r, i} that h5py did not turn into complex numbers itself."""
    if values.dtype.names and set(values.dtype.names) == {"r", "i"}:
        return values["r"] + 1j * values["i"]
    return values


class Array:
    """One array of a file.  Numbers are read when asked for; attributes are there at once."""

    BLOCK = 1 << 22  # numbers read at a time by blocks()

    def __init__(self, path, name, dataset):
        attributes = _attributes(dataset)
        self.path, self.name, self.shape = path, name, dataset.shape
        self.axes = tuple(word.strip() for word in str(attributes.get("axes", "")).split(",") if word.strip())
        self.unit = str(attributes.get("unit", ""))
        self.meaning = str(attributes.get("meaning", ""))
        if len(self.axes) != len(self.shape):
            self.axes = tuple(f"axis {number}" for number in range(len(self.shape)))
        self._dataset, self._values = dataset, None

    def _read(self, selection):
        try:
            return _complex(self._dataset[selection])
        except (OSError, RuntimeError, ValueError) as problem:
            raise ResultError(f"{self.path}: array {self.name} cannot be read, the file is damaged; "
                              "make it again") from problem

    @property
    def values(self):
        if self._values is None:
            self._values = self._read(())
        return self._values

    def blocks(self):
        """The numbers in pieces that fit into memory, flat."""
        if not self.shape:
            yield numpy.atleast_1d(self._read(()))
            return
        row = max(1, math.prod(self.shape[1:]))
        rows = max(1, self.BLOCK // row)
        for start in range(0, self.shape[0], rows):
            yield numpy.asarray(self._read(slice(start, start + rows))).ravel()

    def axis(self, name):
        """Position of an axis."""
        if name not in self.axes:
            raise MissingResult(f"{self.path}: array {self.name} has the axes {', '.join(self.axes)}, "
                                f"{name} is not among them")
        return self.axes.index(name)

    def per(self, *names, reduce=numpy.mean):
        """The numbers along the named axes, in this order; all other axes are reduced away."""
        keep = [self.axis(name) for name in names]
        rest = tuple(i for i in range(len(self.shape)) if i not in keep)
        values = self.values.transpose(keep + list(rest))
        return reduce(values, axis=tuple(range(len(keep), len(self.shape)))) if rest else values

    def label(self, text=None):
        """Words for a figure's axis or a table's head: the meaning and the unit that the file gives."""
        text = text or self.meaning or self.name.rsplit("/", 1)[-1].replace("_", " ")
        return text if self.unit in ("", "1") else f"{text} ({self.unit})"


class ResultFile:
    """An open HDF5 file of cords."""

    def __init__(self, path):
        self.path = os.fspath(path)
        if not os.path.exists(self.path):
            raise _absent(self.path)
        try:
            self._file = h5py.File(self.path, "r")
            self.run = _attributes(self._file["run"]) if "run" in self._file else {}
            self._arrays = self._list()
        except PermissionError as problem:
            raise ResultError(f"{self.path}: not readable: {problem.strerror}") from problem
        except (OSError, RuntimeError, KeyError, ValueError) as problem:
            raise ResultError(f"{self.path}: not a complete HDF5 file; make it again") from problem

    def _list(self):
        arrays = {}

        def visit(name, thing):
            if isinstance(thing, h5py.Dataset):
                arrays[name] = Array(self.path, name, thing)
        self._file.visititems(visit)
        return arrays

    def __contains__(self, name):
        return name.strip("/") in self._arrays

    def __getitem__(self, name):
        name = name.strip("/")
        if name not in self._arrays:
            raise MissingResult(f"{self.path}: there is no array {name}; "
                                "the file was made by another command or version of cords")
        return self._arrays[name]

    def names(self, group=""):
        """Names of all arrays in and below a group, sorted."""
        group = group.strip("/")
        return sorted(name for name in self._arrays if not group or name.startswith(group + "/"))

    def attributes(self, group):
        """Attributes of a group; empty if there is no such group."""
        return _attributes(self._file[group]) if group in self._file else {}

    def close(self):
        self._file.close()

    def inputs(self):
        """What the file was made from: pairs (SHA-256 digest, path)."""
        pairs = []
        for name in sorted((n for n in self.run if n.startswith("input_")), key=lambda n: (len(n), n)):
            digest, _, path = str(self.run[name]).partition(" ")
            pairs.append((digest.removeprefix("sha256:"), path))
        return pairs


def stable_time_constants(file):
    """Slowest time constants [point, area] of a stability file, NaN where the point's verdict is not "stable":
    there the number that stands in the file says nothing."""
    values = file["stability/slowest_time_constant_ms"].per("point", "area").astype(float)
    values[~(values > 0) | ~numpy.isfinite(values)] = numpy.nan
    values[file["stability/verdict"].values != 1] = numpy.nan
    return values


class Run:
    """A folder of results; closes its files at the end of a `with`."""

    def __init__(self, folder):
        self.folder = os.fspath(folder)
        if not os.path.isdir(self.folder):
            raise ResultError(f"{self.folder}: there is no such folder; give the one that holds the results of a run")
        self._files, self._digests = {}, {}
        if not self.files() and not os.path.exists(self.path("train/log.csv")):
            raise ResultError(f"{self.folder}: no results of cords in this folder "
                              "(expected train/log.csv, evaluation.h5, fixed_points.h5 or the like)")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for file in self._files.values():
            file.close()
        self._files.clear()

    def path(self, name):
        return os.path.join(self.folder, name)

    def files(self):
        """Names of the HDF5 files of this run, in it or one folder below it."""
        found = []
        for folder, below, names in os.walk(self.folder):
            below[:] = sorted(n for n in below if not n.startswith(".")) if folder == self.folder else []
            found += [os.path.relpath(os.path.join(folder, n), self.folder) for n in names if n.endswith(".h5")]
        return sorted(found, key=lambda name: (os.path.dirname(name) == "", name))

    def file(self, name):
        """An open file; MissingResult if it is not there."""
        if name not in self._files:
            self._files[name] = ResultFile(self.path(name))
        return self._files[name]

    def digest(self, name):
        """SHA-256 of a file of this run."""
        if name not in self._digests:
            digest = hashlib.sha256()
            with open(self.path(name), "rb") as stream:
                for block in iter(lambda: stream.read(1 << 20), b""):
                    digest.update(block)
            self._digests[name] = digest.hexdigest()
        return self._digests[name]

    def log(self):
        """train/log.csv as {stage: {column: array}}, stages in order of appearance; empty cells are NaN.
        Where a run was stopped and continued, the later row of an update counts."""
        path = self.path("train/log.csv")
        if not os.path.exists(path):
            raise _absent(path)
        stages = {}
        try:
            with open(path, newline="", encoding="utf-8") as stream:
                reader = csv.DictReader(stream)
                absent = {"stage", "update", "loss"} - set(reader.fieldnames or ())
                if absent:
                    raise ResultError(f"{path}: there is no column {sorted(absent)[0]}; not a training log of cords")
                columns = [name for name in reader.fieldnames if name != "stage"]
                for row in reader:
                    numbers = {name: float(row[name] or "nan") for name in columns}
                    stages.setdefault(row["stage"], {})[numbers["update"]] = numbers
        except (ValueError, TypeError, KeyError, UnicodeDecodeError, csv.Error) as problem:
            raise ResultError(f"{path}: a cell is not a number (line {reader.line_num}); "
                              "the file is damaged") from problem
        except OSError as problem:
            raise ResultError(f"{path}: not readable: {problem.strerror}") from problem
        if not stages:
            raise MissingResult(f"{path}: holds no rows yet")
        return {stage: {name: numpy.array([rows[update][name] for update in sorted(rows)]) for name in columns}
                for stage, rows in stages.items()}
