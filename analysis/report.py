#!/usr/bin/python3
"""Make the report of a run: one page that holds everything, and its figures.

    /usr/bin/python3 analysis/report.py RUN_FOLDER -o OUT_FOLDER

writes OUT_FOLDER/report.html and OUT_FOLDER/figures/NAME.png, NAME.svg.  Every file analysis/figures/NAME.py is a
figure: its docstring is the caption (first line: the title), figure(run) draws it with the run's files or raises
MissingResult, and ORDER says where it stands.  To add one, add a file."""

import argparse
import importlib.util
import io
import os
import pathlib
import re
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

try:
    import h5py
    import jinja2
    import matplotlib
    import numpy
except ImportError as problem:
    print(f"report.py: {problem.name} is missing; use /usr/bin/python3 with Debian's python3-h5py, python3-numpy, "
          "python3-matplotlib and python3-jinja2", file=sys.stderr)
    sys.exit(2)

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (after the backend is chosen)

import summary  # noqa: E402
import tables  # noqa: E402
from cords_results import MissingResult, ResultError, Run  # noqa: E402

WIDTHS = {"wide": (7.6, 2.7), "narrow": (3.7, 2.5)}  # inches: a page, a telephone
# colours of style.mplstyle that become the page's own
INK = {"#1b1f24": "var(--ink)", "#d3d8de": "var(--line)", "#ffffff": "var(--card)", "#0072b2": "var(--blue)"}


def write(path, content):
    """A file that exists is complete."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.replace(part, path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise ResultError(f"{path}: cannot be written: {problem.strerror}") from problem


def find_figures(folder=HERE / "figures"):
    """All figure modules, in the order in which they want to stand."""
    modules = []
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_"):
            specification = importlib.util.spec_from_file_location(f"cords_figure_{path.stem}", path)
            module = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(module)
            modules.append((getattr(module, "ORDER", 1000), path.stem, module))
    return [(name, module) for _, name, module in sorted(modules, key=lambda item: item[:2])]


def image_bytes(figure, kind):
    """The figure as a file of this kind, the same bytes each time."""
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata={"svg": {"Date": None}, "png": {"Software": None}}[kind])
    return stream.getvalue()


def for_page(svg, name, title):
    """An SVG file as part of the page: colours of the page, names of its own, as wide as there is room."""
    text = svg.decode("utf-8")
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(#|href="#)', rf"\1{name}-", text)
    for color, own in INK.items():
        text = text.replace(color, own)
    box = re.search(r'viewBox="([^"]+)"', text).group(1)
    width = float(box.split()[2]) / 72 * 1.25  # a little larger than in print
    start = (f'<svg viewBox="{box}" style="max-width:{width:.2f}in" role="img" '
             f'aria-label="{title}" xmlns="http://www.w3.org/2000/svg" '
             'xmlns:xlink="http://www.w3.org/1999/xlink">')
    return re.sub(r"<svg[^>]*>", lambda _: start, text, count=1)


def draw(name, module, run, folder):
    """One figure for the page: dict(name, title, text, wide, narrow, missing, failed)."""
    title, _, text = (module.__doc__ or name).strip().partition("\n")
    entry = dict(name=name, title=title, text=" ".join(text.split()), missing="", failed="")
    try:
        for form, size in WIDTHS.items():
            with pyplot.style.context(["default", HERE / "style.mplstyle", {"figure.figsize": size}]):
                figure = module.figure(run)
                svg = image_bytes(figure, "svg")
                entry[form] = for_page(svg, f"{name}-{form}", str(jinja2.utils.markupsafe.escape(title)))
                if form == "wide":
                    write(folder / f"{name}.svg", svg)
                    write(folder / f"{name}.png", image_bytes(figure, "png"))
    except MissingResult as problem:
        entry["missing"] = str(problem)
    except ResultError:
        raise
    except Exception as problem:  # a mistake in one figure must not hide the others; the exit status tells
        traceback.print_exc()
        entry["failed"] = f"{type(problem).__name__}: {problem}"
    finally:
        pyplot.close("all")
    if entry["missing"] or entry["failed"]:
        for ending in ("svg", "png"):  # of an earlier report
            (folder / f"{name}.{ending}").unlink(missing_ok=True)
    return entry


def page(run, figures):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("report.html.j2").render(
        run=os.path.basename(os.path.abspath(run.folder)), figures=figures, **summary.summary(run),
        by_row=tables.by_row(run), arrays=tables.arrays(run), made=tables.provenance(run),
        architecture=tables.architecture(run),
        tools=f"Python {sys.version.split()[0]}, h5py {h5py.__version__}, NumPy {numpy.__version__}, "
              f"Matplotlib {matplotlib.__version__}, Jinja {jinja2.__version__}")


def make(run_folder, out_folder):
    """The whole report; the names of figures that failed."""
    out = pathlib.Path(out_folder)
    with Run(run_folder) as run:
        for name in run.files():
            run.file(name)  # a damaged file is told before any work
        try:
            run.log()
        except MissingResult:
            pass  # the figures say so
        try:
            (out / "figures").mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise ResultError(f"{out_folder}: cannot be made: {problem.strerror}") from problem
        figures = [draw(name, module, run, out / "figures") for name, module in find_figures()]
        write(out / "report.html", page(run, figures))
    drawn = [entry for entry in figures if not entry["missing"] and not entry["failed"]]
    print(f"{out / 'report.html'}: {len(drawn)} figures")
    for entry in figures:
        if entry["missing"]:
            print(f"  without {entry['name']}: {entry['missing']}")
    return [entry["name"] for entry in figures if entry["failed"]]


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ResultError(f"{message}; usage: report.py RUN_FOLDER -o OUT_FOLDER")


def main(arguments=None):
    parser = Parser(prog="report.py", description="Make one page and its figures from the results of a run.")
    parser.add_argument("run", metavar="RUN_FOLDER", help="folder with train/log.csv, evaluation.h5, …")
    parser.add_argument("-o", "--output", metavar="OUT_FOLDER", required=True,
                        help="folder for report.html and figures/")
    try:
        options = parser.parse_args(arguments)
        failed = make(options.run, options.output)
    except ResultError as problem:
        print(f"report.py: {problem}", file=sys.stderr)
        return 2
    if failed:
        print(f"report.py: figures that failed, see above: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
