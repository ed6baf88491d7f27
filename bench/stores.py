# SPDX-License-Identifier: Apache-2.0
"""What bench/run measures: real servers on loopback, in a directory of the disk to measure. All are
gone when their `with` ends or the script does."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from figures import Refused, refuse_failed, refuse_lost
from lariat_e2e import (Cluster, free_ports, kill_group, program, start_process, wait_settled,
                        wait_until)

START_LIMIT_S = 60
FIGURES = ("operations", "per_second", "p50_us", "p99_us", "p999_us")


def resident_bytes(pids):
    page, total = os.sysconf("SC_PAGESIZE"), 0
    for pid in pids:
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
            total += int(statm.read().split()[1]) * page
    return total


class Processes:
    """Servers that are plain programs. `start` starts them all, on the data they have."""

    def __init__(self, name, scratch, ports_each, count):
        self.name = name
        self.directory = tempfile.mkdtemp(prefix=f"{name}.", dir=scratch)
        self.ports = free_ports(count * ports_each)
        self.processes = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    def run(self, command):
        self.processes.append(start_process(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))

    def wait(self, ready):
        def looks_ready():
            if any(process.poll() is not None for process in self.processes):
                raise Refused(f"bench: {self.name} does not start")
            try:
                return ready()
            except OSError:
                return False
        wait_until(looks_ready, START_LIMIT_S, f"{self.name} serves")

    def kill(self):
        for process in self.processes:
            kill_group(process)
        self.processes = []

    def load_flags(self, bucket):
        return []


class Redis(Processes):
    """A server of the distribution with an append-only file; more than one: a primary and replicas,
    and a put waits for one of them."""
    protocol = "resp"
    program = "redis-server"

    def __init__(self, scratch, policy, servers=1):
        super().__init__(f"Redis, appendfsync {policy}", scratch, 1, servers)
        self.policy, self.servers = policy, servers
        self.addresses = [f"127.0.0.1:{self.ports[0]}"]
        if servers > 1:
            self.name = f"Redis, 1 + {servers - 1}, appendfsync {policy}"

    def start(self):
        for number, port in enumerate(self.ports):
            directory = os.path.join(self.directory, str(number))
            os.makedirs(directory, exist_ok=True)
            replica = ["--replicaof", "127.0.0.1", self.ports[0]] if number else []
            self.run([self.program, "--port", port, "--bind", "127.0.0.1", "--dir", directory,
                      "--save", "", "--appendonly", "yes", "--appendfsync", self.policy, *replica])
        self.wait(self.ready)

    def ready(self):
        with socket.create_connection(("127.0.0.1", self.ports[0]), 5) as connection:
            connection.sendall(b"PING\r\nINFO replication\r\nQUIT\r\n")
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        return said.startswith(b"+PONG") and said.count(b"state=online") == self.servers - 1

    def load_flags(self, bucket):
        return ["--replicas", 1] if self.servers > 1 else []


class Etcd(Processes):
    """A cluster of the distribution's etcd, which syncs what it acknowledges."""
    protocol = "etcd"
    program = "etcd"

    def __init__(self, scratch, nodes=3):
        super().__init__(f"etcd, {nodes} nodes", scratch, 2, nodes)
        self.nodes = nodes
        self.addresses = [f"127.0.0.1:{port}" for port in self.ports[:nodes]]

    def start(self):
        peers = [f"http://127.0.0.1:{port}" for port in self.ports[self.nodes:]]
        members = ",".join(f"n{number}={peer}" for number, peer in enumerate(peers))
        for number, peer in enumerate(peers):
            client = "http://" + self.addresses[number]
            self.run([self.program, "--name", f"n{number}", "--data-dir",
                      os.path.join(self.directory, str(number)), "--listen-client-urls", client,
                      "--advertise-client-urls", client, "--listen-peer-urls", peer,
                      "--initial-advertise-peer-urls", peer, "--initial-cluster", members,
                      "--quota-backend-bytes", 8 << 30, "--log-level", "error"])
        self.wait(lambda: all(self.healthy(address) for address in self.addresses))

    @staticmethod
    def healthy(address):
        try:
            with urllib.request.urlopen(f"http://{address}/health", timeout=5) as reply:
                return json.load(reply)["health"] == "true"
        except urllib.error.URLError:
            return False


class Lariat:
    """A cluster of real nodes. `settings` go to every node."""
    protocol = "http"

    def __init__(self, nodes, settings=None):
        self.name = f"Lariat, {nodes} nodes" if nodes > 1 else "Lariat, one node"
        self.nodes = nodes
        shards = max(1, (os.cpu_count() or 1) // nodes)
        self.cluster = Cluster(nodes, {"node.shards": shards, **(settings or {})}, start=False)
        self.addresses = [node.http_address for node in self.cluster.nodes]

    def __enter__(self):
        try:
            self.start()
            wait_settled(self.cluster, START_LIMIT_S)
        except BaseException as error:
            self.cluster.close()
            if isinstance(error, AssertionError):  # of a condition that did not come true
                raise Refused(f"bench: {self.name}: {error}") from None
            raise
        return self

    def __exit__(self, *_):
        self.cluster.close()

    @property
    def pids(self):
        return [node.pid for node in self.cluster.nodes]

    def start(self):
        for node in self.cluster.nodes:
            node.start()
        self.cluster.wait_ready(START_LIMIT_S)

    def kill(self):
        for node in self.cluster.nodes:
            node.kill9()

    def make_bucket(self, name, **properties):
        n = min(self.nodes, 3)
        quorum = n // 2 + 1
        reply = self.cluster.nodes[0].http("PUT", f"/v1/buckets/{name}", {
            "conflict": "lww", "n": n, "r": quorum, "w": quorum, "durability": "sync",
            **properties})
        if reply.status not in (200, 201):
            raise Refused(f"bench: bucket {name}: {reply.body.decode()}")

    def load_flags(self, bucket):
        return ["--bucket", bucket]


class Load:
    """The generator, with one set of keys of a store: what it puts there is known to a ledger."""

    def __init__(self, options, store, bucket="keys", keep_ledger=True):
        self.options, self.store, self.bucket = options, store, bucket
        self.ledger = None
        if keep_ledger:
            self.ledger = os.path.join(tempfile.mkdtemp(dir=options.scratch), "ledger")
        self.name = f"{store.name}, {bucket}"

    def command(self, workload, seconds, flags):
        options = self.options
        words = [program("lariat-load"), "--protocol", self.store.protocol, "--node",
                 ",".join(self.store.addresses), "--workload", workload, "--duration", seconds,
                 "--keys", options.keys, "--value-bytes", options.value,
                 "--connections", options.connections, *self.store.load_flags(self.bucket), *flags]
        words += ["--ledger", self.ledger] if self.ledger else []
        return [str(word) for word in words]

    def run(self, workload, seconds=1, *flags, timeout=None):
        done = subprocess.run(self.command(workload, seconds, flags), capture_output=True,
                              text=True, check=False, timeout=timeout)
        if done.returncode != 0:
            raise Refused(f"bench: {self.name}: {done.stderr[-2000:]}")
        got = json.loads(done.stdout)
        (refuse_lost if workload == "verify" else refuse_failed)(f"{self.name}: {workload}", got)
        return got

    def fill(self):
        """Gives the bytes of memory that each key took."""
        before = resident_bytes(self.store.pids)
        self.run("load")
        return (resident_bytes(self.store.pids) - before) / self.options.keys

    def kill_and_verify(self):
        """Kills all servers while they are written to, and compares all that was ever acknowledged
        with what they have when they are back."""
        with subprocess.Popen(self.command("put", 2, []), stdout=subprocess.PIPE, text=True) as run:
            time.sleep(0.7)
            self.store.kill()
            got = json.loads(run.communicate()[0])
        if not got["all"]["operations"]:
            raise Refused(f"bench: {self.name}: nothing was acknowledged before the kill")
        self.store.start()
        verified = self.run("verify")
        return {"store": self.store.name, "bucket": self.bucket,
                "keys": verified["all"]["operations"]}


class Case:
    """One row: a workload on a load's keys."""

    def __init__(self, case, title, load, workload, *flags):
        self.id, self.title, self.load = case, title, load
        self.workload, self.flags = workload, flags

    def measure(self, seconds):
        pids = ",".join(map(str, self.load.store.pids))
        got = self.load.run(self.workload, seconds, "--warmup", min(0.3, seconds), "--pids", pids,
                            *self.flags)
        out = {name: got["all"][name] for name in FIGURES}
        for name in ("user_us_per_op", "system_us_per_op"):
            out[name] = sum(server[name] for server in got["servers"])
        return out

    def count(self, counters, seconds):
        # With contexts each key is read first; those reads would count too.
        if "--contexts" in self.flags:
            return {"syscalls": None, "instructions": None}
        return counters.during(self.load.store.pids, lambda: self.load.run(
            self.workload, seconds, *self.flags)["all"]["operations"])


class RocksCase:
    """RocksDB behind storage::Engine, in a process of its own for each run."""

    def __init__(self, options, what, waiters):
        self.options, self.what, self.waiters = options, what, waiters
        self.id = f"rocksdb.{what}" + (f".{waiters}" if what == "put-sync" else "")
        shared = f", {waiters} waiting" if what == "put-sync" else ""
        self.title = f"RocksDB alone: {what}{shared}"

    def start(self, seconds):
        directory = os.path.join(self.options.scratch, "rocksdb")
        shutil.rmtree(directory, ignore_errors=True)
        keys = self.options.keys
        command = [program("lariat-engine-bench"), "--case", self.what, "--dir", directory,
                   "--keys", keys, "--value-bytes", self.options.value, "--waiters", self.waiters,
                   "--wait"]
        # Cold reads end before most blocks have been read once.
        command += (["--operations", max(keys // 20, 1)] if self.what == "get-cold"
                    else ["--seconds", seconds])
        process = start_process([str(word) for word in command], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        if process.stdout.readline() != "ready\n":
            raise Refused(f"bench: {self.title}: does not start")
        return process

    def measure(self, seconds):
        got = json.loads(self.start(seconds).communicate("\n")[0])
        refuse_failed(self.title, {"failed": got["failed"], "all": got,
                                   "failures": {"engine": got["failed"]}})
        out = {name: got[name] for name in (*FIGURES, "user_us_per_op", "system_us_per_op")}
        if self.what == "get-hot":
            out["bytes_per_key"] = got["resident_growth_bytes"] / self.options.keys
        return out

    def count(self, counters, seconds):
        process = self.start(seconds)
        return counters.during([process.pid], lambda: json.loads(
            process.communicate("\n")[0])["operations"])
