"""Return to baseline

Activity is meant to go back to its spontaneous state when the image is taken away. Distance: squared difference from that
state, mean over the neurons of an area and over images. S is its mean over areas and over the last ten steps of the return
(dashed). Stages 4 and 5 through time have S in their loss; through the steady state they have not."""

import numpy
from cords_results import MissingResult
from cords_results.drawing import GREY, area_names, label, legend_below, panels

ORDER = 15

STAGES = (("parametric", "4 parametric"), ("finetune", "5 fine-tune"))
STIMULUS_PHASE, RETURN_PHASE = 1, 2
STEPS_COUNTED = 10  # last of the return
DECADES = 8  # shown below the largest distance; what is less is round-off


def trial_file(run):
    """The trials of the trained network, or None where they were not run or have no return."""
    try:
        file = run.file("activity.h5")
    except MissingResult:
        return None
    if "activity/distance" not in file or not (file["activity/phase"].values == RETURN_PHASE).any():
        return None
    return file


def trained_stages(run):
    """Tables of the stages whose loss held S."""
    try:
        log = run.log()
    except MissingResult:
        return []
    return [(log[name], title) for name, title in STAGES
            if name in log and numpy.isfinite(log[name].get("spontaneous", numpy.array([numpy.nan]))).any()]


def draw_trial(axis, file):
    time, phase = file["activity/time_ms"], file["activity/phase"].values
    shown = phase >= STIMULUS_PHASE
    values = file["activity/distance"].per("step", "area")
    for number, name in enumerate(area_names(values.shape[1])):
        axis.plot(time.values[shown], values[shown, number], label=name)
    stimulus, counted = time.values[phase == STIMULUS_PHASE], numpy.flatnonzero(phase == RETURN_PHASE)[-STEPS_COUNTED:]
    if len(stimulus):
        axis.axvspan(stimulus[0], stimulus[-1], color=GREY, alpha=0.13, linewidth=0)
    left = values[counted].mean()
    axis.plot(time.values[counted[[0, -1]]], [left, left], color="black", linestyle="--")
    if values.max() > 0:
        axis.set_yscale("log")
        axis.set_ylim(bottom=max(values[shown & (values > 0).all(axis=1)].min(initial=values.max()) / 2,
                                 values.max() / 10 ** DECADES))
    axis.set(title=f"trained network, S = {left:.1e}", xlabel=label(time, "time since stimulus onset"), ylabel="squared distance")


def draw_stage(axis, table, title):
    axis.plot(table["update"], table["spontaneous"], marker="." if len(table["update"]) < 3 else None)
    if (table["spontaneous"] > 0).any():
        axis.set_yscale("log")
    axis.set(title=title, xlabel="update", ylabel="squared distance S")


def figure(run):
    trial, stages = trial_file(run), trained_stages(run)
    if trial is None and not stages:
        raise MissingResult(f"{run.folder}: neither trials with a return phase (activity.h5) nor training with one")
    figure, axes = panels(len(stages) + (trial is not None), height=2.6)
    for axis, (table, title) in zip(axes, stages):
        draw_stage(axis, table, title)
    if trial is not None:
        draw_trial(axes[-1], trial)
        legend_below(figure, axes[-1], columns=9)
    return figure
