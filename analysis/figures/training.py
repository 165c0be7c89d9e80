"""Training, stage by stage

Above: the loss that the stage minimises. Below: the share of training images classified correctly. Thin lines, light to
dark: bins of five stimulus steps each, early to late; the thick line is what the stage reports as its own.
Stage 2 has no classes: its two errors stand there instead."""

import numpy
from matplotlib import pyplot

from cords_results.drawing import GREY, page_width

ORDER = 10

# A CSV file cannot describe its columns; these are their meanings.
STAGES = [("compatibility", "1 CNN"), ("inverse", "2 inverse"), ("linear", "3 linear"),
          ("parametric", "4 parametric"), ("finetune", "5 fine-tune")]
SMALL = pyplot.cm.Blues(numpy.linspace(0.35, 0.85, 6))


def bins(table, name):
    return [table[f"{name}_{i}"] for i in range(6) if f"{name}_{i}" in table]


def draw(axis, table, name, scale=1.0):
    for values, color in zip(bins(table, name), SMALL):
        if numpy.isfinite(values).any():
            axis.plot(table["update"], scale * values, color=color, linestyle="-", linewidth=0.8)
    if numpy.isfinite(table[name]).any():
        marker = "." if len(table["update"]) < 3 else None
        axis.plot(table["update"], scale * table[name], color="#D55E00", linestyle="-", marker=marker)


def errors(axis, table):
    """Stage 2: what the loss consists of."""
    for name, text, style in (("error", "response error E", "-"), ("spectral", "spectral term R", "--")):
        if name in table and (table[name] > 0).any():
            axis.plot(table["update"], table[name], linestyle=style, color="#009E73", label=text)
    if axis.lines:
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        axis.set_ylim(low, high * (high / low) ** 0.35)  # room for the legend
        axis.legend(loc="upper right", fontsize=7, handlelength=1.6, borderaxespad=0)


def figure(run):
    log = run.log()
    wide = page_width() > 5
    count = len(STAGES)
    height = 4.2 if wide else 1.75 * count
    figure, axes = pyplot.subplots(*((2, count) if wide else (count, 2)), squeeze=False, figsize=(page_width(), height))
    axes = axes if wide else axes.T
    for column, (stage, title) in enumerate(STAGES):
        loss, accuracy = axes[0][column], axes[1][column]
        loss.set_title(title)
        if stage not in log:
            for axis in (loss, accuracy):
                axis.set(xticks=[], yticks=[])
                axis.text(0.5, 0.5, "not trained", ha="center", va="center", transform=axis.transAxes, color=GREY)
            continue
        table = log[stage]
        draw(loss, table, "loss")
        if (table["loss"] > 0).all() and table["loss"].max() > 30 * table["loss"].min():
            loss.set_yscale("log")
        if "accuracy" in table and numpy.isfinite(table["accuracy"]).any():
            draw(accuracy, table, "accuracy", 100)
            accuracy.set_ylim(0, 100)
        else:
            errors(accuracy, table)
        for axis in (loss, accuracy):
            axis.locator_params(axis="x", nbins=3)
        if column == 0 or not wide:
            loss.set_ylabel("loss (nat)" if stage != "inverse" else "loss")
            accuracy.set_ylabel("accuracy (%)" if stage != "inverse" else "error")
        if wide or column == count - 1:
            accuracy.set_xlabel("update")
            if not wide:
                loss.set_xlabel("update")
    return figure
