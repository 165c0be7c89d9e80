"""A Slurm of our own for a test: munged, slurmctld and one slurmd in a temporary folder, on ports of their own.

    with slurm.Cluster(folder) as cluster:
        cluster.run("sbatch", "--version")

The daemons run in the foreground as children of the test and end with it, whatever happens to it."""

import ctypes
import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

START_S_MAX = 60
PR_SET_PDEATHSIG = 1

CONFIGURATION = """
ClusterName=cords
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={controller_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd.pid
SlurmdLogFile={folder}/slurmd.log
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
ReturnToService=2
JobRequeue=1
KillWait=10
MinJobAge=3600
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs={cores} State=UNKNOWN
PartitionName=all Nodes=n1 Default=YES MaxTime=INFINITE State=UP
"""

# slurmd wants a cgroup plugin even where nothing uses it; this one is content with an empty folder, so that the test
# runs in containers and leaves the machine's own cgroups alone
CGROUP_CONFIGURATION = """
CgroupPlugin=cgroup/v1
CgroupMountpoint={folder}/cgroup
CgroupAutomount=no
"""


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def end_with_parent():
    """In a child before it becomes a daemon: no daemon outlives a test that is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Cluster:
    def __init__(self, folder, cores=2):
        self.folder, self.cores = pathlib.Path(folder), cores
        self.daemons = []
        self.environment = dict(os.environ, SLURM_CONF=str(self.folder / "slurm.conf"))

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for name in ("state", "spool/n1", "cgroup"):
            (self.folder / name).mkdir(mode=0o700, parents=True)
        self.folder.chmod(0o755)  # munged's clients must reach its socket
        controller_port, node_port = free_ports(2)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], user=getpass.getuser(), folder=self.folder, cores=self.cores,
            controller_port=controller_port, node_port=node_port))
        (self.folder / "cgroup.conf").write_text(CGROUP_CONFIGURATION.format(folder=self.folder))
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        munge = [f"--key-file={key}"] + [f"--{what}={self.folder}/munge.{what.split('-')[0]}"
                                         for what in ("socket", "pid-file", "log-file", "seed-file")]
        self.daemon("munged", "--foreground", "--force", *munge)
        self.wait_for("munged's socket", (self.folder / "munge.socket").exists)
        self.daemon("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        self.daemon("slurmd", "-D", "-N", "n1", "-f", self.environment["SLURM_CONF"])
        self.wait_for("an idle node", lambda: self.ask("sinfo", "-h", "-o", "%T") == "idle")

    def daemon(self, name, *arguments):
        program = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not program:
            raise AssertionError(f"{name} is not installed; bash tests/run.sh installs it")
        output = open(self.folder / f"{name}.output", "wb")
        with output:
            self.daemons.append(subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=output,
                                                 stderr=subprocess.STDOUT, env=self.environment,
                                                 preexec_fn=end_with_parent))

    def wait_for(self, what, ready, limit_s=START_S_MAX):
        end = time.monotonic() + limit_s
        while not ready():
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    raise AssertionError(f"{daemon.args[0]} ended while waiting for {what}:\n{self.logs()}")
            if time.monotonic() > end:
                raise AssertionError(f"no {what} after {limit_s} s:\n{self.logs()}")
            time.sleep(0.2)

    def logs(self):
        """The last lines of every daemon, for a failure's message."""
        parts = []
        for path in sorted(self.folder.glob("*.output")) + sorted(self.folder.glob("*.log")):
            parts.append(f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:]))
        return "\n".join(parts)

    def run(self, *words, **options):
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60, **options)

    def ask(self, *words):
        """What a Slurm command says, or "" if it fails."""
        done = self.run(*words)
        return done.stdout.strip() if done.returncode == 0 else ""

    def job(self, number):
        """`scontrol show job` as a dictionary."""
        words = self.ask("scontrol", "-o", "show", "job", str(number)).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def stop(self):
        if len(self.daemons) == 3:
            self.run("scancel", "--full", "--signal=KILL", "--user", getpass.getuser())
            self.run("scancel", "--user", getpass.getuser())
            end = time.monotonic() + 15
            while self.ask("squeue", "-h") and time.monotonic() < end:
                time.sleep(0.2)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons = []
