#!/usr/bin/python3
"""Train on ImageNet's tar files, undisturbed; train on the same images in packed files while the program is killed
(SIGKILL) at random moments, every other time while it saves; compare the two ends bit by bit.

    workflows/endurance.py --config workflows/config/train_imagenet_like.yaml --data DIR --output OUT --kills 50

DIR holds ImageNet's tar files.  The configuration gives the samples of each epoch.  Run again it continues; what the
kills of an earlier run did stays in OUT/kills.csv."""

import argparse
import csv
import math
import pathlib
import random
import signal
import subprocess
import sys
import time

import h5py
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
POLL_S = 0.002
START_S = 0.5      # a kill before the first save comes within this time
SAVE_S_MAX = 60.0  # and one that waits for a save after such a time at last


class Mistake(Exception):
    """What the user can correct; the text is one sentence."""


def stamp(path):
    """Tells one state of a file from another; None: it is not there."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def updates_of_stages(path):
    """How many updates each stage has."""
    try:
        config = yaml.safe_load(path.read_text())
        return [config[name]["epochs"] * math.ceil(config[name]["samples"] / config[name]["batch"])
                for name in config["stages"]]
    except OSError as problem:
        raise Mistake(f"--config {path}: {problem.strerror}") from problem
    except (yaml.YAMLError, KeyError, TypeError) as problem:
        raise Mistake(f"--config {path}: should give stages, and epochs, batch and samples of each ({problem})") from problem


class Runs:
    def __init__(self, given):
        self.given, self.output = given, pathlib.Path(given.output)
        self.stage_updates = updates_of_stages(pathlib.Path(given.config))
        self.updates = sum(self.stage_updates)

    def command(self, *words):
        return [self.given.cords, *(str(word) for word in words)]

    def call(self, log, *words):
        with open(self.output / f"{log}.txt", "a") as stream:
            status = subprocess.run(self.command(*words), stdout=stream, stderr=stream, check=False).returncode
        if status:
            raise Mistake(f"{' '.join(self.command(*words))}: status {status}, see {self.output / log}.txt")

    def training(self, run, dataset, data):
        """Both runs take the kernels that the first one has found; another order of sums would be another result."""
        return ["train", "-config", self.given.config, "-dataset", dataset, "-data", data, "-output", self.output / run,
                "-kernel_cache", self.output / "kernels.h5", "-checkpoint_interval", self.given.checkpoint_interval]

    def pack(self):
        folder = self.output / "files"
        folder.mkdir(exist_ok=True)
        for split, name in (("train", "train.h5"), ("test", "val.h5")):
            if not (folder / name).exists():
                self.call("pack", "pack", "-dataset", "imagenet", "-data", self.given.data, "-split", split,
                          "-output", folder / name)
        return folder

    def place(self, run):
        """How many updates the newest checkpoint has behind it; −1: there is none.  It is whole, or h5py says so."""
        try:
            with h5py.File(self.output / run / "checkpoint.h5") as file:
                return (sum(self.stage_updates[:int(file["train"].attrs["stage"])])
                        + int(file["train"].attrs["update"]))
        except FileNotFoundError:
            return -1

    def wait(self, process, ready, limit_s=math.inf):
        end = time.monotonic() + limit_s
        while not ready() and process.poll() is None and time.monotonic() < end:
            time.sleep(POLL_S)

    def kill(self, words, target, while_saving, moments):
        """One start, and its end near an update.  Returns what kills.csv holds."""
        run = self.output / "killed"
        checkpoint, part = run / "checkpoint.h5", run / "checkpoint.h5.part"
        stale = stamp(part)  # what the kill before has left behind
        with open(self.output / "killed.txt", "a") as stream:
            process = subprocess.Popen(self.command(*words), stdout=stream, stderr=stream)
        seen, place = None, -1
        saves_s = []

        def passed():
            nonlocal seen, place
            if stamp(checkpoint) != seen:
                seen, place = stamp(checkpoint), self.place("killed")
                saves_s.append(time.monotonic())
            return place >= target

        def saving():
            return stamp(part) not in (None, stale)

        try:
            self.wait(process, passed)
            if while_saving:
                self.wait(process, saving, SAVE_S_MAX)
                time.sleep(moments.uniform(0, 0.004))
            else:
                update_s = saves_s[-1] - saves_s[-2] if len(saves_s) > 1 else START_S
                time.sleep(moments.uniform(0, update_s))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if process.returncode != -signal.SIGKILL:
            raise Mistake(f"the training ended by itself (status {process.returncode}) before it was killed near update "
                          f"{target} of {self.updates}; see {self.output}/killed.txt, or ask for fewer --kills")
        return {"target": target, "place": self.place("killed"), "saving": int(saving())}

    def kills_so_far(self):
        path = self.output / "kills.csv"
        return list(csv.DictReader(path.open())) if path.exists() else []

    def killed(self, data):
        """Kills near updates that are spread over the whole training, then its end."""
        words = self.training("killed", "packed", data)
        targets = [-1] + [round((k - 0.5) * (self.updates - 3) / max(1, self.given.kills - 1))
                          for k in range(1, self.given.kills)]
        done = self.kills_so_far()
        for number in range(len(done), self.given.kills):
            row = self.kill(words, targets[number], number % 2 == 1, random.Random(number))
            with (self.output / "kills.csv").open("a") as stream:
                writer = csv.DictWriter(stream, row)
                if number == 0:
                    writer.writeheader()
                writer.writerow(row)
            done.append(row)
            print(f"kill {number + 1} of {self.given.kills}: after {row['place']} of {self.updates} updates"
                  + (", while a checkpoint was written" if int(row["saving"]) else ""), flush=True)
        self.call("killed", *words)
        return done


def arrays(path, group):
    with h5py.File(path) as file:
        return {name: array[()].tobytes() for name, array in file[group].items()}


def differences(one, other):
    """What differs between the results of two runs; empty: nothing."""
    found = []
    for name, group in (("model.h5", "parameters"), ("cnn.h5", "parameters"), ("checkpoint.h5", "optimizer/moment1"),
                        ("checkpoint.h5", "optimizer/moment2")):
        if not (one / name).exists() and not (other / name).exists():
            continue  # cnn.h5, where stage 1 is not among the stages
        mine, others = arrays(one / name, group), arrays(other / name, group)
        found += [f"{name}: {group}/{key}" for key in sorted(set(mine) | set(others)) if mine.get(key) != others.get(key)]
    if (one / "log.csv").read_bytes() != (other / "log.csv").read_bytes():
        found.append("log.csv")
    return found


def last_step(row, name):
    """Of a stage with time the value at the last step whose loss counts, otherwise the only one."""
    steps = [value for key, value in row.items() if key.startswith(f"{name}_") and value]
    return float(steps[-1] if steps else row[name])


def losses(path):
    """Of each stage that classifies: cross-entropy and accuracy, the means of the first row of the log and of the last."""
    stages = {}
    for row in csv.DictReader(path.open()):
        if row["accuracy"]:
            stages.setdefault(row["stage"], []).append((last_step(row, "loss"), last_step(row, "accuracy")))
    return {name: (rows[0], rows[-1]) for name, rows in stages.items()}


def compare(runs, kills):
    """Print the summary.  Returns whether the ends are identical."""
    with h5py.File(runs.output / "files" / "train.h5") as file:
        labels = file["images/label"][()]
        images, classes = len(labels), len(set(labels))
    print(f"{images} images of {classes} classes; chance is a loss of ln {classes} = {math.log(classes):.2f}")
    for name, (first, last) in losses(runs.output / "tar" / "log.csv").items():
        print(f"{name}: loss {first[0]:.3f} -> {last[0]:.3f}, accuracy {first[1]:.3f} -> {last[1]:.3f}")
    saving = sum(int(row["saving"]) for row in kills)
    places = len({row["place"] for row in kills})
    print(f"{runs.updates} updates; {len(kills)} kills in {places} places, {saving} of them while a checkpoint was written")
    found = differences(runs.output / "tar", runs.output / "killed")
    print("packed files and kills against tar files and none: "
          + (f"DIFFERENT in {', '.join(found[:5])}" if found else "identical to the last bit"))
    return not found


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="options of cords train")
    parser.add_argument("--data", required=True, help="folder with ImageNet's tar files")
    parser.add_argument("--output", required=True, help="folder for everything that is written")
    parser.add_argument("--kills", type=int, default=50, help="how often to kill (default: 50)")
    parser.add_argument("--checkpoint-interval", default="0", help="seconds between checkpoints (default: 0, all updates)")
    parser.add_argument("--cords", default=str(ROOT / "build" / "cords"), help="the program")
    return parser.parse_args(words)


def main(words):
    given = arguments(words)
    try:
        runs = Runs(given)
        if not 0 <= given.kills <= runs.updates // 2:
            raise Mistake(f"--kills {given.kills}: should be 0 to {runs.updates // 2}, half of the training's updates")
        runs.output.mkdir(parents=True, exist_ok=True)
        packed = runs.pack()
        runs.call("tar", *runs.training("tar", "imagenet", given.data))
        return 0 if compare(runs, runs.killed(packed)) else 1
    except Mistake as problem:
        print(f"endurance.py: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
