# A trained network to its activity, fixed points and spectra.


rule simulate:
    input:
        "train/model.h5",
    output:
        "activity.h5",
    params:
        samples=config["activity"]["samples"],
    threads: workflow.cores
    shell:
        """
        echo "== simulate test images {params.samples} =="
        {CORDS} simulate -checkpoint {input} {IMAGES} -samples {params.samples} -output {output}
        """


rule fixed_points:
    input:
        "train/model.h5",
    output:
        "fixed_points.h5",
    params:
        samples=config["fixed_points"]["samples"],
    threads: workflow.cores
    shell:
        """
        echo "== fixed points of test images {params.samples} and of the spontaneous state =="
        {CORDS} analyse fixed_points -checkpoint {input} {IMAGES} -samples {params.samples} -output {output}
        """


rule stability:
    input:
        model="train/model.h5",
        fixed_points="fixed_points.h5",
    output:
        "stability.h5",
    params:
        points=config["stability"]["points"],
    threads: workflow.cores
    shell:
        """
        echo "== stability at {params.points} fixed points =="
        {CORDS} analyse stability -checkpoint {input.model} -fixed_points {input.fixed_points} \
            -stability_points_max {params.points} -output {output}
        """
