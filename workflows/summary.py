"""The numbers a run is judged by, and where its files are:  python3 workflows/summary.py results/demo"""

import pathlib
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "analysis"))

import cords_results  # noqa: E402  (found by the line above)

VERDICTS = ((1, "stable"), (-1, "unstable"), (0, "undecided"))
FILES = ("train/model.h5", "train/cnn.h5", "train/log.csv", "evaluation.h5", "evaluation_cnn.h5", "activity.h5",
         "fixed_points.h5", "stability.h5", "report/report.html")


def accuracy(run, name, what):
    file = run.file(name)
    last = 100 * float(file["evaluation/accuracy"].values.ravel()[-1])
    return f"accuracy of {what}: {last:.2f} % of {len(file['evaluation/label'].values)} test images"


def fixed_points(run):
    file = run.file("fixed_points.h5")
    residual = file["fixed_points/residual_norm_rel"].values
    tolerance = float(file.attributes("fixed_points")["tolerance"])
    return (f"fixed points: {(residual <= tolerance).sum()} of {len(residual)} within {tolerance:g}, "
            f"worst relative residual {numpy.nanmax(residual):.1e}")


def stability(run):
    file = run.file("stability.h5")
    verdicts = file["stability/verdict"].values
    residual = file["spectrum/residual_norm_rel"].values
    lines = ["stability: " + ", ".join(f"{(verdicts == number).sum()} {word}" for number, word in VERDICTS)
             + f"; smallest margin {numpy.nanmin(file['stability/margin'].values):.3g} {file['stability/margin'].unit}",
             f"eigenpairs: {len(residual)}, worst relative residual {numpy.nanmax(residual):.1e}"]
    if "stability/block_whole_difference" in file:
        worst = numpy.nanmax(file["stability/block_whole_difference"].values)
        lines.append(f"whole system and areas one by one: eigenvalues differ by at most {worst:.1e}")
    return lines


def main(folder):
    try:
        run = cords_results.Run(folder)
        lines = [accuracy(run, "evaluation.h5", "the recurrent network"), accuracy(run, "evaluation_cnn.h5", "its CNN"),
                 fixed_points(run), *stability(run)]
    except cords_results.ResultError as problem:
        print(f"summary.py: {problem}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    print("files:", *(f"  {folder}/{name}" for name in FILES if pathlib.Path(folder, name).exists()), sep="\n")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("summary.py: give the folder of a run, for example results/demo", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
