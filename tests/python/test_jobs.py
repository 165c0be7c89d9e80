"""jobs/: the rendered script, mistakes as one sentence, and a real training in a real Slurm that its time limit stops,
that goes back into the queue, and that ends bit-identical to a training that nobody stopped."""

import math
import os
import pathlib
import subprocess
import time
import unittest

import yaml

import jobs  # tests/support
from commands import CORDS, SOURCE
from jobs import site, submit
from scratch import Scratch

# The job's time limit is one minute, Slurm's shortest.  Slurm looks at time limits twice a minute and sends the signal
# up to half a minute early: 25 s before the end means 5 to 35 s after the start.  The training must take longer, also if
# the machine is less busy then than when its speed was measured.
TIME_LIMIT, SIGNAL_S, TRAINING_S = "00:01:00", 25, 65

TRAINING = {
    "seed": 3,
    "architecture": {"channels": [8, 8], "strides": [1, 1], "image_rows": 28, "image_columns": 28, "stem_kernel": 5,
                     "stem_channels": 8, "stem_stride": 1, "pool_kernel": 3, "pool_stride": 2, "stimulus_steps": 10,
                     "spontaneous_steps": 10, "return_steps": 10},
    "stages": ["compatibility", "inverse", "finetune"],
    "compatibility": {"epochs": 1, "batch": 16, "samples": 320, "learning_rate": 0.05},
    "inverse": {"epochs": 1, "batch": 16, "samples": 320, "learning_rate": 1e-3, "clip": 1.0},
    "finetune": {"epochs": 1, "batch": 16, "samples": 320, "learning_rate": 1e-3, "clip": 1.0, "loss_steps": 6},
    "checkpoint": {"interval": 3600},  # so that only the signal makes one
}


class Script(unittest.TestCase):
    """What --dry-run prints."""

    def setUp(self):
        self.folder = Scratch()
        self.addCleanup(self.folder.cleanup)

    def script(self, *words, **changes):
        done = submit("--site", site(self.folder.name, **changes), "--name", "job", "--time", "01:00:00", "--dry-run",
                      *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(subprocess.run(["bash", "-n"], input=done.stdout, text=True).returncode, 0, done.stdout)
        return done.stdout.splitlines()

    def mistake(self, *words, **changes):
        """The one sentence that a wrong call prints."""
        common = ["--name", "job", "--time", "01:00:00"]
        if "--site" not in words:
            common += ["--site", site(self.folder.name, **changes)]
        done = submit(*common, *words)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def test_requests(self):
        lines = self.script("--ranks", "6", "--cores", "4", "--", "cords", "train", "-output", "{scratch}/run",
                            launcher="mpirun -n {ranks}", partition="fast", account="grant", memory="8G",
                            modules=["gcc/12", "openmpi"], cores_per_node=8, scratch="/scratch/me")
        for line in ("#SBATCH --partition=fast", "#SBATCH --account=grant", "#SBATCH --mem=8G", "#SBATCH --nodes=3",
                     "#SBATCH --ntasks=6", "#SBATCH --cpus-per-task=4", "#SBATCH --requeue",
                     "#SBATCH --open-mode=append", "#SBATCH --signal=B:USR1@30", "module load gcc/12",
                     f"mpirun -n 6 {SOURCE}/build/cords train -output /scratch/me/run &"):
            self.assertIn(line, lines)

    def test_what_a_site_leaves_empty_is_left_out(self):
        lines = self.script("--", "cords", "info")
        self.assertFalse([line for line in lines if "partition" in line or "account" in line or "module" in line])

    def test_arguments_are_quoted(self):
        self.assertIn(f"{SOURCE}/build/cords train -config 'a b;$(c).yaml' &",
                      self.script("--", "cords", "train", "-config", "a b;$(c).yaml"))

    def stub(self, name, line):
        path = pathlib.Path(self.folder.name) / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
        return str(path)

    def test_how_a_job_ends(self):
        """The script by itself; what it would call is replaced by what prints or has a status."""
        self.stub("scontrol", 'echo "scontrol $*"')
        self.stub("timeout", 'shift 3; "$@"')
        for status, nodes, node_status, restart, sentence, requeued in (
                (0, 2, 1, 0, "ends with status 0", False),
                (75, 1, 0, 0, "out of time, goes back into the queue", True),
                (75, 1, 0, 3, "restarted 3 times already: stays stopped", False),
                (2, 2, 1, 0, "ends with status 2", False),
                (1, 2, 0, 0, "ends with status 1", False),
                (1, 2, 9, 0, "a node of n[1-2] was lost, goes back into the queue", True),
                (1, 1, 9, 0, "ends with status 1", False),
                (137, 2, 0, 0, "ranks were lost, but no node", False),
                (137, 2, 9, 3, "was lost, and restarted 3 times already", False),
                (205, 2, 0, 0, "a node of n[1-2] was lost, goes back into the queue", True)):
            with self.subTest(status=status, nodes=nodes, node_status=node_status, restart=restart):
                self.stub("srun", f"exit {node_status}")
                script = "\n".join(self.script("--", "cords", "train", program=self.stub("cords", f"exit {status}"),
                                               restarts_max=3))
                environment = dict(os.environ, PATH=f"{self.folder.name}:{os.environ['PATH']}", SLURM_JOB_ID="7",
                                   SLURM_JOB_NODELIST="n[1-2]", SLURM_JOB_NUM_NODES=str(nodes),
                                   SLURM_RESTART_COUNT=str(restart))
                done = subprocess.run(["bash"], input=script, env=environment, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(sentence, done.stdout)
                self.assertEqual("scontrol requeue 7" in done.stdout, requeued, done.stdout)

    def test_every_site_of_the_repository(self):
        for path in (SOURCE / "jobs/sites").glob("*.yaml"):
            done = submit("--site", path.stem, "--name", "job", "--time", "1-00:00:00", "--dry-run",
                          "--", "cords", "info")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_mistakes(self):
        command = ["--", "cords", "info"]
        for sentence, words, changes in (
                ("did you mean local?", ["--site", "locl", *command], {}),
                ("--time 90", ["--time", "90", *command], {}),
                ("shorter than the 30 s", ["--time", "00:00:20", *command], {}),
                ("--ranks 0", ["--ranks", "0", *command], {}),
                ("no launcher for more than one rank", ["--ranks", "2", *command], {}),
                ("--cores 3: a node of this site has 2", ["--cores", "3", *command], {}),
                ("--cores 0", ["--cores", "0", *command], {}),
                ("--name", ["--name", "a\n#SBATCH --uid=0", *command], {}),
                ("--folder /nowhere", ["--folder", "/nowhere", *command], {}),
                ("begin with cords", ["--", "train"], {}),
                ("begin with cords", [], {}),
                ("unknown key modulse; did you mean modules?", command, {"modulse": []}),
                ("the key scratch is missing", command, {"scratch": None}),
                ("cores_per_node is 'two', but should be a whole number", command, {"cores_per_node": "two"}),
                ("partition is 'a b'", command, {"partition": "a b"}),
                ("No such file", ["--site", "/nowhere/x.yaml", *command], {})):
            with self.subTest(sentence):
                self.assertIn(sentence, self.mistake(*words, **changes))

    def test_a_site_file_that_is_not_yaml(self):
        path = pathlib.Path(self.folder.name) / "bad.yaml"
        for contents, sentence in ((b"a: [", "not YAML"), (b"\xff\xfe\x00", "not YAML"),
                                   (b"just words", "should be lines")):
            path.write_bytes(contents)
            self.assertIn(sentence, self.mistake("--site", str(path), "--", "cords", "info"))


class Training(jobs.Test):
    """A real job."""

    def start(self, config, output):
        """The same command without Slurm."""
        environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        return subprocess.Popen([CORDS, *self.training(config, output)], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def finish(self, process):
        output, _ = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, output)

    def train(self, config, output):
        """How many seconds a training takes."""
        start = time.monotonic()
        self.finish(self.start(config, output))
        return time.monotonic() - start

    def config(self, name, epochs):
        path = self.folder / name
        path.write_text(yaml.safe_dump(dict(TRAINING, finetune=dict(TRAINING["finetune"], epochs=epochs))))
        return path

    def epochs_for(self, seconds):
        """How many epochs of the last stage take that long on this machine."""
        short = self.train(self.config("short.yaml", 1), self.folder / "short")
        longer = self.train(self.config("longer.yaml", 11), self.folder / "longer")
        return max(2, math.ceil(seconds / max((longer - short) / 10, 0.01)))

    def test_stopped_by_the_time_limit_requeued_and_finished(self):
        config = self.config("train.yaml", self.epochs_for(TRAINING_S))
        number = self.submit("job", self.training(config, "{scratch}/job"), "--time", TIME_LIMIT,
                             "--signal", str(SIGNAL_S), program=CORDS, cores_per_node=1)
        undisturbed = self.start(config, self.folder / "undisturbed")  # beside the job, on the other core
        self.addCleanup(undisturbed.kill)
        self.wait_until("the end of the job", lambda: self.ended(number), 240)
        self.finish(undisturbed)
        self.assert_completed(number)
        self.assertGreaterEqual(int(self.cluster.job(number)["Restarts"]), 1, self.log())
        self.assertIn("restart 1", self.log())
        self.assertIn("out of time, goes back into the queue", self.log())
        with self.subTest("bit-identical to the training that nobody stopped"):
            self.assert_same_arrays(*(self.folder / run / "model.h5" for run in ("job", "undisturbed")))

    def test_a_cancelled_job_stays_stopped(self):
        number = self.submit("cancelled", ["1000"], "--time", TIME_LIMIT, program="/bin/sleep")
        self.wait_until("the start of the job", lambda: self.cluster.job(number).get("JobState") == "RUNNING", 60)
        self.cluster.run("scancel", number)
        self.wait_until("the end of the job", lambda: self.cluster.ask("squeue", "-h", "-j", number) == "", 60)
        self.assertEqual(self.cluster.job(number)["JobState"], "CANCELLED")
        self.assertEqual(self.cluster.job(number)["Restarts"], "0")

    def test_a_mistake_is_not_repeated(self):
        number = self.submit("wrong", ["train"], "--time", TIME_LIMIT, program="/bin/false")
        self.wait_until("the end of the wrong job", lambda: self.cluster.job(number).get("JobState") == "FAILED", 60)
        self.assertEqual(self.cluster.job(number)["Restarts"], "0")
        self.assertEqual(self.cluster.job(number)["ExitCode"], "1:0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
