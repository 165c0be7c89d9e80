# What the rules start: the program and Debian's Python.
import os
from shlex import quote

CORDS = quote(config.get("program", str(FOLDER.parent / "build" / "cords")))
if config["launcher"]:
    CORDS = config["launcher"] + " " + CORDS
# Snakemake gives every rule OMP_NUM_THREADS=threads, and a rule may have all cores; but that is what all ranks share.
# The number of each rank is the one that Snakemake was started with.
if "OMP_NUM_THREADS" in os.environ:
    CORDS = "OMP_NUM_THREADS={0} OPENBLAS_NUM_THREADS={0} ".format(quote(os.environ["OMP_NUM_THREADS"])) + CORDS
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's h5py and matplotlib
