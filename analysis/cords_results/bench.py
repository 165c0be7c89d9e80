"""What `cords bench -output` writes: one row per case."""

import re

import numpy

from cords_results import MissingResult

# The meaning of bench/limit says the same.
LIMITS = ("none", "f32", "f64", "bf16", "memory", "file", "peer")
NUMBERS = ("amount", "median", "spread", "ratio", "gemm_ratio", "value", "peak_memory", "planned_memory")
GROWTH = re.compile(r"growth (.+), (\w+) \d+")


def cases(file):
    """[{name, limit, amount, median, ...}] in the order in which they were measured."""
    names = [bytes(row).split(b"\0")[0].decode() for row in file["bench/benchmark"].values]
    limits = [LIMITS[number] for number in file["bench/limit"].values]
    numbers = {key: file[f"bench/{key}"].values for key in NUMBERS}
    return [dict(name=name, limit=limit, **{key: values[row] for key, values in numbers.items()})
            for row, (name, limit) in enumerate(zip(names, limits))]


def growth(file):
    """{(work, axis): {amount, median, ...: array over the cases}}."""
    found = {}
    for case in cases(file):
        match = GROWTH.fullmatch(case["name"])
        if match:
            found.setdefault(match.groups(), []).append(case)
    if not found:
        raise MissingResult(f"{file.path}: no case of cords bench growth is in it")
    return {key: {name: numpy.array([row[name] for row in rows]) for name in NUMBERS} for key, rows in found.items()}
