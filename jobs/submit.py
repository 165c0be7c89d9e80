#!/usr/bin/python3
"""Run a cords command as a Slurm job that stops before its time limit, goes back into the queue and continues.

    jobs/submit.py --site local --name demo_train --time 01:00:00 -- \\
        cords train -config workflows/config/train_demo.yaml -dataset fashion_mnist \\
        -data /usr/share/datasets/fashion-mnist -output {scratch}/train

What differs between clusters is in jobs/sites/<site>.yaml; {scratch} in the command is that site's folder."""

import argparse
import difflib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import jinja2
import yaml

JOBS = pathlib.Path(__file__).resolve().parent
SITES = JOBS / "sites"

# What a site file must say, and the type of it.
SITE_KEYS = {"partition": str, "account": str, "memory": str, "modules": list, "setup": list, "launcher": str,
             "program": str, "cores_per_node": int, "scratch": str, "signal_s": int, "restarts_max": int}
TYPE_WORDS = {str: "text", list: "a list of texts", int: "a whole number that is not negative"}
WORD = re.compile(r"[A-Za-z0-9_.,:+-]*")  # what may stand unquoted behind #SBATCH


class Mistake(Exception):
    """What the user can correct; the text is one sentence."""


def has_type(value, kind):
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, kind)


def suggestion(word, words):
    close = difflib.get_close_matches(word, words, 1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(words))}"


def read_site(name):
    """The checked contents of a site file."""
    sites = {path.stem: path for path in SITES.glob("*.yaml")}
    path = pathlib.Path(name) if name.endswith(".yaml") else sites.get(name)
    if path is None:
        raise Mistake(f"--site {name}: there is no {SITES / name}.yaml{suggestion(name, sites)}")
    try:
        site = yaml.safe_load(path.read_text())
    except OSError as problem:
        raise Mistake(f"--site {path}: {problem.strerror}") from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise Mistake(f"--site {path}: not YAML: {' '.join(str(problem).split())}") from problem
    if not isinstance(site, dict):
        raise Mistake(f"--site {path}: should be lines `key: value` with the keys {', '.join(SITE_KEYS)}")
    for key, value in site.items():
        if key not in SITE_KEYS:
            raise Mistake(f"{path}: unknown key {key}{suggestion(str(key), SITE_KEYS)}")
        if not has_type(value, SITE_KEYS[key]):
            raise Mistake(f"{path}: {key} is {value!r}, but should be {TYPE_WORDS[SITE_KEYS[key]]}")
    for key in SITE_KEYS:
        if key not in site:
            raise Mistake(f"{path}: the key {key} is missing; see {SITES / 'example.yaml'}")
    for key in ("partition", "account", "memory"):
        if not WORD.fullmatch(site[key]):
            raise Mistake(f"{path}: {key} is {site[key]!r}, but should be letters, digits and . , : _ + -")
    if site["cores_per_node"] < 1:
        raise Mistake(f"{path}: cores_per_node is 0, but should be the number of cores of a node")
    return site


def seconds(text):
    """A time limit in seconds, as Slurm reads the form [days-]hours:minutes:seconds."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d{1,4}):([0-5]\d):([0-5]\d)", text)
    if not match:
        raise Mistake(f"--time {text}: should be hours:minutes:seconds or days-hours:minutes:seconds, "
                      "for example 02:00:00")
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def command_line(words, site, ranks):
    """The command as one line of shell: launcher, program, its arguments."""
    if not words or words[0] != "cords":
        raise Mistake("the command should stand behind -- and begin with cords, "
                      "for example: -- cords train -config F.yaml ...")
    # A relative program is one of this source tree; so that a job may run in any folder.
    program = str(JOBS.parent / site["program"])
    launcher = [part.replace("{ranks}", str(ranks)) for part in shlex.split(site["launcher"])]
    if ranks > 1 and not launcher:
        raise Mistake(f"--ranks {ranks}: the site has no launcher for more than one rank")
    arguments = [word.replace("{scratch}", site["scratch"]) for word in words[1:]]
    return shlex.join(launcher + [program] + arguments)


def plain_path(option, text):
    if re.search(r"\s", text):
        raise Mistake(f"{option} {text!r}: Slurm's script header takes no spaces or line ends in a path")
    return text


def values(given, site):
    """What the template is filled in with."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", given.name):
        raise Mistake(f"--name {given.name!r}: should be letters, digits and . _ -")
    signal_s = site["signal_s"] if given.signal is None else given.signal
    limit_s = seconds(given.time)
    if not 0 < signal_s < limit_s:
        raise Mistake(f"--time {given.time}: shorter than the {signal_s} s before its end at which cords is told "
                      "to save (signal_s of the site, or --signal)")
    if signal_s > 65535:
        raise Mistake(f"--signal {signal_s}: Slurm takes at most 65535 s")
    if given.ranks < 1:
        raise Mistake(f"--ranks {given.ranks}: should be at least 1")
    ranks_per_node = min(given.ranks, site["cores_per_node"])
    cores = site["cores_per_node"] // ranks_per_node if given.cores is None else given.cores
    if not 1 <= cores <= site["cores_per_node"]:
        raise Mistake(f"--cores {cores}: a node of this site has {site['cores_per_node']}")
    per_node = site["cores_per_node"] // cores
    folder = os.path.abspath(given.folder)
    if not os.path.isdir(folder):
        raise Mistake(f"--folder {folder}: there is no such folder")
    return dict(site, name=given.name, time=given.time, ranks=given.ranks, cores_per_rank=cores,
                nodes=-(-given.ranks // per_node), signal_s=signal_s, folder=plain_path("--folder", folder),
                log=plain_path("--log", given.log or f"{given.name}.log"),
                command=command_line(given.command, site, given.ranks))


def render(filled):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(JOBS), undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, keep_trailing_newline=True)
    environment.filters["quote"] = shlex.quote
    return environment.get_template("cords.sbatch.j2").render(filled)


def submit(script):
    """Hand the script to sbatch; the job's number."""
    if not shutil.which("sbatch"):
        raise Mistake("sbatch is not on PATH; --dry-run shows the script without it")
    done = subprocess.run(["sbatch", "--parsable"], input=script, capture_output=True, text=True)
    if done.returncode:
        raise Mistake("sbatch refused the job: " + " ".join(done.stderr.split()))
    return done.stdout.strip().split(";")[0]


def arguments(words):
    parser = argparse.ArgumentParser(prog="submit.py", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", required=True, help="a file of jobs/sites without .yaml, or the path of one with it")
    parser.add_argument("--name", required=True, help="name of the job")
    parser.add_argument("--time", required=True, help="time limit of one run, [days-]hours:minutes:seconds")
    parser.add_argument("--ranks", type=int, default=1, help="MPI ranks (default: 1)")
    parser.add_argument("--cores", type=int, help="cores of each rank (default: those of a node over its ranks)")
    parser.add_argument("--signal", type=int,
                        help="seconds before the limit at which cords is told to save (default: the site's)")
    parser.add_argument("--folder", default=".", help="where the command runs (default: here)")
    parser.add_argument("--log", help="output of the job, appended to (default: NAME.log in that folder)")
    parser.add_argument("--dry-run", action="store_true", help="only print the script")
    parser.add_argument("command", nargs="*", help="behind --: the command, beginning with cords")
    return parser.parse_args(words)


def main(words):
    given = arguments(words)
    try:
        filled = values(given, read_site(given.site))
        script = render(filled)
        if given.dry_run:
            print(script, end="")
            return 0
        job = submit(script)
    except Mistake as mistake:
        print(f"submit.py: {mistake}", file=sys.stderr)
        return 2
    print(f"job {job} ({given.name}): {filled['command']}")
    print(f"log: {os.path.join(filled['folder'], filled['log'])}; state: squeue -j {job}; stop: scancel {job}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
