"""Activity from spontaneous to stimulus and back

Lines are means over the images, bands hold the middle 80 % of them. The grey field is the time with an image."""

import numpy

from cords_results.drawing import area_names, describe, label, legend_below, page_width, panels

ORDER = 30
STIMULUS_PHASE = 1


def shade(axis, time, phase):
    shown = time[phase == STIMULUS_PHASE]
    if len(shown):
        axis.axvspan(shown[0], shown[-1], color="#7F7F7F", alpha=0.13, linewidth=0)


def areas(axis, time, array):
    values = array.per("image", "step", "area")
    for number, name in enumerate(area_names(values.shape[2])):
        low, high = numpy.percentile(values[:, :, number], (10, 90), axis=0)
        line, = axis.plot(time, values[:, :, number].mean(axis=0), label=name)
        axis.fill_between(time, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
    describe(axis, array)


def classes(axis, time, file):
    """Read-out: the right class beside the strongest of the others."""
    logits = file["activity/logits"]
    values = logits.per("image", "step", "class")
    right = file["activity/label"].values.astype(int)
    rows = numpy.arange(len(right))
    true = values[rows, :, right]
    others = values.copy()
    others[rows, :, right] = -numpy.inf
    axis.plot(time, true.mean(axis=0), color="#0072B2", linestyle="-", label="right class")
    axis.plot(time, others.max(axis=2).mean(axis=0), color="#D55E00", linestyle="--", label="strongest other")
    describe(axis, logits)
    axis.legend(fontsize=7)


def figure(run):
    file = run.file("activity.h5")
    time_array = file["activity/time_ms"]
    time, phase = time_array.values, file["activity/phase"].values
    names = [name for name in ("mean", "norm", "active_fraction") if f"activity/{name}" in file]
    figure, axes = panels(len(names) + 1, least_width=2.7, height=2.3, sharex=True,
                          columns=2 if page_width() > 5 else 1)
    for axis, name in zip(axes, names):
        areas(axis, time, file[f"activity/{name}"])
    classes(axes[-1], time, file)
    for axis in axes:
        shade(axis, time, phase)
        axis.tick_params(labelbottom=True)
        axis.set_xlabel(label(time_array, "time"))
    legend_below(figure, axes[0], columns=8)
    return figure
