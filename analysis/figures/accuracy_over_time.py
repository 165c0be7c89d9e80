"""Accuracy while the image is shown, beside the CNN's

The network answers at every step after stimulus onset; the CNN of stage 1, from which it was trained, answers once."""

import numpy

from cords_results import MissingResult
from cords_results.drawing import GREY, describe, label, panels

ORDER = 20


def time_axis(run, array):
    """Times of the steps and their label: milliseconds if the activity file tells the step, else step numbers."""
    steps = numpy.arange(1, array.shape[array.axis("step")] + 1)
    try:
        time = run.file("activity.h5")["activity/time_ms"]
        step = numpy.diff(time.values).min()
        return steps * step, label(time, "time since stimulus onset")
    except (MissingResult, ValueError):
        return steps, "step since stimulus onset"


def figure(run):
    network = run.file("evaluation.h5")
    try:
        cnn = run.file("evaluation_cnn.h5")
    except MissingResult:
        cnn = None
    figure, axes = panels(2)
    for axis, name, scale in zip(axes, ("accuracy", "loss"), (100, 1)):
        array = network[f"evaluation/{name}"]
        time, words = time_axis(run, array)
        axis.plot(time, scale * array.per("step"), marker="o" if len(time) < 60 else None, label="CordsNet")
        if cnn is not None:
            value = scale * float(cnn[f"evaluation/{name}"].values.ravel()[-1])
            axis.axhline(value, color="#E69F00", linestyle="--", label=f"CNN: {value:.1f} %" if scale == 100 else
                         f"CNN: {value:.2f}")
        axis.set_xlabel(words)
        axis.xaxis.get_major_locator().set_params(integer=True)
        describe(axis, array)
        if scale == 100:
            axis.set_ylabel("%")
    classes = network["evaluation/confusion"].shape[0]
    axes[0].axhline(100 / classes, color=GREY, linestyle=":", linewidth=1, label="chance")
    axes[0].set_ylim(0, 100)
    axes[0].legend(loc="lower right" if network["evaluation/accuracy"].per("step")[-1] > 0.5 else "upper right")
    axes[1].set_ylim(bottom=0)
    axes[1].legend()
    return figure
