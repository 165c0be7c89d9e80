"""Rates beside the machine's limits

The share of what the same threads reach at best: multiply-adds of the same number type, bytes of memory or of a file,
measured in the same run. Bars: the median of several repetitions. Dots: the same beside the matrix product of BLAS."""

from cords_results import MissingResult
from cords_results.bench import cases, measured
from cords_results.drawing import GREY, legend_below, page_width, panels

ORDER = 90
COLORS = {"f32": "#0072B2", "bf16": "#009E73", "f64": "#D55E00", "memory": GREY, "file": GREY}


def figure(run):
    rows = [case for case in cases(measured(run, "bench.h5")) if case["limit"] in COLORS]
    if not rows:
        raise MissingResult(f"{run.path('bench.h5')}: no case in it has a limit of the machine")
    picture, (axis,) = panels(1, height=0.8 + 0.17 * len(rows))
    for row, case in enumerate(rows):
        axis.barh(row, case["ratio"], color=COLORS[case["limit"]], height=0.7)
        if case["gemm_ratio"] > 0:
            axis.plot(case["gemm_ratio"], row, marker=".", linestyle="none", color="#1b1f24",
                      label="beside BLAS" if not axis.get_legend_handles_labels()[1] else None)
    axis.set_yticks(range(len(rows)), [case["name"] for case in rows], fontsize=6 if page_width() > 5 else 4)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.axvline(1, color=GREY, linewidth=0.8)
    axis.set_xlabel("share of the limit")
    legend_below(picture, axis)
    return picture
