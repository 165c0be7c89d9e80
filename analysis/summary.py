"""The first lines of the report: what was done and what came out, in plain sentences built from the files.

Every function takes a Run and returns what it can say; what is missing is said to be missing."""

import os
import re

import numpy

from cords_results import MissingResult, stable_time_constants
from cords_results.accuracy import Sweep
from tables import VERDICTS, architecture, input_state, number, with_unit

QUICK = r"(?<!\S)-\w*quick\b|\S*quick[^/\s]*\.ya?ml|(?<!\S)-(?:train_|training_)?samples_max[\s=]+\S+"
STAGES = ("compatibility", "inverse", "linear", "parametric", "finetune")


def optional(run, name):
    try:
        return run.file(name)
    except MissingResult:
        return None


def plural(count, one, many=None):
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def option(run, name):
    """Value of an option in the files' option lines, or "" where no file names it."""
    for file in run.files():
        found = re.search(rf"(?:^|\s)-{name}[\s=]+(\S+)", str(run.file(file).run.get("options", "")))
        if found:
            return found.group(1).strip("'\"")
    return ""


def quick(run):
    """Why this run is not the full one, or "".  It says so by an attribute `quick`, in its options or by its name."""
    for name in run.files():
        made = run.file(name).run
        if str(made.get("quick", "0")).lower() not in ("0", "false", "no", ""):
            return f"{name} is marked as quick"
        found = re.search(QUICK, f"{made.get('command', '')} {made.get('options', '')}")
        if found:
            return f"{name} was made with {found.group(0)}"
    folder = os.path.basename(os.path.abspath(run.folder))
    return f"its folder is {folder}" if re.search(r"(?:^|[_-])quick(?:$|[_-])", folder) else ""


def network(run):
    for name in ("fixed_points.h5", "stability.h5"):
        file = optional(run, name)
        if file and "areas/neurons" in file:
            break
    else:
        channels = re.search(r"\bchannels:\s*\[([\d, ]+)\]", architecture(run))
        if not channels:
            return "No file of this run describes the areas of the network."
        count = channels.group(1).count(",") + 1
        return (f"The network has {plural(count, 'area')} with {channels.group(1)} channels; "
                "its whole architecture stands at the end.")
    neurons = file["areas/neurons"].values
    words = f"The network has {plural(len(neurons), 'area')} and {plural(int(neurons.sum()), 'neuron')}"
    if all(f"areas/{part}" in file for part in ("channels", "rows", "columns")):
        sizes = ["×".join(str(int(file[f"areas/{part}"].values[i])) for part in ("channels", "rows", "columns"))
                 for i in range(len(neurons))]
        words += f" (channels × rows × columns: {', '.join(sizes)})"
    if "areas/tau_ms" in file:
        tau = file["areas/tau_ms"]
        low, high = number(tau.values.min()), number(tau.values.max())
        both = low if low == high else f"{low} to {high}"
        words += f"; a single neuron's time constant is {with_unit(both, tau.unit)}"
    return words + "."


def training(run):
    data = option(run, "dataset")
    where = f" on the dataset {data}" if data else ""
    try:
        log = run.log()
    except MissingResult:
        return "There is no training log, so nothing can be said about the training."
    absent = [name for name in STAGES if name not in log]
    if not absent:
        words = f"It was trained{where} in all five stages"
    else:
        words = (f"Of the five training stages {plural(len(STAGES) - len(absent), 'is', 'are')} in the log{where} "
                 f"(not {', '.join(absent)})")
    updates = ", ".join(f"{int(table['update'][-1]):,}" for table in log.values())
    return f"{words}; updates per stage: {updates}."


def accuracy(run):
    """Sentence and tiles."""
    file, cnn = optional(run, "evaluation.h5"), optional(run, "evaluation_cnn.h5")
    if file is None:
        return "The trained network was not evaluated on test images.", []
    steps = file["evaluation/accuracy"].per("step")
    images = file["evaluation/label"].shape[0]
    last = 100 * float(steps[-1])
    words = (f"At the last of {plural(len(steps), 'step')} with an image it classifies {last:.2f} % of "
             f"{plural(images, 'test image')} correctly")
    tiles = [(f"{last:.1f} %", f"CordsNet, {images:,} test images")]
    if cnn is None:
        return words + "; the CNN it came from was not evaluated.", tiles
    reference = 100 * float(cnn["evaluation/accuracy"].values.ravel()[-1])
    difference = last - reference
    compared = (f"{abs(difference):.2f} points {'above' if difference > 0 else 'below'}" if abs(difference) >= 0.005
                else "exactly at")
    words += f". That is {compared} the CNN of stage 1, from which it was trained, with {reference:.2f} %."
    if cnn["evaluation/label"].shape[0] != images:
        words += (f" The CNN was evaluated on {cnn['evaluation/label'].shape[0]:,} images, "
                  "so the two are not compared like for like.")
    return words, tiles + [(f"{reference:.1f} %", "CNN of stage 1")]


def fixed_points(run):
    file = optional(run, "fixed_points.h5")
    if file is None:
        return "No fixed points were computed.", []
    residual = file["fixed_points/residual_norm_rel"].per("point", reduce=numpy.max)
    reason = file["fixed_points/converged_reason"].per("point", reduce=numpy.min)
    asked = file.attributes("fixed_points").get("tolerance")
    images = file["fixed_points/image"].values
    found = (residual <= asked) if isinstance(asked, (int, float)) else reason > 0
    worst = residual.max() if numpy.isfinite(residual).all() else numpy.inf
    words = (f"{int(found.sum())} of {plural(len(residual), 'fixed point')} "
             f"({plural(int((images >= 0).sum()), 'image')}"
             f"{', the spontaneous state' if (images < 0).any() else ''}) ")
    words += (f"reached the asked relative residual of {number(float(asked), 1)}" if isinstance(asked, (int, float))
              else "converged by the solver's own word (the file names no tolerance)")
    words += f"; the worst is {number(worst, 2)}."
    if not found.all():
        points = ", ".join(str(i) for i in numpy.flatnonzero(~found)[:10])
        more = " …" if (~found).sum() > 10 else ""
        words += (f" The others (rows {points}{more}) are not fixed points within the tolerance: "
                  "what is said about them below is not to be trusted.")
    doubtful = int((found & (reason <= 0)).sum())
    if doubtful:
        words += f" In {doubtful} of those that did, the solver itself reported no convergence."
    return words, [(f"{int(found.sum())} / {len(residual)}", "fixed points within the tolerance"),
                   (number(worst, 2), "worst relative residual")]


def time_constants(file):
    """Sentence and tile: the largest over areas and points."""
    if "stability/slowest_time_constant_ms" not in file:
        return "", []
    array = file["stability/slowest_time_constant_ms"]
    values = stable_time_constants(file)
    spontaneous = file["stability/image"].values < 0
    parts, tile = [], []
    for chosen, name in ((~spontaneous, "with an image"), (spontaneous, "in the spontaneous state")):
        mine = values[chosen]
        if not numpy.isfinite(mine).any():
            continue
        row, area = numpy.unravel_index(numpy.nanargmax(mine), mine.shape)
        text = number(mine[row, area], 3)
        parts.append(f"{with_unit(text, array.unit)} {name} (area {area})")
        tile.append((text, name))
    if not parts:
        return "No time constant can be told, for want of stable fixed points.", []
    return (f"The slowest time constants at stable fixed points are {' and '.join(parts)}.",
            [(with_unit(" / ".join(text for text, _ in tile), array.unit),
              f"slowest time constant {' / '.join(name for _, name in tile)}")])


def eigenpairs(file):
    """How many were found, how exactly, beside what was asked."""
    residual = file["spectrum/residual_norm_rel"].values
    if not len(residual):
        return " No eigenpair was found."
    asked = file.attributes("spectrum")
    words = f" {plural(len(residual), 'eigenpair was', 'eigenpairs were')} computed"
    if isinstance(asked.get("tolerance"), (int, float)):
        within = int((residual <= asked["tolerance"]).sum())
        words += (f", {'all' if within == len(residual) else f'{within:,}'} of them within the asked relative residual "
                  f"of {number(float(asked['tolerance']), 1)}")
    words += f"; the worst relative residual is {number(numpy.max(residual), 2)}."
    if "stability/converged_pairs" in file:
        pairs = file["stability/converged_pairs"].values
        found = str(pairs.min()) if pairs.min() == pairs.max() else f"{pairs.min()} to {pairs.max()}"
        of = f" of {asked['count']} asked for" if "count" in asked else ""
        words += f" Per area and point {found}{of} converged."
    return words


def stability(run):
    file = optional(run, "stability.h5")
    if file is None:
        return "The stability of the fixed points was not computed.", []
    verdict = file["stability/verdict"].values.astype(int)
    counts = {name: int((verdict == code).sum()) for code, name in VERDICTS.items()}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    words = f"Of {plural(len(verdict), 'fixed point')} whose spectrum was computed, the verdicts are: {told}."
    if "stability/margin" in file:
        margin = file["stability/margin"]
        finite = margin.values[numpy.isfinite(margin.values)]
        if len(finite):
            words += f" The smallest margin to the stability line is {with_unit(number(finite.min(), 3), margin.unit)}."
    words += eigenpairs(file)
    if "stability/block_whole_difference" in file:
        difference = file["stability/block_whole_difference"]
        known = difference.values[numpy.isfinite(difference.values)]
        if len(known):
            words += (" Spectra area by area and of the whole system differ by at most "
                      f"{with_unit(number(known.max(), 2), difference.unit)}.")
        if len(known) < len(difference.values):
            words += f" At {plural(len(difference.values) - len(known), 'point')} they could not be compared."
    if counts["undecided"]:
        words += " Undecided means that the computed eigenpairs do not suffice to tell."
    slow, tiles = time_constants(file)
    others = ", ".join(f"{count} {name}" for name, count in counts.items() if name != "stable" and count)
    tile = (f"{counts['stable']} / {len(verdict)}", "fixed points stable" + (f" ({others})" if others else ""))
    return f"{words} {slow}".strip(), [tile] + tiles


def stale(run):
    """Files of this run that were made from others which have changed since."""
    sentences = []
    for name in run.files():
        for digest, path in run.file(name).inputs():
            if input_state(run, digest, path) == "other":
                sentences.append(f"{name} was made from another version of {os.path.basename(path)} than the one "
                                 "in this folder: results on this page may not belong together.")
    return sentences


def sweep(run):
    """The table of workflows/accuracy.sh in words; nothing where it was not made."""
    file = optional(run, "accuracy.h5")
    rows = [row for row in Sweep(file).rows() if row.count] if file else []
    if not rows:
        return "", []
    told = "; ".join(f"{row.data}, {row.network}: CNN {row.text('cnn')} %, CordsNet {row.text('recurrent')} % "
                     f"({plural(row.count, 'seed')}, {plural(row.images, 'image')})" for row in rows)
    return f"Accuracies, mean over seeds ± standard deviation of one training: {told}.", []


def only_a_sweep(run):
    """A folder that holds the table of many trainings and none of its own."""
    return all(not os.path.exists(run.path(name)) for name in ("train", "evaluation.h5")) and optional(run, "accuracy.h5")


def summary(run):
    """dict(warnings, tiles, sentences)."""
    warnings = []
    why = quick(run)
    if why:
        warnings.append("This is the quick variant: trained and tested on limited samples to show that everything "
                        f"works ({why}). Its accuracy and its dynamics are not those of the full run.")
    warnings += stale(run)
    sentences, tiles, parts = [network(run), training(run)], [], (accuracy, fixed_points, stability, sweep)
    if only_a_sweep(run):
        sentences, parts = [], (sweep,)
    for part in parts:
        try:
            words, more = part(run)
        except MissingResult as problem:
            words, more = f"{problem}.", []
        sentences += [words] if words else []
        tiles += more
    return dict(warnings=warnings, tiles=tiles, sentences=sentences)
