"""How cost grows

Time (above) and memory (below) of a trial and of a training step when one thing at a time becomes larger, beside the
number of operations. Dashed: time in proportion to the operations, from the smallest case on; dotted: the memory that
the program planned."""

import numpy

from matplotlib import ticker

from cords_results.bench import growth
from cords_results.drawing import GREY, legend_below, page_width, panels

ORDER = 91
WORK = {"trial": dict(color="#0072B2", marker="o", linestyle="-"),
        "training step": dict(color="#D55E00", marker="D", linestyle="-")}


def figure(run):
    rows = growth(run.file("bench_growth.h5"))
    axes_of_growth = list(dict.fromkeys(axis for _, axis in rows))
    columns = len(axes_of_growth) if page_width() > 5 else 2
    picture, drawn = panels(2 * len(axes_of_growth), least_width=page_width() / columns * 0.99, height=1.9,
                            columns=columns)
    # times of a block of columns stand above its memory
    place = {}
    for number, name in enumerate(axes_of_growth):
        block, column = divmod(number, columns)
        width = min(columns, len(axes_of_growth) - block * columns)
        place[name] = 2 * block * columns + column, 2 * block * columns + width + column
    for (work, name), table in rows.items():
        above, below = (drawn[k] for k in place[name])
        order = numpy.argsort(table["value"])
        values, style = table["value"][order], WORK[work]
        above.plot(values, table["median"][order], label=work, **style)
        linear = table["median"][order][0] * table["amount"][order] / table["amount"][order][0]
        above.plot(values, linear, color=style["color"], linestyle="--")
        below.plot(values, 1e-6 * table["peak_memory"][order], **style)
        below.plot(values, 1e-6 * table["planned_memory"][order], color=style["color"], linestyle=":")
        for axis in (above, below):
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.set_xticks(values, [f"{value:g}" for value in values])
            axis.minorticks_off()
            axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
            axis.yaxis.set_minor_locator(ticker.NullLocator())
        below.set_xlabel({"side": "side of the image (pixels)", "steps": "steps per phase", "batch": "images",
                          "areas": "areas", "channels": "channels of area 0"}.get(name, name))
    for part in (0, 1):  # the same axis for all times, and for all memory
        band = [drawn[place[name][part]] for name in axes_of_growth]
        low, high = (choose(axis.get_ylim()[end] for axis in band) for end, choose in ((0, min), (1, max)))
        for axis in band:
            axis.set_ylim(low, high)
            axis.tick_params(labelleft=place[axes_of_growth[band.index(axis)]][0] % columns == 0)
    for name in axes_of_growth:
        if place[name][0] % columns == 0:
            drawn[place[name][0]].set_ylabel("time (s)")
            drawn[place[name][1]].set_ylabel("memory (MB)")
    first = drawn[place[axes_of_growth[0]][0]]
    first.plot([], [], color=GREY, linestyle="--", label="in proportion to operations")
    first.plot([], [], color=GREY, linestyle=":", label="planned memory")
    legend_below(picture, first)
    return picture
