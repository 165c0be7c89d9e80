"""Slowest time constants

How long the slowest perturbation of an area takes to fall to 1/e, at the stable fixed points with an image and
at the spontaneous one. Bars: the time constant of a single neuron."""

import numpy

from cords_results import MissingResult, stable_time_constants
from cords_results.drawing import (GREY, SPONTANEOUS, STIMULUS, area_names, describe, legend_below, log_if_wide,
                                   page_width, panels, spread)

ORDER = 60


def figure(run):
    file = run.file("stability.h5")
    array = file["stability/slowest_time_constant_ms"]
    values = stable_time_constants(file)
    if not numpy.isfinite(values).any():
        raise MissingResult(f"{file.path}: no time constant could be told, for want of stable fixed points")
    spontaneous = file["stability/image"].values < 0
    count = values.shape[1]
    figure, (axis,) = panels(1, height=2.7)
    for chosen, style, name, side in ((~spontaneous, STIMULUS, "with an image", -0.1),
                                      (spontaneous, SPONTANEOUS, "spontaneous", 0.2)):
        spread(axis, [values[chosen, area] for area in range(count)], style, name, side)
    neuron = file["areas/tau_ms"].values if "areas/tau_ms" in file else numpy.zeros(0)
    for area, tau in enumerate(neuron):
        axis.plot([area - 0.35, area + 0.35], [tau, tau], color=GREY, linestyle="-", linewidth=2,
                  label="single neuron" if area == 0 else None)
    shown = numpy.append(values.ravel(), neuron)
    log_if_wide(axis, shown)
    if axis.get_yscale() == "linear":
        axis.set_ylim(0, 1.08 * numpy.nanmax(shown))
    neurons = file["areas/neurons"].values if "areas/neurons" in file else None
    names = area_names(count)
    if neurons is not None and count <= page_width() / 1.2:
        names = [f"{name}\n{int(neurons[i]):,} neurons" for i, name in enumerate(names)]
    axis.set_xticks(range(count), names)
    describe(axis, array)
    axis.set_ylabel(array.unit.replace("$", r"\$"))
    legend_below(figure, axis)
    return figure
