"""The report from result files of exactly the documented form, and from a real run if CORDS_RUN names its folder."""
# BESIDE OTHERS

import os
import pathlib
import shutil
import subprocess
import sys
import unittest
from html.parser import HTMLParser

import h5py
import matplotlib
import numpy
from example_run import COLUMNS, TOLERANCE, Example  # tests/support
from scratch import Scratch

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ANALYSIS = SOURCE / "analysis"
sys.path.insert(0, str(ANALYSIS))

import cords_results  # noqa: E402  (found by the line above)
import report  # noqa: E402  (chooses Matplotlib's backend)
import summary  # noqa: E402
import tables  # noqa: E402
from matplotlib import pyplot  # noqa: E402

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Reads a page; tells what is not closed, ids, references and all text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.references, self.tags, self.text, self.trouble = [], [], [], set(), "", []
        self.feed(text)
        self.close()
        self.trouble += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.references.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.trouble.append(f"</{tag}> closes something else")

    def handle_data(self, data):
        self.text += data


def run_report(*arguments):
    return subprocess.run([sys.executable, str(ANALYSIS / "report.py"), *map(str, arguments)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)


def change(path, array, values):
    """Other numbers in an array that is there."""
    with h5py.File(path, "r+") as file:
        file[array][...] = values


def words(folder):
    """The summary as one text."""
    with cords_results.Run(folder) as run:
        told = summary.summary(run)
    return " ".join(told["warnings"] + told["sentences"] + [f"{a} {b}" for a, b in told["tiles"]])


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = Scratch()
        cls.scratch = pathlib.Path(cls.temporary.name)
        cls.example = Example(cls.scratch / "run")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def copy(self):
        """A copy of the example, to be changed."""
        folder = self.scratch / self._testMethodName / "run"
        shutil.copytree(self.example.folder, folder)
        return folder

    def check_page(self, folder, out):
        """What holds for the report of any run."""
        text = (out / "report.html").read_text()
        page = Page(text)
        self.assertEqual(page.trouble, [])
        self.assertEqual(len(page.ids), len(set(page.ids)), "an id stands twice")
        self.assertNotIn("script", page.tags)
        for reference in page.references:
            self.assertRegex(reference, r"^(#|data:)", "the page is not self-contained")
            if reference.startswith("#"):
                self.assertIn(reference[1:], page.ids)
        for needed in ("width=device-width", "prefers-color-scheme: dark", "@media print", "overflow-x: auto"):
            self.assertIn(needed, text)
        run = cords_results.Run(folder)
        for name in run.files():
            self.assertIn(run.digest(name), page.text)
            for array_name in run.file(name).names() if not name.endswith("checkpoint.h5") else ():
                array = run.file(name)[array_name]
                self.assertTrue(array.unit and array.meaning, f"{name}: {array_name} lacks unit or meaning")
                for part in (array_name, array.meaning):
                    self.assertIn(part, page.text)
        self.assertEqual([path.name for path in out.rglob("*.part")], [])
        return page


class Whole(Base):
    def test_report_of_a_complete_run(self):
        out = self.scratch / "out"
        done = run_report(self.example.folder, "-o", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        page = self.check_page(self.example.folder, out)
        names = {path.stem for path in (ANALYSIS / "figures").glob("*.py")}
        self.assertGreaterEqual(len(names), 8)
        for name in names:
            self.assertIn(name, page.ids)
            self.assertTrue((out / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG"))
            self.assertIn(b"</svg>", (out / "figures" / f"{name}.svg").read_bytes())
        self.assertNotIn("Not in this run", page.text)
        self.assertNotIn("without", done.stdout)
        for value in (TOLERANCE, "fashion_mnist", "-eps_nev 20", "0123abc", "PETSc 3.18.5", "is the file of this run"):
            self.assertIn(tables.number(value, 1) if isinstance(value, float) else value, page.text)
        # the same files give the same page
        again = self.scratch / "again"
        self.assertEqual(run_report(self.example.folder, "-o", again).returncode, 0)
        for path in out.rglob("*.*"):
            self.assertEqual(path.read_bytes(), (again / path.relative_to(out)).read_bytes(), path.name)

    def test_training_only(self):
        folder = self.scratch / "training_only"
        shutil.copytree(self.example.folder / "train", folder / "train")
        out = self.scratch / "training_out"
        done = run_report(folder, "-o", out)
        self.assertEqual(done.returncode, 0)
        page = self.check_page(folder, out)
        self.assertIn("Not in this run", page.text)
        self.assertIn("2 figures\n", done.stdout)
        for command, name in (("cords analyse stability", "stability.h5"), ("cords bench", "bench.h5"),
                              ("cords bench growth", "bench_growth.h5"), ("cords evaluate", "evaluation.h5")):
            for told in (page.text, done.stdout):
                self.assertIn(f"{name}: there is no such file; {command} … -output {folder / name} writes it", told)
        for sentence in ("was not evaluated", "No fixed points were computed", "stability of the fixed points was not computed",
                         "4 areas with 16, 16, 32, 32 channels"):
            self.assertIn(sentence, page.text)
        self.assertEqual({path.stem for path in (out / "figures").iterdir()}, {"training", "return_to_baseline"})

    def test_run_of_the_environment(self):
        folder = os.environ.get("CORDS_RUN")
        if not folder:
            self.skipTest("CORDS_RUN names no folder of a run")
        out = self.scratch / "environment"
        done = run_report(folder, "-o", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn(f": {folder}", self.check_page(folder, out).text.partition("Not in this run")[2].partition("bench.h5")[0])


class Summary(Base):
    def test_numbers_come_from_the_files(self):
        told = words(self.example.folder)
        run = cords_results.Run(self.example.folder)
        accuracy = 100 * run.file("evaluation.h5")["evaluation/accuracy"].values[-1]
        cnn = 100 * run.file("evaluation_cnn.h5")["evaluation/accuracy"].values[-1]
        self.assertIn(f"{accuracy:.2f} % of 200 test images", told)
        self.assertIn(f"{abs(accuracy - cnn):.2f} points {'above' if accuracy > cnn else 'below'} the CNN", told)
        self.assertIn("4 areas and 9,408 neurons", told)
        self.assertIn("7 of 7 fixed points (6 images, the spontaneous state) reached", told)
        self.assertIn("7 stable, 0 unstable, 0 undecided", told)
        self.assertIn("280 eigenpairs were computed, all of them within the asked relative residual of 1\u202f×\u202f10⁻⁸", told)
        self.assertIn("8 of 8 asked for converged", told)
        slow = run.file("stability.h5")["stability/slowest_time_constant_ms"].values
        self.assertIn(f"{tables.number(slow[1:].max(), 3)}\u00a0ms with an image", told)
        self.assertIn(f"{tables.number(slow[0].max(), 3)}\u00a0ms in the spontaneous state", told)
        self.assertNotIn("quick", told)

    def test_not_converged_is_said(self):
        folder = self.copy()
        with cords_results.Run(folder) as run:
            residual = run.file("fixed_points.h5")["fixed_points/residual_norm_rel"].values.copy()
        residual[3] = 2e-3
        change(folder / "fixed_points.h5", "fixed_points/residual_norm_rel", residual)
        told = words(folder)
        self.assertIn("6 of 7 fixed points", told)
        self.assertIn("(rows 3)", told)
        self.assertIn("not to be trusted", told)
        self.assertIn("the worst is 0.002", told)
        residual[3] = numpy.nan
        change(folder / "fixed_points.h5", "fixed_points/residual_norm_rel", residual)
        self.assertIn("6 of 7 fixed points", words(folder))

    def test_verdicts_and_missing_time_constants(self):
        folder = self.copy()
        change(folder / "stability.h5", "stability/verdict", [1, -1, 0, 1, 1, 1, 1])
        slow = 1000.0 * numpy.arange(1, 8)[:, None] * numpy.ones(4)
        slow[3:] = 50
        change(folder / "stability.h5", "stability/slowest_time_constant_ms", slow)
        told = words(folder)
        self.assertIn("5 stable, 1 unstable, 1 undecided", told)
        self.assertIn("5 / 7 fixed points stable (1 unstable, 1 undecided)", told)
        self.assertIn("at stable fixed points are 50\u00a0ms with an image", told)  # not 2 or 3 s of the others
        change(folder / "stability.h5", "stability/slowest_time_constant_ms", numpy.nan)
        told = words(folder)
        self.assertIn("No time constant can be told", told)

    def test_made_from_an_older_file_is_said(self):
        folder = self.copy()
        self.assertNotIn("another version", words(folder))
        change(folder / "fixed_points.h5", "fixed_points/label", 5)
        self.assertIn("stability.h5 was made from another version of fixed_points.h5", words(folder))

    def test_quick_is_said_first(self):
        for options in ("-config workflows/config/train_demo_quick.yaml", "-quick"):
            folder = self.scratch / options[-5:] / "run"
            Example(folder, options=options)
            self.assertTrue(summary.summary(cords_results.Run(folder))["warnings"][0].startswith("This is the quick variant"))
        folder = self.scratch / "demo_quick"
        shutil.copytree(self.example.folder, folder)
        self.assertIn("This is the quick variant", words(folder))


class Figures(Base):
    def draw(self, folder, only=None):
        """Every figure as SVG text, {name: text}; the page's width only."""
        target = self.scratch / self._testMethodName
        target.mkdir(exist_ok=True)
        drawn = {}
        with cords_results.Run(folder) as run:
            for name, module in report.find_figures():
                if only is None or name in only:
                    entry = report.draw(name, module, run, target)
                    self.assertEqual(entry["failed"], "", name)
                    drawn[name] = entry.get("wide", "") or entry["missing"]
        return drawn

    def test_words_come_from_the_file(self):
        folder = self.copy()
        with h5py.File(folder / "stability.h5", "r+") as file:
            file["stability/slowest_time_constant_ms"].attrs.update(unit="fortnight", meaning="patience of <an> $area$")
            file["spectrum/eigenvalue"].attrs["unit"] = "1/aeon"
        with h5py.File(folder / "activity.h5", "r+") as file:
            file["activity/time_ms"].attrs["unit"] = "blink"
        drawn = self.draw(folder, {"time_constants", "spectra", "activity"})
        self.assertIn("patience of &lt;an&gt; $area$ (fortnight)", drawn["time_constants"])
        self.assertIn("(1/aeon)", drawn["spectra"])
        self.assertIn("(blink)", drawn["activity"])

    def test_axes_come_from_the_file(self):
        folder = self.copy()
        before = self.draw(folder, {"activity"})["activity"]
        with h5py.File(folder / "activity.h5", "r+") as file:
            for name in ("mean", "norm", "active_fraction"):
                array = file[f"activity/{name}"]
                attributes, values = dict(array.attrs), array[...].transpose(2, 0, 1)
                del file[f"activity/{name}"]
                array = file.create_dataset(f"activity/{name}", data=values)
                array.attrs.update(attributes, axes="area,image,step")
        self.assertEqual(before, self.draw(folder, {"activity"})["activity"])

    def test_return_to_baseline(self):
        """From training through time, from trials, from both; from neither there is nothing to draw."""
        name = "return_to_baseline"
        folder = self.copy()
        both = self.draw(folder, {name})[name]
        for words in ("5 fine-tune", "trained network, S = ", "area 3"):
            self.assertIn(words, both)
        log = folder / "train" / "log.csv"
        rows = [row.split(",") for row in log.read_text().splitlines()]
        place = rows[0].index("spontaneous")
        log.write_text("".join(",".join(row[:place] + ([""] if number else row[place:place + 1]) + row[place + 1:]) + "\n"
                               for number, row in enumerate(rows)))
        trials = self.draw(folder, {name})[name]
        self.assertNotIn("5 fine-tune", trials)
        self.assertIn("trained network, S = ", trials)
        with h5py.File(folder / "activity.h5", "r+") as file:
            del file["activity/distance"]
        self.assertIn("neither trials with a return phase", self.draw(folder, {name})[name])

    def test_solvers_that_had_nothing_to_do(self):
        """Their panel says so and still shows the points."""
        name, said = "fixed_points", "Newton's method sufficed"
        folder = self.copy()
        self.assertNotIn(said, self.draw(folder, {name})[name])
        change(folder / "fixed_points.h5", "fixed_points/newton_iterations", 0)
        change(folder / "fixed_points.h5", "fixed_points/linear_iterations", 0)
        self.assertIn(said, self.draw(folder, {name})[name])
        (module,) = (module for found, module in report.find_figures() if found == name)
        with pyplot.style.context(["default", ANALYSIS / "style.mplstyle"]):
            drawn = module.figure(cords_results.Run(folder))
        for limits in (drawn.axes[1].get_xlim(), drawn.axes[1].get_ylim()):
            self.assertLess(limits[0], 0)
        pyplot.close(drawn)

    def test_text_covers_no_eigenvalue(self):
        """One in every corner of the panels: what is written stands outside of them."""
        folder = self.copy()
        with h5py.File(folder / "stability.h5", "r+") as file:
            corners = numpy.resize([-1 + 1j, -1 - 1j, -0.1 + 1j, -0.1 - 1j], file["spectrum/eigenvalue"].shape)
            file["spectrum/eigenvalue"][...] = corners
        (module,) = (module for name, module in report.find_figures() if name == "spectra")
        for size in report.WIDTHS.values():
            with pyplot.style.context(["default", ANALYSIS / "style.mplstyle", {"figure.figsize": size}]):
                drawn = module.figure(cords_results.Run(folder))
                drawn.draw_without_rendering()
                for axis in drawn.axes:
                    panel = axis.get_window_extent()
                    self.assertIn("rightmost −0.1", axis.get_title(loc="left") + axis.get_title())
                    for text in axis.findobj(matplotlib.text.Text):
                        box = text.get_window_extent()
                        inside = box.width and box.xmin < panel.xmax - 1 and box.xmax > panel.xmin + 1 and \
                            box.ymin < panel.ymax - 1 and box.ymax > panel.ymin + 1
                        self.assertFalse(text.get_visible() and text.get_text() and inside, text.get_text())
                pyplot.close(drawn)

    def test_bench(self):
        folder = self.copy()
        drawn = self.draw(folder, {"bench", "cost_growth"})
        for words in ("rollout f32 R8 trial", "checkpoint R8 parameters", "share of the limit",
                      "7x7 512 to 512, 3x3, 1 image", "56x56 64 to 128, 3x3 stride 2, 8 images", "back to the weights"):
            self.assertIn(words, drawn["bench"])
        self.assertNotIn("loader", drawn["bench"])  # has no limit
        for words in ("side of the image (pixels)", "448", "steps per phase", "planned memory", "in proportion to operations"):
            self.assertIn(words, drawn["cost_growth"])
        change(folder / "bench.h5", "bench/limit", 0)
        change(folder / "bench_growth.h5", "bench/benchmark", 0)
        drawn = self.draw(folder, {"bench", "cost_growth"})
        self.assertIn("no case in it has a limit", drawn["bench"])
        self.assertIn("no case of cords bench growth", drawn["cost_growth"])
        (folder / "bench.h5").unlink()
        (folder / "bench_growth.h5").unlink()
        drawn = self.draw(folder, {"bench", "cost_growth"})
        for name, command in (("bench", "bench"), ("cost_growth", "bench growth")):
            self.assertIn(f"cords {command} … -output", drawn[name])

    def test_other_shapes(self):
        for number, shape in enumerate((dict(areas=2, images=1, tests=3, per_area=1), dict(areas=8, images=3, dense=50))):
            folder = self.scratch / f"shape{number}" / "run"
            Example(folder, **shape)
            for name, text in self.draw(folder).items():
                self.assertIn("</svg>", text, name)

    def test_a_file_is_all_a_figure_needs_and_its_mistake_is_told(self):
        folder = self.scratch / "figures"
        folder.mkdir()
        (folder / "mine.py").write_text('"""Mine\n\nText."""\nORDER = 1\n\n\ndef figure(run):\n    return 1 / 0\n')
        (name, module), = report.find_figures(folder)
        stderr, sys.stderr = sys.stderr, open(os.devnull, "w")
        try:
            entry = report.draw(name, module, cords_results.Run(self.example.folder), folder)
        finally:
            sys.stderr.close()
            sys.stderr = stderr
        self.assertEqual((entry["title"], entry["text"]), ("Mine", "Text."))
        self.assertIn("ZeroDivisionError", entry["failed"])


class Files(Base):
    def test_complex_numbers_and_attributes_however_stored(self):
        path = self.scratch / "kinds.h5"
        values = numpy.array([(1.0, 2.0), (3.0, -4.0)], dtype=[("r", "f4"), ("i", "f4")])
        with h5py.File(path, "w") as file:
            data = file.create_dataset("group/pair", data=values)
            data.attrs.update(axes=numpy.bytes_("pair"), unit=b"1/tau", meaning="eigenvalue")
            file.create_group("run").attrs.update(seed=numpy.int64(3), options=numpy.bytes_("-a 1"))
        file = cords_results.ResultFile(path)
        self.assertTrue(numpy.array_equal(file["group/pair"].values, [1 + 2j, 3 - 4j]))
        self.assertEqual((file["/group/pair"].axes, file["group/pair"].unit), (("pair",), "1/tau"))
        self.assertEqual((file.run["seed"], file.run["options"]), (3, "-a 1"))
        self.assertEqual(tables.statistics(file["group/pair"])["mean"], "2 − 1 i")

    def test_continued_log_counts_the_later_row(self):
        folder = self.copy()
        path = folder / "train/log.csv"
        lines = path.read_text().splitlines()
        changed = lines[5].split(",")
        changed[COLUMNS.index("loss")] = "9.5"
        path.write_text("\n".join(lines + [",".join(changed)]) + "\n")
        stage = cords_results.Run(folder).log()["compatibility"]
        self.assertEqual(len(stage["update"]), 30)
        self.assertEqual(stage["loss"][4], 9.5)
        self.assertTrue((numpy.diff(stage["update"]) > 0).all())

    def test_numbers_are_written_for_readers(self):
        for value, text in ((0.0, "0"), (1234567, "1,234,567"), (-0.25, "−0.25"), (numpy.inf, "∞"), (2.5e-11, "2.50\u202f×\u202f10⁻¹¹"),
                            (100.0, "100"), (0.8815, "0.8815"), (numpy.nan, "not a number")):
            self.assertEqual(tables.number(value), text)


class Errors(Base):
    def refused(self, says, *arguments):
        """One sentence, status 2, nothing left behind."""
        done = run_report(*arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertRegex(done.stderr, says)
        self.assertFalse((self.scratch / "none").exists())

    def test_bad_input(self):
        out = self.scratch / "none"
        self.refused(r"nowhere: there is no such folder", self.scratch / "nowhere", "-o", out)
        empty = self.scratch / "empty"
        empty.mkdir()
        self.refused(r"empty: no results of cords", empty, "-o", out)
        self.refused(r"required: -o", self.example.folder)
        blocked = self.scratch / "blocked"
        blocked.write_text("a file")
        self.refused(r"blocked: cannot be made", self.example.folder, "-o", blocked)

        folder = self.copy()
        good = (folder / "stability.h5").read_bytes()
        for bad in (good[:len(good) // 2], b"", numpy.random.default_rng(0).bytes(5000)):
            (folder / "stability.h5").write_bytes(bad)
            self.refused(r"stability\.h5: not a complete HDF5 file", folder, "-o", out)
        (folder / "stability.h5").write_bytes(good)
        log = (folder / "train/log.csv").read_text()
        for bad, says in ((log.replace("50,6400", "5x,6400", 1), "a cell is not a number"), ("a,b\n1,2\n", "no column")):
            (folder / "train/log.csv").write_text(bad)
            self.refused(rf"log\.csv: .*{says}", folder, "-o", out)

    def test_text_of_files_cannot_become_markup(self):
        folder = self.copy()
        evil = "<script>alert(1)</script><img src=http://example.org/x>"
        with h5py.File(folder / "evaluation.h5", "r+") as file:
            file["run"].attrs["options"] = evil
            file["evaluation/accuracy"].attrs["meaning"] = evil
            file["evaluation/loss"].attrs["unit"] = evil
        out = self.scratch / "evil"
        self.assertEqual(run_report(folder, "-o", out).returncode, 0)
        page = self.check_page(folder, out)
        self.assertNotIn("img", page.tags)
        self.assertIn(evil, page.text)


if __name__ == "__main__":
    unittest.main()
