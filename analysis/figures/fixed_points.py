"""Fixed points: how exact, how much work, how sparse

Residuals are recomputed outside the solver; the dashed line is what was asked for. Every point is one image or the
spontaneous state (no image)."""

import numpy

from cords_results.drawing import (GREY, SPONTANEOUS, STIMULUS, area_names, describe, is_spontaneous, legend_below,
                                   panels, short_name, spread)

ORDER = 40
LEAST = 1e-18  # an exactly zero residual is drawn here


def residuals(axis, file, spontaneous):
    array = file["fixed_points/residual_norm_rel"]
    values = numpy.maximum(array.per("point", reduce=numpy.max), LEAST)
    rows = numpy.arange(len(values))
    for chosen, style, name in ((~spontaneous, STIMULUS, "with an image"), (spontaneous, SPONTANEOUS, "spontaneous")):
        axis.plot(rows[chosen], values[chosen], linestyle="none", markeredgewidth=0, label=name, **style)
    asked = file.attributes("fixed_points").get("tolerance")
    if isinstance(asked, float) and asked > 0:
        axis.axhline(asked, color=GREY, linestyle="--", linewidth=1.2, label="asked tolerance")
    axis.set_yscale("log")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_xlabel(array.axes[0])
    describe(axis, array)


def iterations(axis, file, spontaneous):
    """Work of the solvers: Newton steps across, linear iterations up."""
    newton, linear = file["fixed_points/newton_iterations"], file["fixed_points/linear_iterations"]
    x, y = (array.per("point", reduce=numpy.sum) for array in (newton, linear))
    for chosen, style in ((~spontaneous, STIMULUS), (spontaneous, SPONTANEOUS)):
        axis.plot(x[chosen], y[chosen], linestyle="none", markeredgewidth=0, alpha=0.6, **style)
    axis.set(xlabel=short_name(newton), ylabel=short_name(linear), title="work of the solvers")
    for limit, count in ((axis.set_xlim, x.max()), (axis.set_ylim, y.max())):  # points at zero are whole
        limit(-0.06 * max(1, count), 1.08 * max(1, count))
    if not x.any():
        axis.text(0.5, 0.5, "none: the Euler steps before\nNewton's method sufficed", transform=axis.transAxes, ha="center",
                  va="center", fontsize="small", color=GREY)
    axis.xaxis.get_major_locator().set_params(integer=True)


def sparsity(axis, file, spontaneous):
    array = file["fixed_points/active_fraction"]
    values = array.per("point", "area")
    count = values.shape[1]
    for chosen, style, side in ((~spontaneous, STIMULUS, -0.08), (spontaneous, SPONTANEOUS, 0.24)):
        spread(axis, [values[chosen, area] for area in range(count)], style, None, side)
    axis.set_xticks(range(count), area_names(count), rotation=30 if count > 3 else 0)
    describe(axis, array)
    axis.set_ylim(0, 1)


def figure(run):
    file = run.file("fixed_points.h5")
    spontaneous = is_spontaneous(file, "fixed_points")
    figure, axes = panels(3, height=2.6)
    for axis, draw in zip(axes, (residuals, iterations, sparsity)):
        draw(axis, file, spontaneous)
    legend_below(figure, axes[0])
    return figure
