"""A Slurm of our own for a test: munged, slurmctld and a slurmd for each node in a temporary folder, on ports of
their own.

    with slurm.Cluster(folder) as cluster:
        cluster.run("sbatch", "--version")

The daemons run in the foreground as children of the test and end with it, whatever happens to it."""

import contextlib
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
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
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
SlurmdTimeout={node_timeout_s}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} State=UNKNOWN\n"

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


def process(number, what):
    """A file of /proc as text, empty once the process has gone."""
    try:
        return pathlib.Path(f"/proc/{number}/{what}").read_text(errors="replace")
    except OSError:
        return ""


def parent(number):
    return int(process(number, "stat").rpartition(")")[2].split()[1])


class Cluster:
    def __init__(self, folder, nodes=1, cores=2, node_timeout_s=300):
        self.folder, self.cores, self.node_timeout_s = pathlib.Path(folder), cores, node_timeout_s
        self.nodes = [f"n{number + 1}" for number in range(nodes)]
        self.daemons = {}
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

    def configure(self):
        host = socket.gethostname().split(".")[0]
        controller_port, *node_ports = free_ports(1 + len(self.nodes))
        nodes = [NODE.format(name=name, host=host, port=port, cores=self.cores)
                 for name, port in zip(self.nodes, node_ports)]
        (self.folder / "slurm.conf").write_text("".join(nodes) + CONFIGURATION.format(
            host=host, user=getpass.getuser(), folder=self.folder, controller_port=controller_port,
            node_timeout_s=self.node_timeout_s))
        (self.folder / "cgroup.conf").write_text(CGROUP_CONFIGURATION.format(folder=self.folder))

    def start(self):
        for name in ("state", "cgroup", *(f"spool/{node}" for node in self.nodes)):
            (self.folder / name).mkdir(mode=0o700, parents=True)
        self.folder.chmod(0o755)  # munged's clients must reach its socket
        self.configure()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        munge = [f"--key-file={key}"] + [f"--{what}={self.folder}/munge.{what.split('-')[0]}"
                                         for what in ("socket", "pid-file", "log-file", "seed-file")]
        self.daemon("munged", "munged", "--foreground", "--force", *munge)
        self.wait_for("munged's socket", (self.folder / "munge.socket").exists)
        self.daemon("slurmctld", "slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        for node in self.nodes:
            self.start_node(node)
        self.wait_for("idle nodes", lambda: self.states() == ["idle"] * len(self.nodes))

    def start_node(self, node):
        """Also after kill_node, as a node that was switched on again.  Not before Slurm knows that it was off: it would
        still want to end there what has begun anew."""
        self.daemon(node, "slurmd", "-D", "-N", node, "-f", self.environment["SLURM_CONF"])

    def processes_of(self, node):
        """What runs there for jobs: the tasks know their node, and what started them is called slurmstepd."""
        words = {f"SLURMD_NODENAME={node}", f"SLURM_CONF={self.environment['SLURM_CONF']}"}
        tasks = [int(entry.name) for entry in pathlib.Path("/proc").iterdir()
                 if entry.name.isdigit() and words <= set(process(entry.name, "environ").split("\0"))]
        parents = {parent(task) for task in tasks if process(task, "stat")}
        return [number for number in parents if process(number, "cmdline").startswith("slurmstepd")] + tasks

    def kill_node(self, node):
        """As if its power were cut: nobody there can say a word."""
        daemon = self.daemons.pop(node)
        daemon.kill()
        for number in self.processes_of(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        daemon.wait()
        self.wait_for(f"the end of everything on {node}", lambda: not self.processes_of(node))

    def states(self):
        return self.ask("sinfo", "-h", "-N", "-o", "%T").split()

    def daemon(self, name, program_name, *arguments):
        program = shutil.which(program_name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not program:
            raise AssertionError(f"{program_name} is not installed; bash tests/run.sh installs it")
        output = open(self.folder / f"{name}.output", "wb")
        with output:
            self.daemons[name] = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=output,
                                                  stderr=subprocess.STDOUT, env=self.environment,
                                                  preexec_fn=end_with_parent)

    def wait_for(self, what, ready, limit_s=START_S_MAX):
        end = time.monotonic() + limit_s
        while not ready():
            for daemon in self.daemons.values():
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
        if len(self.daemons) == 2 + len(self.nodes):
            self.run("scancel", "--full", "--signal=KILL", "--user", getpass.getuser())
            self.run("scancel", "--user", getpass.getuser())
            end = time.monotonic() + 15
            while self.ask("squeue", "-h") and time.monotonic() < end:
                time.sleep(0.2)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons = {}
