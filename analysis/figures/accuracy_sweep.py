"""Accuracy of networks and their CNNs, seed by seed

Small points: one training each. Large points and bars: mean over the seeds and the standard deviation of one training.
The CNN is that of stage 1, from which the recurrent network of the same seed was trained; grey lines join the two."""

import numpy

from cords_results.accuracy import Sweep, deviation
from cords_results.drawing import GREY, STIMULUS, legend_below, panels

ORDER = 92
KINDS = (("cnn", "CNN", dict(color="#D55E00", marker="D"), -0.14), ("recurrent", "CordsNet", STIMULUS, 0.14))


def draw(axis, position, row):
    for start, end in zip(row.cnn, row.recurrent):
        axis.plot([position + KINDS[0][3], position + KINDS[1][3]], [start, end], color=GREY, linestyle="-", linewidth=0.7,
                  zorder=1)
    for what, name, style, offset in KINDS:
        values = getattr(row, what)
        axis.plot(numpy.full(len(values), position + offset), values, linestyle="none", alpha=0.45, markersize=3.5,
                  markeredgewidth=0, color=style["color"], marker=style["marker"])
        error = deviation(values)
        aside = position + 1.75 * offset  # so that bars do not cover the points
        axis.errorbar(aside, values.mean(), yerr=error if numpy.isfinite(error) else 0, capsize=3, elinewidth=1.2,
                      markersize=6.5, linestyle="none", label=name, **style)


def figure(run):
    sweep = Sweep(run.file("accuracy.h5"))
    picture, axes = panels(len(sweep.data))
    for axis, data in zip(axes, sweep.data):
        rows = [row for row in sweep.rows() if row.data == data and row.count]
        for position, row in enumerate(rows):
            draw(axis, position, row)
        axis.set_title(f"{data}, {rows[0].images:,} test images" if rows else f"{data}, not run")
        axis.set_xticks(range(len(rows)), [row.network for row in rows])
        axis.set_xlim(-0.5, len(rows) - 0.5)
        axis.grid(axis="x", visible=False)
        axis.ticklabel_format(axis="y", useOffset=False)
    axes[0].set_ylabel("classified correctly (%)")
    handles = dict(zip(*axes[0].get_legend_handles_labels()[::-1]))  # one per kind
    for drawn in axes[0].containers:
        if handles.get(drawn.get_label()) is not drawn:
            drawn.set_label("_nolegend_")
    legend_below(picture, axes[0])
    return picture
