#!/usr/bin/python3
"""Tell Snakemake how a Slurm job is doing: status.py JOB prints running, success or failed.  It asks scontrol, which needs
no accounting database; a job that Slurm has forgotten counts as failed, and its rule is started again."""

import re
import subprocess
import sys

GOING_ON = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING", "STOPPED", "SIGNALING",
            "STAGE_OUT", "PREEMPTED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}


def status(job):
    asked = subprocess.run(["scontrol", "--oneliner", "show", "job", job], capture_output=True, text=True)
    state = re.search(r"\bJobState=(\w+)", asked.stdout)
    if asked.returncode or not state:
        # a controller that does not answer is not the end of the job
        return "failed" if "Invalid job id" in asked.stderr else "running"
    if state.group(1) in GOING_ON:
        return "running"
    return "success" if state.group(1) == "COMPLETED" else "failed"


if __name__ == "__main__":
    print(status(sys.argv[1].split(";")[0]))
