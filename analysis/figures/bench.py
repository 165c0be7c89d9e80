"""Rates beside the machine's limits

The share of what the same threads reach at best, measured in the same run. Above: every convolution of the network,
beside multiply-adds of its number type; recurrent ones as the fused Euler step of one image, the others as a call with
a batch. Below: all else, beside multiply-adds or the rate of a file; bars are medians of several repetitions, dots the
same beside the matrix product of BLAS."""

import re

from matplotlib import pyplot

from cords_results import MissingResult
from cords_results.bench import cases
from cords_results.drawing import GREY, legend_below, page_width

ORDER = 90
COLORS = {"f32": "#0072B2", "bf16": "#009E73", "f64": "#D55E00", "memory": GREY, "file": GREY}
CONVOLUTION = re.compile(r"conv (\w+) (.+) (forward|step|backward_data|step_adjoint|backward_weights)")
DIRECTIONS = {("forward", "step"): ("forward", dict(color="#0072B2", marker="o")),
              ("backward_data", "step_adjoint"): ("back to the images", dict(color="#D55E00", marker="D")),
              ("backward_weights",): ("back to the weights", dict(color="#009E73", marker="s"))}


def split(rows):
    """{type: {shape: {direction: share}}} of convolutions, and the other cases."""
    convolutions, others = {}, []
    for case in rows:
        match = CONVOLUTION.fullmatch(case["name"])
        if match:
            kind, shape, direction = match.groups()
            convolutions.setdefault(kind, {}).setdefault(shape, {})[direction] = case["ratio"]
        else:
            others.append(case)
    return convolutions, others


def draw_convolutions(axis, kind, shares, shapes, right, with_names):
    """shapes: those of all panels, one row each; right: the largest share of all, at least 1."""
    for names, (_, style) in DIRECTIONS.items():
        points = [(shares[shape][name], row) for row, shape in enumerate(shapes) if shape in shares
                  for name in names if name in shares[shape]]
        if points:
            axis.plot(*zip(*points), linestyle="none", markersize=4, **style)
    axis.set_yticks(range(len(shapes)), shapes if with_names else [], fontsize=6)
    axis.set_ylim(len(shapes) - 0.4, -0.6)
    axis.set_title(kind)
    axis.axvline(1, color=GREY, linewidth=0.8)
    axis.set_xlim(0, 1.05 * right)
    axis.grid(axis="y", linewidth=0.4)


def draw_others(axis, rows):
    for row, case in enumerate(rows):
        axis.barh(row, case["ratio"], color=COLORS[case["limit"]], height=0.7)
        if case["gemm_ratio"] > 0:
            axis.plot(case["gemm_ratio"], row, marker=".", linestyle="none", color="#1b1f24",
                      label="beside BLAS" if not axis.get_legend_handles_labels()[1] else None)
    axis.set_yticks(range(len(rows)), [case["name"] for case in rows], fontsize=6 if page_width() > 5 else 4)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.axvline(1, color=GREY, linewidth=0.8)


def figure(run):
    rows = [case for case in cases(run.file("bench.h5")) if case["limit"] in COLORS]
    if not rows:
        raise MissingResult(f"{run.path('bench.h5')}: no case in it has a limit of the machine")
    convolutions, others = split(rows)
    columns = max(1, len(convolutions)) if page_width() > 5 else 1
    shapes = list(dict.fromkeys(shape for shares in convolutions.values() for shape in shares))
    right = max([1, *(share for shares in convolutions.values() for shape in shares.values() for share in shape.values())])
    bands = [0.35 + 0.15 * len(shapes)] * -(-len(convolutions) // columns) if convolutions else []
    bands += [0.35 + 0.17 * len(others)] if others else []
    picture = pyplot.figure(figsize=(page_width(), 0.7 + sum(bands)))
    grid = picture.add_gridspec(len(bands), columns, height_ratios=bands)
    for number, (kind, shares) in enumerate(convolutions.items()):
        axis = picture.add_subplot(grid[number // columns, number % columns])
        draw_convolutions(axis, kind, shares, shapes, right, with_names=number % columns == 0)
    if others:
        axis = picture.add_subplot(grid[-1, :])
        draw_others(axis, others)
    axis.set_xlabel("share of the limit")
    for label, style in DIRECTIONS.values() if convolutions else ():
        axis.plot([], [], linestyle="none", markersize=4, label=label, **style)
    legend_below(picture, axis)
    return picture
