"""A training of four ranks on two nodes in a real Slurm: its time limit stops it three times, or one node after the other
dies; it goes back into the queue each time, and ends bit-identical to a training that nobody stopped."""

import os
import subprocess
import time
import unittest

import h5py
import yaml

import commands  # tests/support
import jobs

RANKS, STOPS = 4, 3
SAY_S_MAX = 30  # after a node died
REBOOT_S = 12  # a job that comes back to the other node sooner is taken there for the one that has just been ended
MOMENT_S = 1.5
TIME_LIMIT = "00:10:00"

# The two nodes are one machine, whose shared memory Open MPI would confuse: ranks talk through sockets.
SETUP = [f"export {name}={value}" for name, value in commands.MORE_RANKS_THAN_CORES.items()]
SETUP += ["export OMPI_MCA_btl=self,tcp"]

TRAINING = commands.merged(
    commands.TRAINING, kernel={"choice": "order"}, checkpoint={"interval": 0.2},
    compatibility={"samples": 320}, inverse={"samples": 320}, finetune={"epochs": 20, "samples": 480})
SHORT = commands.merged(TRAINING, **{name: {"epochs": 1, "samples": 16} for name in TRAINING["stages"]})


class Nodes(jobs.Test):
    cluster_options = {"nodes": 2, "node_timeout_s": 10}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_s = cls.train("short", SHORT)
        cls.train("whole", TRAINING)

    @classmethod
    def config(cls, name, configuration):
        path = cls.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(configuration))
        return path

    @classmethod
    def train(cls, name, configuration):
        """How long a training without Slurm takes."""
        words = cls.training(cls.config(name, configuration), cls.folder / name)
        start = time.monotonic()
        done = commands.run(*words, ranks=RANKS, timeout=300)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        return time.monotonic() - start

    def begin(self, name, configuration):
        """The number of a job."""
        words = self.training(self.config(name, configuration), f"{{scratch}}/{name}")
        return self.submit(name, words, "--time", TIME_LIMIT, "--ranks", str(RANKS), program=commands.CORDS,
                           launcher="mpirun -n {ranks}", setup=SETUP, cores_per_node=2)

    def place(self, name):
        """Stage and update where the newest checkpoint stands."""
        try:
            with h5py.File(self.folder / name / "checkpoint.h5") as file:
                return int(file["train"].attrs["stage"]), int(file["train"].attrs["update"])
        except FileNotFoundError:
            return -1, 0

    def wait_until_it_goes_on(self, name, number):
        before = self.place(name)

        def goes_on():
            self.assertFalse(self.ended(number), f"{self.cluster.job(number)}\n{self.log(name)}\n{self.cluster.logs()}")
            return self.place(name) > before

        self.wait_until("a checkpoint", goes_on, 60, name)

    def wait_until_it_waits(self, name, number):
        self.wait_until("the queue", lambda: self.cluster.job(number)["JobState"] == "PENDING", 60, name)

    def assert_same_end(self, name, number):
        self.wait_until("the end of the job", lambda: self.ended(number), 120, name)
        self.assert_completed(number, name)
        self.assert_same_arrays(self.folder / name / "model.h5", self.folder / "whole" / "model.h5")

    def limited(self, limit_s):
        return dict(TRAINING, time_limit=f"{limit_s:.1f}s")

    def test_stopped_by_its_time_limit(self):
        """A limit that lets a run train for a moment, until that has stopped it often enough."""
        limit_s = self.start_s + MOMENT_S
        places = [(0, 0)]
        restarts = 0
        number = self.begin("limited", self.limited(limit_s))
        while len(places) <= STOPS:
            self.wait_until("a stop", lambda: self.restarts(number) > restarts or self.ended(number), 120, "limited")
            restarts = self.restarts(number)
            if self.place("limited") > places[-1]:
                places.append(self.place("limited"))
            else:  # it took longer to start than before
                limit_s *= 1.5
                self.config("limited", self.limited(limit_s))
            if len(places) > STOPS:
                self.config("limited", TRAINING)
        self.assert_same_end("limited", number)
        log = self.log("limited")
        self.assertEqual(log.count("starts on n[1-2]"), 1 + int(self.cluster.job(number)["Restarts"]), log)
        self.assertGreaterEqual(log.count("stopped by -time_limit; "), STOPS, log)
        self.assertGreaterEqual(log.count("out of time, goes back into the queue"), STOPS, log)

    def restarts(self, number):
        job = self.cluster.job(number)
        self.assertNotIn(job["JobState"], jobs.OVER, "the job ended before its limit has stopped it often enough")
        return int(job["Restarts"])

    def assert_said(self, name, sentence, since):
        self.wait_until(sentence, lambda: sentence in self.log(name), SAY_S_MAX - (time.monotonic() - since), name)

    def test_nodes_die(self):
        """First the other node, then the one with the job's script, which then cannot say anything."""
        number = self.begin("deadly", TRAINING)
        self.wait_until_it_goes_on("deadly", number)
        died = time.monotonic()
        self.cluster.kill_node("n2")
        self.assert_said("deadly", "a node of n[1-2] was lost, goes back into the queue", died)
        self.cluster.run("scontrol", "update", "nodename=n2", "state=down", "reason=off")  # Slurm needs longer
        self.wait_until_it_waits("deadly", number)
        time.sleep(REBOOT_S)
        self.cluster.start_node("n2")
        self.wait_until_it_goes_on("deadly", number)
        self.cluster.kill_node("n1")
        self.wait_until_it_waits("deadly", number)
        self.cluster.start_node("n1")
        self.assert_same_end("deadly", number)
        self.assertEqual(self.cluster.job(number)["Restarts"], "2", self.log("deadly"))
        self.assertNotIn("restart 3", self.log("deadly"))

    def test_a_rank_dies(self):
        """The nodes are well, so it may happen again: the job fails at once, with a sentence."""
        number = self.begin("rank", TRAINING)
        self.wait_until_it_goes_on("rank", number)
        died = time.monotonic()
        rank = subprocess.run(["pgrep", "-f", f"^{commands.CORDS} .*{self.folder}/rank"], capture_output=True,
                              text=True, check=True).stdout.split()[0]
        os.kill(int(rank), 9)
        self.assert_said("rank", "ranks were lost, but no node", died)
        self.wait_until("the end of the job", lambda: self.ended(number), SAY_S_MAX, "rank")
        self.assertEqual(self.cluster.job(number)["JobState"], "FAILED")
        self.assertEqual(self.cluster.job(number)["Restarts"], "0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
