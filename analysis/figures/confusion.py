"""Which classes are taken for which

Rows: the class of the image. Columns: the answer at the last step. Numbers: images; shade: share of the row."""

import numpy
from matplotlib import pyplot

from cords_results.drawing import page_width

ORDER = 25


def figure(run):
    array = run.file("evaluation.h5")["evaluation/confusion"]
    counts = array.per("label", "predicted").astype(float)
    share = counts / numpy.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(page_width(), 5.2)
    figure, axis = pyplot.subplots(figsize=(size, 0.86 * size))
    mesh = axis.pcolormesh(100 * share, vmin=0, vmax=100, edgecolors="#7F7F7F", linewidth=0.2)
    classes = len(counts)
    if classes <= 20:
        for row, column in zip(*numpy.nonzero(counts)):
            # not the inks of the style: these stand on the cells, light and dark pages alike
            color = "#FDFDFD" if share[row, column] > 0.55 else "#111111"
            axis.text(column + 0.5, row + 0.5, f"{int(counts[row, column])}", ha="center", va="center", color=color,
                      fontsize=min(8, 75 / classes * size / 5.2))
        axis.set_xticks(numpy.arange(classes) + 0.5, range(classes))
        axis.set_yticks(numpy.arange(classes) + 0.5, range(classes))
    axis.invert_yaxis()
    axis.grid(False)
    axis.set_aspect("equal")
    axis.set(xlabel="answer of the network (class)", ylabel="class of the image")
    bar = figure.colorbar(mesh, shrink=0.8)
    bar.set_label("share of the row (%)")
    bar.outline.set_visible(False)
    return figure
