"""Spectra of the Jacobian at the fixed points

Left of the line a perturbation dies out, right of it (tinted) it grows. Large marks: eigenpairs of the iterative
solver. Small grey dots: the whole spectrum by a dense solver, where it was computed."""

import numpy

from cords_results import MissingResult
from cords_results.drawing import GREY, SPONTANEOUS, STIMULUS, label, legend_below, page_width, panels

ORDER = 50
WHOLE_SYSTEM = -1


def limits(values):
    """Common limits of all panels: every eigenvalue and the stability line, with a margin."""
    real = numpy.append(values.real, 0.0)
    spread = max(numpy.ptp(real), 1e-3)
    height = max(numpy.abs(values.imag).max(), 0.15 * spread)
    return (real.min() - 0.08 * spread, real.max() + 0.12 * spread), (-1.12 * height, 1.12 * height)


def title(file, area):
    if area == WHOLE_SYSTEM:
        return "whole system"
    if "areas/neurons" in file:
        return f"area {area}: {int(file['areas/neurons'].values[area]):,} neurons"
    return f"area {area}"


def figure(run):
    file = run.file("stability.h5")
    array = file["spectrum/eigenvalue"]
    values, area = array.values.ravel(), file["spectrum/area"].values
    if not len(values):
        raise MissingResult(f"{file.path}: no eigenpair converged")
    image = dict(zip(file["stability/point"].values.tolist(), file["stability/image"].values.tolist()))
    spontaneous = numpy.array([image.get(point, 0) < 0 for point in file["spectrum/point"].values.tolist()])
    dense, dense_area = numpy.zeros(0, complex), numpy.zeros(0, int)
    if "spectrum_dense/eigenvalue" in file:
        dense, dense_area = file["spectrum_dense/eigenvalue"].values.ravel(), file["spectrum_dense/area"].values
    across, up = limits(numpy.concatenate([values, dense]))

    shown = [number for number in numpy.unique(area) if number >= 0] + ([WHOLE_SYSTEM] if WHOLE_SYSTEM in area else [])
    figure, axes = panels(len(shown), height=2.3, columns=3 if page_width() > 5 else 1, sharex=True, sharey=True)
    for axis, number in zip(axes, shown):
        axis.axvspan(0, across[1], color="#D55E00", alpha=0.10, linewidth=0)
        axis.axvline(0, color="#D55E00", linestyle="-", linewidth=1.2, label="stability line")
        mine = dense[dense_area == number]
        if len(dense):
            axis.plot(mine.real, mine.imag, ".", color=GREY, markersize=2, alpha=0.5, markeredgewidth=0,
                      linestyle="none", rasterized=True)
            axis.plot([], [], ".", color=GREY, linestyle="none", label="whole spectrum (dense)")  # seen in the legend
        for chosen, style, name in ((~spontaneous, STIMULUS, "with an image"),
                                    (spontaneous, SPONTANEOUS, "spontaneous")):
            mine = values[(area == number) & chosen]
            axis.plot(mine.real, mine.imag, linestyle="none", markersize=4, alpha=0.55, markeredgewidth=0,
                      rasterized=len(values) > 3000, label=name, **style)
        # above the panel, where no eigenvalue can be
        rightmost = f"{values[area == number].real.max():.3g}".replace("-", "−")
        axis.set(title=f"{title(file, number)}\nrightmost {rightmost}", xlim=across, ylim=up)
        axis.tick_params(labelbottom=True, labelleft=True)
        axis.set_xlabel(label(array, "real part"))
        axis.set_ylabel(label(array, "imaginary part"))
    legend_below(figure, axes[0])
    return figure
