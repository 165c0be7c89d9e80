#!/usr/bin/python3
"""Accuracies of many trainings in one file, and as a table:

    accuracy.py gather -output accuracy.h5 runs/DATA/NETWORK/seed_N ...
    accuracy.py table accuracy.h5

A run's folder holds train/model.h5, evaluation.h5 (the recurrent network) and evaluation_cnn.h5 (the CNN of stage 1, from
which it was trained).  Where a combination was not run, the file has NaN."""

import datetime
import hashlib
import os
import pathlib
import re
import sys

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "analysis"))

import cords_results  # noqa: E402  (found by the line above)
from cords_results.accuracy import Sweep  # noqa: E402

FOLDER = re.compile(r"(?:.*/)?([^/]+)/([^/]+)/seed_(\d+)/?")


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def number_of_parameters(file):
    """How many numbers a network has in its file."""
    return sum(int(numpy.prod(file[name].shape)) for name in file.names("parameters"))


def read_run(folder):
    """What one training gave: dict(data, network, seed, …)."""
    match = FOLDER.fullmatch(folder)
    if not match:
        raise cords_results.ResultError(f"{folder}: should end in DATA/NETWORK/seed_N")
    data, network, seed = match.group(1), match.group(2), int(match.group(3))
    with cords_results.Run(folder) as run:
        model = run.file("train/model.h5")
        if int(model.run.get("seed", seed)) != seed:
            raise cords_results.ResultError(f"{model.path}: was trained with seed {model.run['seed']}, not {seed}")
        found = dict(data=data, network=network, seed=seed, parameters=number_of_parameters(model), made=dict(model.run))
        for what, name in (("recurrent", "evaluation.h5"), ("cnn", "evaluation_cnn.h5")):
            file = run.file(name)
            accuracy = file["evaluation/accuracy"].per("step")
            found.update({what: float(accuracy[-1]), f"{what}_steps": accuracy, f"{what}_input": file.path,
                          "images": len(file["evaluation/label"].values)})
    return found


def ordered(runs, key):
    return list(dict.fromkeys(run[key] for run in runs))


class Writer:
    """accuracy.h5: complete or not there, every array with axes, unit and meaning."""

    def __init__(self, path):
        self.path, self.part = path, f"{path}.part"
        self.file = h5py.File(self.part, "w")

    def array(self, name, values, axes, unit, meaning):
        self.file.create_dataset(f"accuracy/{name}", data=values).attrs.update(axes=axes, unit=unit, meaning=meaning)

    def provenance(self, runs):
        attributes = self.file.create_group("run").attrs
        for key in ("version", "commit", "libraries", "host"):
            if key in runs[0]["made"]:
                attributes[key] = runs[0]["made"][key]
        attributes.update(command="accuracy.py gather", options=" ".join(sys.argv[1:]),
                          date=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
        paths = [run[f"{what}_input"] for run in runs for what in ("recurrent", "cnn")]
        for number, path in enumerate(paths):
            attributes[f"input_{number}"] = f"sha256:{digest(path)} {path}"

    def finish(self):
        self.file.close()
        os.replace(self.part, self.path)


def gather(output, folders):
    runs = [read_run(folder) for folder in folders]
    data, networks, seeds = (ordered(runs, key) for key in ("data", "network", "seed"))
    shape = len(data), len(networks), len(seeds)
    steps = max(len(run["recurrent_steps"]) for run in runs)
    values = {what: numpy.full(shape, numpy.nan) for what in ("recurrent", "cnn")}
    over_time = numpy.full((*shape, steps), numpy.nan)
    images, parameters = numpy.zeros(len(data), "i8"), numpy.zeros(len(networks), "i8")
    for run in runs:
        place = data.index(run["data"]), networks.index(run["network"]), seeds.index(run["seed"])
        for what in values:
            values[what][place] = run[what]
        over_time[place][:len(run["recurrent_steps"])] = run["recurrent_steps"]
        images[place[0]], parameters[place[1]] = run["images"], run["parameters"]
    out = Writer(output)
    axes = "data,network,seed"
    out.array("data", numpy.array(data, "S"), "data", "1", "name of the data set")
    out.array("network", numpy.array(networks, "S"), "network", "1", "name of the network")
    out.array("seed", numpy.array(seeds, "i8"), "seed", "1", "key of the training's random numbers")
    out.array("images", images, "data", "1", "number of images that were classified")
    out.array("parameters", parameters, "network", "1", "numbers in the file of the recurrent network")
    out.array("recurrent", values["recurrent"], axes, "1", "fraction classified correctly by the recurrent network at the last step")
    out.array("cnn", values["cnn"], axes, "1", "fraction classified correctly by the CNN from which it was trained")
    out.array("over_time", over_time, f"{axes},step", "1", "fraction classified correctly at each step with the image")
    out.provenance(runs)
    out.finish()


def table(path):
    sweep = Sweep(cords_results.ResultFile(path))
    lines = [("data", "test images", "network", "CNN (%)", "CordsNet (%)", "CordsNet - CNN", "seeds")]
    for row in sweep.rows():
        lines.append((row.data, f"{row.images}", row.network, row.text("cnn"), row.text("recurrent"),
                      row.text("difference", sign="+"), f"{row.count}"))
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    print("mean over seeds ± standard deviation of one training (n - 1); the difference is taken seed by seed")


def main(words):
    try:
        if len(words) > 3 and words[:2] == ["gather", "-output"]:
            gather(words[2], words[3:])
        elif len(words) == 2 and words[0] == "table":
            table(words[1])
        else:
            raise cords_results.ResultError("usage: accuracy.py gather -output OUT.h5 RUN ..., or accuracy.py table FILE.h5")
    except (cords_results.ResultError, OSError) as problem:
        print(f"accuracy.py: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
