"""Tables of the report: what the files say about themselves, number by number."""

import os

import numpy

from cords_results import MissingResult

VERDICTS = {1: "stable", -1: "unstable", 0: "undecided"}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COLUMNS_MAX = 8   # a second axis up to this long becomes columns
ROWS_MAX = 200    # longer tables are summarised instead
INPUT_MARKS = {"same": "is the file of this run", "other": "differs from the file that is in this run now",
               "outside": ""}


def number(value, digits=4):
    """One number for a reader: thousands apart, powers of ten written out."""
    if isinstance(value, (complex, numpy.complexfloating)):
        sign = "−" if value.imag < 0 else "+"
        return f"{number(value.real, digits)} {sign} {number(abs(value.imag), digits)} i"
    if isinstance(value, (int, numpy.integer, bool, numpy.bool_)):
        return f"{int(value):,}".replace("-", "−")
    if not numpy.isfinite(value):
        return "not a number" if numpy.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - int(numpy.floor(numpy.log10(abs(value))))) if value else 0
        text = f"{value:,.{decimals}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    mantissa, _, exponent = f"{value:.{min(digits, 3) - 1}e}".partition("e")
    return f"{mantissa.replace('-', '−')}\u202f×\u202f10{str(int(exponent)).translate(SUPERSCRIPT)}"


def with_unit(value, unit):
    return f"{value}\u00a0{unit}" if unit not in ("", "1") else value


def statistics(array):
    """Count, least, mean and largest of an array, read in pieces: dict of texts."""
    count = bad = 0
    total, least, largest = 0.0, numpy.inf, -numpy.inf
    for block in array.blocks():
        if block.dtype.kind not in "fiubc":
            return dict(least="", mean="", largest="", note="not numbers")
        good = block[numpy.isfinite(block)]
        bad += block.size - good.size
        count += good.size
        if not good.size:
            continue
        total += good.sum(dtype=complex if block.dtype.kind == "c" else float)
        size = good.real if block.dtype.kind == "c" else good
        least, largest = min(least, size.min()), max(largest, size.max())
    if not count:
        return dict(least="", mean="", largest="", note="empty" if not bad else "no finite number")
    note = f"{bad:,} not finite" if bad else ""
    if isinstance(total, complex):
        note = "least and largest real part" + (f"; {note}" if note else "")
    return dict(least=number(least), mean=number(total / count), largest=number(largest), note=note)


def arrays(run, skip=("checkpoint.h5",)):
    """Every array of every file: shape, unit, meaning and range."""
    tables = []
    for name in run.files():
        if os.path.basename(name) in skip:
            continue
        file = run.file(name)
        rows = []
        for array_name in file.names():
            array = file[array_name]
            shape = " × ".join(f"{axis} {size:,}" for axis, size in zip(array.axes, array.shape)) or "one number"
            rows.append(dict(name=array_name, shape=shape, unit=array.unit, meaning=array.meaning,
                             **statistics(array)))
        tables.append(dict(file=name, rows=rows))
    return tables


def cell(name, value):
    if name == "verdict":
        return VERDICTS.get(int(value), number(value))
    return number(value)


def first_columns(file, name):
    """Order of columns: which image first, then single numbers, then numbers per area."""
    short = name.rsplit("/", 1)[-1]
    known = ("image", "label", "predicted", "verdict")
    return (len(file[name].shape), known.index(short) if short in known else len(known), short)


def rows(file, group, axis):
    """A group's arrays side by side, one row per entry of `axis`: dict(axis, head, deep, body), or None where it would
    be too long.  Arrays of two axes become several columns where the second is short."""
    head, columns, lengths = [], [], set()
    for name in sorted(file.names(group), key=lambda name: first_columns(file, name)):
        array = file[name]
        narrow = len(array.shape) <= 2 and max(array.shape[1:], default=0) <= COLUMNS_MAX
        if array.axes[:1] != (axis,) or not narrow:
            continue
        short = name.rsplit("/", 1)[-1]
        values = array.values
        if short == axis and numpy.array_equal(values, numpy.arange(len(values))):
            continue  # the row's number again
        parts = [values] if values.ndim == 1 else list(values.T)
        head.append(dict(text=short.removesuffix(f"_{array.unit}").replace("_", " "), meaning=array.meaning,
                         unit="" if array.unit == "1" else array.unit,
                         parts=[] if values.ndim == 1 else [f"{array.axes[1]} {i}" for i in range(len(parts))]))
        columns += [[cell(short, value) for value in part] for part in parts]
        lengths.add(array.shape[0])
    if len(lengths) != 1 or max(lengths) > ROWS_MAX:
        return None
    return dict(axis=axis, head=head, deep=any(entry["parts"] for entry in head),
                body=[[str(i), *values] for i, values in enumerate(zip(*columns))])


# What is shown row by row: title, file, group, axis, what to say about it.
BY_ROW = [
    ("Areas", "fixed_points.h5", "areas", "area", "The areas of the network."),
    ("Accuracy at each step", "evaluation.h5", "evaluation", "step", "Step 0 is the first with the image."),
    ("Fixed points", "fixed_points.h5", "fixed_points", "point",
     "One row per point; image −1 is the spontaneous state."),
    ("Stability", "stability.h5", "stability", "point",
     "One row per fixed point; a fixed point is stable if every eigenvalue's real part is negative."),
]


def by_row(run):
    tables = []
    for title, name, group, axis, about in BY_ROW:
        try:
            table = rows(run.file(name), group, axis)
        except MissingResult:
            continue
        if table:
            tables.append(dict(title=title, about=about, **table))
    return tables


def input_state(run, digest, path):
    """Is an input a file of this run, and still the same?  "same", "other", or "outside" (not in the run's folder)."""
    words = os.path.normpath(path).split(os.sep)
    for name in run.files():
        parts = name.split(os.sep)
        folder = os.path.basename(os.path.abspath(run.folder))
        if words[-len(parts) - 1:] == [folder] + parts or words == parts:
            return "same" if run.digest(name) == digest else "other"
    return "outside"


def provenance(run):
    """How every file was made.  What all files have in common is told once."""
    files = {name: run.file(name) for name in run.files()}
    described = [file.run for file in files.values() if file.run]
    common = {}
    if len(described) > 1:
        common = {key: value for key, value in described[0].items()
                  if key not in ("command", "options", "date") and not key.startswith("input_")
                  and all(other.get(key) == value for other in described)}
    made = []
    for name, file in files.items():
        facts = [(key, str(value)) for key, value in file.run.items()
                 if key not in common and not key.startswith("input_")]
        inputs = [dict(path=path, digest=digest, state=INPUT_MARKS[input_state(run, digest, path)])
                  for digest, path in file.inputs()]
        made.append(dict(file=name, digest=run.digest(name), facts=facts, inputs=inputs))
    return dict(common=[(key, str(value)) for key, value in common.items()], files=made)


def architecture(run):
    """The architecture text of the final model, or ""."""
    for name in ("train/model.h5", "train/checkpoint.h5", "train/cnn.h5"):
        try:
            file = run.file(name)
        except MissingResult:
            continue
        for group in ("parameters", "/"):
            text = file.attributes(group).get("architecture", "")
            if text:
                return str(text)
    return ""
