# Where the images are.  cords checks the files themselves; here only what would otherwise be noticed late.
if not Path(config["data"]).is_dir():
    raise WorkflowError(
        f"data: {config['data']} is not a folder; it should hold the files of {config['dataset']} "
        "(Fashion-MNIST is Debian's package dataset-fashion-mnist)"
    )

# what every command that reads images is told
IMAGES = f"-dataset {config['dataset']} -data {quote(config['data'])}"
