# Every data set with every network and every seed: trained, evaluated, gathered into one file, a table and a figure.
TRAINING = str(FOLDER / "config" / config["training"])
TABLE = quote(str(FOLDER / "accuracy.py"))
ACCURACY_REPORT = quote(str(FOLDER.parent / "analysis" / "report.py"))


wildcard_constraints:
    data="|".join(config["datasets"]),
    network="|".join(config["networks"]),
    seed="[0-9]+",


def images(wildcards):
    """What every command that reads images is told."""
    return f"-dataset {config['datasets'][wildcards.data]['dataset']} -data {quote(trained_with(wildcards.data))}"


def options(wildcards):
    """What a data set and a network change in the options of the file; the command line wins."""
    changes = {**config["datasets"][wildcards.data].get("options", {}),
               **config["networks"][wildcards.network].get("options", {})}
    return " ".join(f"-{key} {quote(str(value))}" for key, value in changes.items())


# As in rules/train.smk: only model.h5 is an output, since Snakemake deletes outputs and the checkpoint has to survive.
rule train:
    input:
        lambda wildcards: made_here(wildcards.data),
        options=TRAINING,
    output:
        "runs/{data}/{network}/seed_{seed}/train/model.h5",
    params:
        images=images,
        options=options,
        folder="runs/{data}/{network}/seed_{seed}",
        limit=f"-time_limit {quote(config['time_limit'])}" if "time_limit" in config else "",
    threads: 1
    shell:
        """
        echo "== train: {wildcards.data}, {wildcards.network}, seed {wildcards.seed} =="
        status=0
        mkdir -p {params.folder}/train
        {CORDS} train -config {input.options:q} {params.images} {params.options} {params.limit} -seed {wildcards.seed} \
            -output {params.folder}/train >>{params.folder}/train.txt || status=$?
        if [ $status -eq 75 ]; then echo "training was stopped and has saved; the same command continues it" >&2; fi
        exit $status
        """


rule evaluate:
    input:
        "runs/{data}/{network}/seed_{seed}/train/model.h5",
    output:
        network="runs/{data}/{network}/seed_{seed}/evaluation.h5",
        cnn="runs/{data}/{network}/seed_{seed}/evaluation_cnn.h5",
    params:
        images=images,
        first=config["evaluation"]["images"],
        train="runs/{data}/{network}/seed_{seed}/train",
    threads: 1
    shell:
        """
        echo "== evaluate: {wildcards.data}, {wildcards.network}, seed {wildcards.seed} =="
        {CORDS} evaluate -checkpoint {params.train}/model.h5 {params.images} -images {params.first} -output {output.network}
        {CORDS} evaluate -checkpoint {params.train}/cnn.h5 {params.images} -images {params.first} -output {output.cnn}
        """


rule gather:
    input:
        expand("{run}/evaluation.h5", run=RUNS),
        expand("{run}/evaluation_cnn.h5", run=RUNS),
    output:
        "accuracy.h5",
    params:
        runs=" ".join(RUNS),
    shell:
        """
        echo "== gather {params.runs} ==" | cut -c 1-100
        {PYTHON} {TABLE} gather -output {output} {params.runs}
        """


rule accuracy_report:
    input:
        "accuracy.h5",
    output:
        "report/report.html",
    shell:
        """
        echo "== report =="
        {PYTHON} {ACCURACY_REPORT} . -o report >report.txt
        """
