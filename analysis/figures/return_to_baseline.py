"""Return to baseline during training

Stages 4 and 5 ask that activity goes back to its spontaneous state when the image is taken away: mean squared distance
from that state over the last ten steps of the return phase."""

import numpy
from cords_results import MissingResult
from cords_results.drawing import panels

ORDER = 15

STAGES = (("parametric", "4 parametric"), ("finetune", "5 fine-tune"))


def figure(run):
    log = run.log()
    shown = [(name, title) for name, title in STAGES
             if name in log and numpy.isfinite(log[name].get("spontaneous", numpy.array([numpy.nan]))).any()]
    if not shown:
        raise MissingResult(f"{run.path('train/log.csv')}: no return phase was trained")
    figure, axes = panels(len(shown), height=2.2)
    for axis, (name, title) in zip(axes, shown):
        table = log[name]
        axis.plot(table["update"], table["spontaneous"], marker="." if len(table["update"]) < 3 else None)
        if (table["spontaneous"] > 0).any():
            axis.set_yscale("log")
        axis.set(title=title, xlabel="update", ylabel="squared distance S")
    return figure
