"""The shape of the source: folders include one way, outside libraries stay behind one folder, tables and files agree,
every file has its test, no file is too long, nothing is left for later."""

import pathlib
import re
import subprocess
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SRC = SOURCE / "src"

# A folder may include itself and what is named here: everything to its left in README's picture.
LEFT_OF = {
    "core": [],
    "io": ["core"],
    "data": ["core", "io"],
    "conv": ["core", "io", "data"],
    "model": ["core", "io", "data", "conv"],
    "dynamics": ["core", "io", "data", "conv", "model"],
    "train": ["core", "io", "data", "conv", "model", "dynamics"],
    "experiments": ["core", "io", "data", "conv", "model", "train", "dynamics"],
    "bench": ["core", "io", "data", "conv", "model", "train", "dynamics", "experiments"],
    "cli": ["core", "io", "data", "conv", "model", "train", "dynamics", "experiments", "bench"],
}

# Headers of outside libraries: where they may be included.  io/run_info writes the libraries' versions into files.
LIBRARIES = {
    r"hdf5\.h|H5\w*\.h": ["io/"],
    r"petsc(snes|ksp|pc|mat|vec|ts)\.h": ["dynamics/"],
    r"slepc\w*\.h": ["dynamics/", "cli/main.c", "io/run_info.c"],
    r"(dnnl|oneapi|libxsmm)\S*": ["conv/backends/", "io/run_info.c"],
    r"petscblaslapack\.h|cblas\.h|lapack\S*\.h": ["conv/backends/", "dynamics/"],
    r"Random123/\S+": ["core/random.c"],
    r"zlib\.h": ["data/", "io/run_info.c", "io/zip_reader.c", "io/zip_writer.c"],
    r"zstream\S*|jpeglib\.h|turbojpeg\.h|png\.h|archive\S*\.h": ["data/", "io/run_info.c"],
    r"openssl/\S+": ["io/"],
}

# Tables: the file, the macro of a line, the start of the symbol a line stands for, the folder of its files.
TABLES = {
    "bench/benchmarks.def": ("CORDS_BENCHMARK", "cords_benchmark_", "bench/benchmarks"),
    "cli/commands.def": ("CORDS_COMMAND", "cords_command_", "cli"),
    "conv/backends.def": ("CORDS_CONV_BACKEND", "cords_conv_backend_", "conv/backends"),
    "data/datasets.def": ("CORDS_DATASET", "cords_dataset_", "data/datasets"),
    "data/operations.def": ("CORDS_OPERATION", "cords_operation_", "data/operations"),
    "dynamics/analyses.def": ("CORDS_ANALYSIS", "cords_analysis_", "dynamics/analyses"),
    "model/areas.def": ("CORDS_AREA", "cords_area_", "model/areas"),
    "train/rollouts.def": ("CORDS_ROLLOUT", "cords_rollout_", "train/rollouts"),
    "train/stages.def": ("CORDS_STAGE", "cords_stage_", "train/stages"),
}

# Files whose test has another name, with the test that would fail if they were wrong.
TESTED_ELSEWHERE = {
    "cli/*": "commands",  # whole commands, as a user types them
    "conv/choice_cache.c": "unit/conv/test_choice.c",  # parts of conv/choice.h
    "conv/choice_text.c": "unit/conv/test_choice.c",
    "conv/choice_trial.c": "unit/conv/test_choice.c",
    "conv/conv.c": "tables/test_backends.c",  # passes calls on to a backend
    "conv/cut_pool.c": "tables/test_stages_cut.c",  # stage 1, whose stem is pooled
    "conv/route.c": "tables/test_backends.c",  # parts of our own backends
    "conv/register_tile.c": "tables/test_backends.c",
    "conv/outer_tile.c": "tables/test_backends.c",
    "conv/direct_weights.c": "tables/test_backends.c",
    "conv/winograd_pair.c": "tables/test_backends.c",
    "conv/winograd_tiles.c": "tables/test_backends.c",
    "conv/winograd_weights.c": "tables/test_backends.c",
    "conv/matrix_weights.c": "tables/test_backends.c",
    "conv/step.c": "tables/test_backends.c",  # the steps of backends without one of their own
    "core/log.c": "commands",  # prints
    "data/archive_file.c": "tables/test_datasets.c",  # CIFAR's archives
    "data/image_folder.c": "tables/test_datasets.c",
    "data/members.c": "tables/test_datasets.c",  # folders and tar files, whole and damaged
    "data/pack_file.c": "unit/data/test_pack.c",  # the layout behind data/pack.h
    "data/synsets_matlab.c": "unit/data/test_synsets.c",
    "io/h5_room.c": "unit/data/test_pack.c",
    "data/decode_jpeg.c": "unit/data/test_decode.c",  # parts of data/decode.h
    "data/decode_png.c": "unit/data/test_decode.c",
    "data/selection.c": "commands",  # the options -dataset, -data, -samples
    "io/h5_arrays.c": "unit/io/test_h5.c",  # parts of io/h5.h
    "io/h5_attributes.c": "unit/io/test_h5.c",
    "io/h5_probe.c": "unit/io/test_h5.c",
    "io/schema.c": "unit/io/test_h5.c",
    "io/torch_archive.c": "unit/io/test_torch_reader.c",
    "model/area_type.c": "tables/test_areas.c",
    "model/input.c": "unit/model/test_system.c",  # parts of model/system.h
    "model/readout.c": "unit/model/test_system.c",
    "model/weights.c": "tables/test_rollouts.c",  # its gradients, against central differences
    "train/fused_arrays.c": "unit/train/test_plan.c",
    "train/rollout.c": "tables/test_rollouts.c",
    "train/run.c": "commands",  # options, and what is wrong with them
    "train/timed_stage.c": "tables/test_stages.c",
}

LINES_MAX = 600


def sources():
    return sorted(path for path in SRC.rglob("*") if path.suffix in (".c", ".h"))


def place(path):
    return path.relative_to(SRC).as_posix()


def listed_files():
    """What git has, or would have: no build folders, no output."""
    command = ["git", "-C", str(SOURCE), "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode == 0:
        names = found.stdout.splitlines()
    else:  # an unpacked archive
        folders = ("src", "tests", "analysis", "jobs", "workflows")
        names = [p.relative_to(SOURCE).as_posix() for f in folders for p in (SOURCE / f).rglob("*") if p.is_file()]
    ends = (".c", ".h", ".def", ".py", ".sh", ".smk", ".yaml", ".j2", ".md", ".txt", ".cmake", ".in", "Snakefile")
    return [SOURCE / name for name in names if name.endswith(ends) and (SOURCE / name).is_file()]


class Includes(unittest.TestCase):
    def test_folders_are_known(self):
        self.assertLessEqual({path.name for path in SRC.iterdir() if path.is_dir()}, set(LEFT_OF))

    def test_one_way(self):
        wrong = []
        for path in sources():
            folder = place(path).split("/")[0]
            for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
                first = name.split("/")[0]
                if "/" not in name or not (SRC / name).exists():
                    wrong.append(f'{place(path)}: "{name}" is not a path from src')
                elif first != folder and first not in LEFT_OF[folder]:
                    wrong.append(f"{place(path)} includes {name}: {first} is not to the left of {folder}")
        self.assertEqual(wrong, [])

    def test_private_headers_stay_home(self):
        wrong = []
        for path in sources():
            for name in re.findall(r'^\s*#\s*include\s+"(\S+_private\.h)"', path.read_text(), re.M):
                if name.split("/")[0] != place(path).split("/")[0]:
                    wrong.append(f"{place(path)}: {name}")
        self.assertEqual(wrong, [])

    def test_libraries(self):
        wrong = []
        for path in sources():
            for name in re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(), re.M):
                for pattern, allowed in LIBRARIES.items():
                    if re.fullmatch(pattern, name) and not any(place(path).startswith(a) for a in allowed):
                        wrong.append(f"{place(path)}: {name} belongs to {', '.join(allowed)}")
        self.assertEqual(wrong, [])

    def test_hdf5_is_seen_by_no_public_header(self):
        for path in (SRC / "io").glob("*.h"):
            if not path.name.endswith("_private.h"):
                self.assertNotRegex(path.read_text(), r"include\s+[<\"]hdf5|hid_t", place(path))

    def test_headers_have_guards(self):
        for path in sources():
            if path.suffix == ".h":
                guard = "CORDS_" + re.sub(r"\W", "_", place(path)).upper()
                self.assertIn(f"#ifndef {guard}\n#define {guard}\n", path.read_text(), place(path))


class Tables(unittest.TestCase):
    def test_every_table_is_known(self):
        self.assertEqual({place(path) for path in SRC.rglob("*.def")}, set(TABLES))

    def test_lines_and_files_agree(self):
        for table, (macro, symbol, folder) in TABLES.items():
            lines = re.findall(rf"^{macro}\((\w+)\)", (SRC / table).read_text(), re.M)
            defined = {}
            for path in (SRC / folder).glob("*.c"):
                found = re.findall(rf"^const \w+ {symbol}(\w+) =", path.read_text(), re.M)
                if not found and not (folder == "cli" and path.name == "main.c"):
                    self.fail(f"{place(path)} defines nothing that {table} could list ({symbol}...)")
                for name in found:
                    self.assertNotIn(name, defined, f"{symbol}{name} is defined twice")
                    defined[name] = path
            self.assertEqual(len(lines), len(set(lines)), f"{table} lists something twice")
            self.assertEqual(sorted(set(lines) - set(defined)), [], f"{table}: lines without a file")
            self.assertEqual(sorted(set(defined) - set(lines)), [], f"{table}: files without a line")

    def test_how_to_add(self):
        for table in TABLES:
            self.assertRegex((SRC / table).read_text(), r"(?s)\A/\*.*\badd\b.*?\*/", f"{table} does not say how to add")


class Tests(unittest.TestCase):
    """Files of tables are tested as lines of their table (tests/tables)."""

    def test_every_file_has_a_test(self):
        missing = []
        for path in SRC.glob("*/*.c"):
            name = place(path)
            folder = name.split("/")[0]
            if (SOURCE / "tests" / "unit" / folder / f"test_{path.name}").exists():
                continue
            if name not in TESTED_ELSEWHERE and f"{folder}/*" not in TESTED_ELSEWHERE:
                missing.append(name)
        self.assertEqual(missing, [], "write tests/unit/<folder>/test_<file>.c, or name the test here with a reason")

    def test_exceptions_are_true(self):
        for name, test in TESTED_ELSEWHERE.items():
            self.assertTrue(list(SRC.glob(name)), f"{name} is not there any more")
            self.assertTrue((SOURCE / "tests" / test).exists(), f"{test}, said to test {name}, is missing")
            if not name.endswith("*"):
                folder, file = name.split("/")
                self.assertFalse((SOURCE / "tests/unit" / folder / f"test_{file}").exists(), f"{name} has its own test")

    def test_every_table_has_a_test(self):
        for table in TABLES:
            if table != "cli/commands.def":  # tests/commands
                name = SOURCE / "tests" / "tables" / f"test_{pathlib.Path(table).stem}.c"
                self.assertTrue(name.exists(), f"{table} has no {name.name}")

    def test_every_test_has_a_file(self):
        for path in (SOURCE / "tests" / "unit").glob("*/test_*.c"):
            file = SRC / path.parent.name / path.name.removeprefix("test_")
            self.assertTrue(file.exists() or file.with_suffix(".h").exists(), f"{path.name} tests no file of that name")


class Text(unittest.TestCase):
    def test_nothing_left_for_later(self):
        words = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
        wrong = []
        for path in listed_files():
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if words.search(line):
                    wrong.append(f"{path.relative_to(SOURCE)}:{number}: {line.strip()}")
        self.assertEqual(wrong, [])

    def test_length(self):
        long = [f"{p.relative_to(SOURCE)}: {n}" for p in listed_files()
                if (n := len(p.read_text(errors="replace").splitlines())) > LINES_MAX]
        self.assertEqual(long, [])

    def test_every_public_folder_is_in_readme(self):
        readme = SOURCE / "README.md"
        if readme.exists():
            text = readme.read_text()
            for path in SRC.iterdir():
                self.assertIn(path.name, text, "README.md's picture of the folders is out of date")


if __name__ == "__main__":
    unittest.main(verbosity=2)
