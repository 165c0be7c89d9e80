# Images to a trained network and its accuracy.


# `cords train` continues where its folder stands, so the same rule starts and continues.  Snakemake deletes the outputs
# of a rule before it runs it again: only model.h5, which is written last, may be one.  The checkpoint, the log and
# the CNN of stage 1 must survive.
rule train:
    input:
        options=str(FOLDER / "config" / config["training"]),
    output:
        "train/model.h5",
    threads: workflow.cores
    shell:
        """
        echo "== train: {input.options} =="
        status=0
        {CORDS} train -config {input.options:q} {IMAGES} -output train || status=$?
        if [ $status -eq 75 ]; then echo "training was stopped and has saved; the same command continues it" >&2; fi
        exit $status
        """


rule evaluate:
    input:
        "train/model.h5",
    output:
        "evaluation.h5",
    params:
        images=config["evaluation"]["images"],
    threads: workflow.cores
    shell:
        """
        echo "== evaluate the network on {params.images} test images =="
        {CORDS} evaluate -checkpoint {input} {IMAGES} -images {params.images} -output {output}
        """


# The CNN of stage 1 lies beside the network (see rule train for why it is no output).
rule evaluate_cnn:
    input:
        "train/model.h5",
    output:
        "evaluation_cnn.h5",
    params:
        images=config["evaluation"]["images"],
    threads: workflow.cores
    shell:
        """
        echo "== evaluate the CNN of stage 1 on {params.images} test images =="
        {CORDS} evaluate -checkpoint train/cnn.h5 {IMAGES} -images {params.images} -output {output}
        """
