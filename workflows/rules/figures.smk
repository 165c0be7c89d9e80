# All results of a run to one page.
REPORT = quote(str(FOLDER.parent / "analysis" / "report.py"))


rule report:
    input:
        "train/model.h5",
        "evaluation.h5",
        "evaluation_cnn.h5",
        "activity.h5",
        "fixed_points.h5",
        "stability.h5",
    output:
        "report/report.html",
    shell:
        """
        echo "== report =="
        {PYTHON} {REPORT} . -o report
        """
