"""A Slurm cluster on this machine, for tests: munged, slurmctld and two slurmd, with all state in a directory
that is thrown away.

The test process starts a *keeper* (this file as a program), which starts the daemons and holds them until its
standard input ends. That also happens when the test process is killed: nothing is left over. All that a
cluster starts, jobs included, are descendants of the keeper, since it is a subreaper (prctl); only they are
ended, by their numbers.

    python3 -B cluster.py       says whether a cluster can be started here, and why not (status 1)
    python3 -B cluster.py keep  starts one, says its directory, and ends it when standard input ends (Ctrl-D);
                                meanwhile, in another terminal: export SLURM_CONF=DIRECTORY/slurm.conf
"""

import ctypes
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

NODES = ("n1", "n2")
CPUS = 4  # of a node, whatever the machine has
SECONDS = 60  # that a daemon may take to be ready
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel", "sinfo")

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWUTS = 0x04000000

libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """Why no cluster can be started on this machine; empty where one can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} on PATH: tools/setup --with-slurm installs Slurm and munge"
    if os.geteuid() != 0:
        return "not root: slurmd and munged want to be root"
    return ""


class NoCluster(Exception):
    """A daemon did not start; the message has the end of the logs."""


class Keeper:
    """The daemons of a cluster in `directory`, as children of this process."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.environment = dict(os.environ) | environment_of(directory)
        self.daemons = {}  # name: Popen
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start_with_free_ports(self):
        """Another process may take a port between its choice and its use."""
        for tries in range(3):
            try:
                return self.start()
            except NoCluster:
                self.stop()
                if tries == 2:
                    raise

    def start(self):
        for name in ("munge", "ctld", "log", "tmp"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        key = self.directory / "munge/key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self.start_munged()
        ports = free_ports(1 + len(NODES))
        (self.directory / "slurm.conf").write_text(slurm_conf(self.directory, ports))
        self.daemon("slurmctld", "slurmctld", "-D", "-c", "-f", self.directory / "slurm.conf")
        self.wait_until(lambda: "is UP" in self.says("scontrol", "ping"), "slurmctld")
        for node in NODES:
            (self.directory / "spool" / node).mkdir(parents=True, exist_ok=True)
            (self.directory / "tmp" / node).mkdir(parents=True, exist_ok=True)
            config = self.directory / "slurm.conf"
            self.daemon(f"slurmd-{node}", "slurmd", "-D", "-c", "-N", node, "-f", config, node=node)
        idle = ("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N")
        self.wait_until(lambda: len(set(self.says(*idle).split())) == len(NODES), "nodes")

    def start_munged(self):
        path = self.directory / "munge.sock"
        logs = self.directory / "log"
        self.daemon(
            "munged", "munged", "--foreground", "--force", f"--socket={path}",
            f"--key-file={self.directory}/munge/key", f"--seed-file={self.directory}/munge/seed",
            f"--pid-file={self.directory}/munge/pid", f"--log-file={logs}/munged.log",
            "--num-threads=2", "--origin=127.0.0.1",
        )  # fmt: skip
        self.wait_until(path.is_socket, "munged")

    def daemon(self, name, *words, node=None):
        """Starts it, on a node with the node's name as host name where that is allowed."""

        def prepare():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if node and libc.unshare(CLONE_NEWUTS) == 0:
                socket.sethostname(node)

        with open(self.directory / "log" / f"{name}.out", "wb") as out:
            self.daemons[name] = subprocess.Popen(
                list(map(str, words)), env=self.environment, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=prepare,
            )  # fmt: skip

    def says(self, *words):
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout

    def wait_until(self, condition, what):
        end = time.monotonic() + SECONDS
        while not condition():
            ended = [name for name, process in self.daemons.items() if process.poll() is not None]
            if ended or time.monotonic() > end:
                raise NoCluster(f"{what}: not ready; ended: {', '.join(ended) or 'none'}\n{self.logs()}")
            time.sleep(0.05)

    def logs(self):
        parts = []
        for path in sorted((self.directory / "log").iterdir()):
            lines = path.read_text(errors="replace").splitlines()[-15:]
            parts.append("\n".join([f"--- {path.name}", *lines]))
        return "\n".join(parts)

    def stop(self):
        """Ends every descendant: daemons, the steps of jobs that they began, and what these began."""
        while descendants := descendants_of(os.getpid()):
            for pid in descendants:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            reap()
            time.sleep(0.02)
        self.daemons = {}


def environment_of(directory):
    """What the commands of Slurm need to find the cluster in `directory`; jobs get it too."""
    return {
        "SLURM_CONF": f"{directory}/slurm.conf",
        "MUNGE_SOCKET": f"{directory}/munge.sock",
        "TMPDIR": f"{directory}/tmp",  # Open MPI's session directories
    }


def slurm_conf(directory, ports):
    host = socket.gethostname().split(".")[0]
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} RealMemory=1000"
        for node, port in zip(NODES, ports[1:], strict=True)
    )
    return f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also the time that a requeued job waits before it starts again (120 s by default).
AuthInfo=socket={directory}/munge.sock,cred_expire=5
StateSaveLocation={directory}/ctld
SlurmctldPidFile={directory}/ctld/pid
SlurmctldLogFile={directory}/log/slurmctld.log
SlurmdSpoolDir={directory}/spool/%n
SlurmdPidFile={directory}/spool/%n.pid
SlurmdLogFile={directory}/log/slurmd-%n.log
# The nodes share a machine: without it their PMIx directories collide in /tmp.
TmpFS={directory}/tmp/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# More CPUs than the machine has.
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
KillWait=30
MinJobAge=3600
SlurmctldTimeout=60
SlurmdTimeout=300
JobRequeue=1
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP
"""


def free_ports(count):
    """Below the range from which the system takes ports for outgoing connections."""
    ports = []
    for port in random.sample(range(20000, 32000), 500):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise NoCluster("no free ports")


def descendants_of(ancestor):
    """Numbers of all processes below `ancestor` that have not ended, and of its children that it has to reap."""
    children = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
        except (OSError, ValueError):
            continue  # it ended meanwhile
        if state != "Z" or int(parent) == ancestor:
            children.setdefault(int(parent), []).append(int(entry.name))
    found, next_ones = [], [ancestor]
    while next_ones:
        below = children.get(next_ones.pop(), [])
        found += below
        next_ones += below
    return found


def reap():
    """Takes the ends of children, and of what jobs left behind, which are children too."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def keep():
    """The keeper's life: one line on standard output when the cluster is ready, or why it is not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test process, whose end is enough
    directory = tempfile.mkdtemp(prefix="dln-slurm-")
    if len(directory) > 90:  # a socket's path may have 107 bytes
        os.rmdir(directory)
        directory = tempfile.mkdtemp(prefix="dln-slurm-", dir="/tmp")
    keeper = Keeper(directory)
    try:
        keeper.start_with_free_ports()
        print(json.dumps({"directory": directory}), flush=True)
        while not select.select([sys.stdin], [], [], 0.5)[0]:
            reap()
        return 0
    except NoCluster as failure:
        print(json.dumps({"failure": str(failure)}), flush=True)
        return 1
    finally:
        keeper.stop()
        shutil.rmtree(directory, ignore_errors=True)


class Cluster:
    """A running cluster, for the test process. `close` ends it and all its jobs."""

    def __init__(self):
        self.keeper = subprocess.Popen(
            [sys.executable, "-B", __file__, "keep"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = self.keeper.stdout.readline()
        said = json.loads(line) if line else {"failure": "the keeper ended"}
        if "failure" in said:
            self.close()
            raise NoCluster(said["failure"])
        self.environment = environment_of(said["directory"])

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait()
        self.keeper.stdout.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["keep"]:
        sys.exit(keep())
    reason = why_not()
    print(reason or "a Slurm cluster can be started here")
    sys.exit(1 if reason else 0)
