"""What several figures share: panels that follow the width of the page, labels, colours with a meaning."""

import textwrap

import numpy
from matplotlib import pyplot

SPONTANEOUS = dict(color="#D55E00", marker="D")  # no image shown
STIMULUS = dict(color="#0072B2", marker="o")     # an image shown
GREY = "#7F7F7F"


def page_width():
    """Inches.  report.py draws every figure for a wide page and for a telephone."""
    return pyplot.rcParams["figure.figsize"][0]


def panels(count, least_width=2.3, height=None, columns=None, **options):
    """A figure of `count` panels, as many beside each other as the page has room for: figure, list of axes."""
    height = height or pyplot.rcParams["figure.figsize"][1]
    columns = max(1, min(count, columns or count, int(page_width() / least_width)))
    rows = -(-count // columns)
    figure, axes = pyplot.subplots(rows, columns, squeeze=False, figsize=(page_width(), rows * height), **options)
    for spare in axes.flat[count:]:
        spare.remove()
    return figure, list(axes.flat[:count])


def label(array, text=None):
    """Array.label for Matplotlib, which takes what stands between dollars for mathematics."""
    return array.label(text).replace("$", r"\$")


def wrapped(text, axis, lines_max=3):
    """Text on lines as wide as the panel; None if that takes more than lines_max."""
    columns = axis.get_subplotspec().get_gridspec().ncols
    width = max(16, int((page_width() / columns - 0.45) / 0.078))
    lines = textwrap.wrap(text, width)
    return "\n".join(lines) if len(lines) <= lines_max else None


def short_name(array):
    """The name and unit of an array, for where the meaning is too long."""
    name = array.name.rsplit("/", 1)[-1].removesuffix(f"_{array.unit}")
    return label(array, (f"relative {name[:-4]}" if name.endswith("_rel") else name).replace("_", " "))


def describe(axis, array):
    """What a panel shows, as its title: the meaning and unit from the file; its name where the meaning is long."""
    axis.set_title(wrapped(label(array), axis) or short_name(array))


def area_names(count):
    return [f"area {number}" for number in range(count)]


def is_spontaneous(file, group):
    """For every row of a group with an array `image`: no image was shown (image is −1)."""
    return file[f"{group}/image"].values < 0


def spread(axis, groups, style, name, offset=0.0, width=0.26):
    """One column of points per group (a list of arrays), pushed apart sideways so that they can be counted."""
    for position, values in enumerate(groups):
        values = values[numpy.isfinite(values)]
        sideways = (numpy.arange(len(values)) * 0.618034 % 1 - 0.5) * width if len(values) > 1 else 0 * values
        axis.plot(position + offset + sideways, values, linestyle="none", alpha=0.7, markeredgewidth=0, **style,
                  label=name if position == 0 else None)


def log_if_wide(axis, values, least=0.0):
    """Logarithmic y where positive values span more than a factor of 30."""
    values = numpy.asarray(values, dtype=float)
    values = values[numpy.isfinite(values)]
    if len(values) and values.min() > least and values.max() > 30 * values.min():
        axis.set_yscale("log")


def legend_below(figure, axis, columns=4):
    """One legend for all panels, under them, in room that the layout leaves free."""
    handles, names = axis.get_legend_handles_labels()
    if not handles:
        return
    columns = max(1, min(columns, len(names), int(page_width() / 1.7)))
    rows = -(-len(names) // columns)
    room = (0.1 + 0.18 * rows) / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, room, 1, 1 - room))
    figure.legend(handles, names, loc="lower center", ncol=columns, borderaxespad=0.2)
