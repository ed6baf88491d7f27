# SPDX-License-Identifier: Apache-2.0
"""Clusters of real lariatd processes on loopback, for tests/*_test.py. Standard library only.

    with Cluster(nodes=3) as cluster:
        cluster.wait_ready()
        first = cluster.nodes[0]
        reply = first.http("PUT", "/kv/a", b"value")
        assert reply.status == 201
        first.kill9()
        first.restart()
        assert cluster.cli("get", "a").returncode == 0

The programs are taken from $LARIAT_BIN. Ports are free ones, data lives in a temporary directory,
and everything that was started is gone when the block ends, the script exits or is killed.
"""

import atexit
import contextlib
import ctypes
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from dataclasses import dataclass, field

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("LARIAT_BIN", os.path.join(REPO, "build/release/bin"))

_clusters = []     # what still has to be cleaned up at exit
_failed_threads = []   # names of threads that ended with an exception
_ports = {}        # handed out by this script: sockets that tell other scripts so
_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def program(name):
    return os.path.join(BIN, name)


def wait_until(condition, timeout=20.0, what="condition", every=0.02):
    """Calls condition until it gives something true, and returns that. Raises when time is up."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(every)


def free_ports(count=1, consecutive=False):
    """Free loopback ports below the range that outgoing connections take theirs from."""
    while True:
        first = random.randrange(15000, 32000 - count)
        wanted = ([first + i for i in range(count)] if consecutive
                  else random.sample(range(15000, 32000), count))
        if not _ports.keys() & set(wanted) and all(_take(port) for port in wanted):
            return wanted


def _take(port):
    """Whether this script may use the port: nobody listens, and no other script has taken it. It is
    kept until the script ends."""
    lock = socket.socket(socket.AF_UNIX)   # of an abstract name, which is gone with its holder
    try:
        lock.bind(f"\0lariat-e2e-port-{port}")
    except OSError:
        lock.close()
        return False
    if not _bindable(port):
        lock.close()
        return False
    _ports[port] = lock
    return True


def _bindable(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_process(command, **options):
    """A child in a process group of its own. It dies with this script even if that is killed; the
    kernel ties this to the starting thread, so only the main thread asks for it."""
    main = threading.current_thread() is threading.main_thread()
    return subprocess.Popen(command, start_new_session=True,
                            preexec_fn=_die_with_parent if main else None, **options)


def kill_group(process):
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    def header(self, name, default=None):
        return self.headers.get(name, default)


class Http:
    """One keep-alive connection. A closed one is opened again for the next request; a request is
    never sent twice, since the first may have been carried out."""

    def __init__(self, port, timeout=10.0, host="127.0.0.1", tls=None):
        self.connection = (
            http.client.HTTPSConnection(host, port, timeout=timeout, context=tls) if tls
            else http.client.HTTPConnection(host, port, timeout=timeout))

    def request(self, method, path, body=None, headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **(headers or {})}
        try:
            self.connection.request(method, path, body=body, headers=headers or {})
            answer = self.connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise

    def close(self):
        self.connection.close()


def raw_exchange(port, data, timeout=5.0, half_close=False):
    """Sends bytes as they are and returns all that comes back until the other side closes the
    connection or is silent for `timeout`. An exchange cut by a reset returns what came before."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionError):
            pass
    return received


@dataclass
class Node:
    name: str
    http_port: int
    resp_port: int
    peer_port: int
    data_dir: str
    log_path: str
    join: list
    settings: dict = field(default_factory=dict)
    args: list = field(default_factory=list)
    prefix: list = field(default_factory=list)   # of the command, to run it by another program
    host: str = "127.0.0.1"
    process: subprocess.Popen = None
    client: Http = None
    env: dict = field(default_factory=dict)  # besides this script's own
    tls: ssl.SSLContext = None

    @property
    def http_address(self):
        return f"{self.host}:{self.http_port}"

    @property
    def peer_address(self):
        return f"{self.host}:{self.peer_port}"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        command = [program("lariatd"), "--name", self.name, "--data-dir", self.data_dir,
                   "--http", self.http_address, "--resp", f"{self.host}:{self.resp_port}",
                   "--peer", self.peer_address]
        if self.join:
            command += ["--join", ",".join(self.join)]
        # Nobody balances load here who would have to notice.
        for key, value in {"shutdown.linger_ms": 0, **self.settings}.items():
            command += ["--set", f"{key}={value}"]
        return command + self.args

    def start(self):
        assert not self.running(), f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.process = start_process(self.prefix + self.command(), stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log, env={**os.environ, **self.env})

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        """As if the power went: no chance to save anything."""
        self.drop_client()
        kill_group(self.process)

    def terminate(self, timeout=30.0):
        """SIGTERM, which drains; returns the exit code."""
        self.drop_client()
        self.process.terminate()
        return self.process.wait(timeout)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def restart(self, wait=True):
        if self.running():
            self.kill9()
        self.start()
        if wait:
            self.wait_ready()

    def wipe(self):
        """The disk is lost. The node must not run."""
        assert not self.running(), f"{self.name} still runs"
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def ready(self):
        if not self.running():
            code = self.process.poll()
            raise AssertionError(f"{self.name} ended with {code}:\n{self.log_tail()}")
        try:
            return self.http("GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self, timeout=30.0):
        try:
            wait_until(self.ready, timeout, f"{self.name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    def connect(self, timeout=10.0):
        """A connection of its own, for a thread of its own."""
        return Http(self.http_port, timeout, self.host, self.tls)

    def http(self, method, path, body=None, headers=None):
        """Over one kept connection; not for several threads at once (they make an Http each)."""
        if self.client is None:
            self.client = self.connect()
        return self.client.request(method, path, body, headers)

    def raw_http(self, data, timeout=5.0, half_close=False):
        return raw_exchange(self.http_port, data, timeout, half_close)

    def metric(self, name):
        """The sum of all series of one metric, 0 when it does not show."""
        total = 0.0
        for line in self.http("GET", "/metrics").body.decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series == name or series.startswith(name + "{"):
                total += float(value)
        return total

    def log_tail(self, lines=30):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def drop_client(self):
        if self.client is not None:
            self.client.close()
            self.client = None


def cert_settings(certs, name):
    return {"security.cert_file": os.path.join(certs, name + ".crt"),
            "security.key_file": os.path.join(certs, name + ".key"),
            "security.ca_file": os.path.join(certs, "ca.crt")}


class Cluster:
    """`settings` go to every node as --set key=value. With start=False nothing runs yet. `secure`:
    with TLS, by certificates in DIR/certs."""

    def __init__(self, nodes=3, settings=None, args=None, start=True, secure=False):
        self.dir = tempfile.mkdtemp(prefix="lariat-e2e-")
        self.certs = os.path.join(self.dir, "certs") if secure else None
        if secure:
            self.make_cert("ca")
        self.settings, self.args = dict(settings or {}), list(args or [])
        self.nodes = []
        _clusters.append(self)
        for _ in range(nodes):
            self.add_node(start=False)
        # The first nodes of a cluster share one list of all of them, as one file for all would.
        for node in self.nodes:
            node.join = [other.peer_address for other in self.nodes] if nodes > 1 else []
        if start:
            for node in self.nodes:
                node.start()

    def add_node(self, name=None, start=True, args=()):
        """One more node, which joins the nodes that are there."""
        http_port, resp_port, peer_port = free_ports(3, consecutive=True)
        name = name or f"node{len(self.nodes) + 1}"
        node = Node(name, http_port, resp_port, peer_port,
                    data_dir=os.path.join(self.dir, name),
                    log_path=os.path.join(self.dir, f"{name}.log"),
                    join=[other.peer_address for other in self.nodes],
                    settings=self.settings, args=self.args + list(args))
        if self.certs:
            self.make_cert("node", name)
            node.settings = {**self.settings, **cert_settings(self.certs, name)}
            node.tls = ssl.create_default_context(cafile=os.path.join(self.certs, "ca.crt"))
        self.nodes.append(node)
        if start:
            node.start()
        return node

    def make_cert(self, kind, *args):
        made = run_cli("cert", kind, self.certs, *args)
        assert made.returncode == 0, made.stderr

    def wait_ready(self, timeout=30.0):
        """Every node that runs serves."""
        for node in self.nodes:
            if node.running():
                node.wait_ready(timeout)

    def cli(self, *args, stdin=None, timeout=30.0, node=None):
        """Runs `lariat ARGS` against the cluster; gives returncode, stdout and stderr as text."""
        address = (node or next(n for n in self.nodes if n.running())).http_address
        env = {"LARIAT_NODE": address}
        if self.certs:
            env["LARIAT_CA"] = os.path.join(self.certs, "ca.crt")
        return run_cli(*args, stdin=stdin, timeout=timeout, env=env)

    def close(self):
        for node in self.nodes:
            if node.process is not None:
                node.kill9()
            node.drop_client()
        shutil.rmtree(self.dir, ignore_errors=True)
        if self in _clusters:
            _clusters.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            for node in self.nodes:
                if os.path.exists(node.log_path):
                    print(f"--- {node.name}\n{node.log_tail()}", file=sys.stderr)
        self.close()


def fresh_get(node, path):
    """A GET over a connection of its own, which may meet another shard than the last."""
    client = node.connect()
    try:
        return client.request("GET", path)
    finally:
        client.close()


def cluster_status(node):
    return fresh_get(node, "/v1/cluster/status").json()


def members(node):
    """{name: state} as this node knows it."""
    return {member["name"]: member["state"] for member in cluster_status(node)["nodes"]}


def wait_settled(cluster, timeout=30.0):
    """Until all nodes that run are normal members, all see all alive, and no change is left."""
    running = [node for node in cluster.nodes if node.running()]

    def settled(node):
        try:
            status = cluster_status(node)
        except (OSError, http.client.HTTPException):
            return False
        quiet = not status["operation"] and not status["queued"]
        return quiet and node.name in [member["name"] for member in status["nodes"]] and all(
            member["state"] == "normal" and member["alive"] for member in status["nodes"])

    def all_settled():
        return (all(settled(node) for node in running for _ in range(2))
                and len({cluster_status(node)["epoch"] for node in running}) == 1)
    try:
        wait_until(all_settled, timeout, "the cluster is settled", every=0.05)
    except AssertionError as error:
        told = {node.name: cluster_status(node) for node in running[:1]}
        raise AssertionError(f"{error}\n{json.dumps(told, indent=1)}") from None


def wait_not_ready(node, why, timeout=20.0):
    """Until /readyz says no with this text among its reasons."""
    said = None

    def says_so():
        nonlocal said
        try:
            reply = fresh_get(node, "/readyz")
        except (OSError, http.client.HTTPException):
            return False
        said = reply.json()["reasons"]
        return reply.status == 503 and why in "; ".join(said)
    try:
        wait_until(says_so, timeout, f"{node.name} is not ready because '{why}'")
    except AssertionError as error:
        raise AssertionError(f"{error}; it says {said}") from None


# Times short enough for tests that wait for a node to be found dead.
FAST_PERIOD_S = 0.1
FAST = {"membership.gossip_period_ms": int(FAST_PERIOD_S * 1000), "membership.drive_ms": 50,
        "membership.confirm_ms": 1000, "peer.backoff_max_ms": 200, "request.timeout_ms": 2000}


class ClusterTest(unittest.TestCase):
    """A base for tests of whole clusters."""
    maxDiff = None

    def cluster(self, nodes=3, settings=None, base=None):
        """Settled, and closed when the test ends. `base`: settings in the place of FAST."""
        made = Cluster(nodes=nodes, settings={**(FAST if base is None else base),
                                              **(settings or {})})
        self.addCleanup(made.close)
        made.wait_ready()
        wait_settled(made)
        return made


def run_cli(*args, stdin=None, timeout=30.0, env=None):
    return subprocess.run([program("lariat"), *args], input=stdin, timeout=timeout, text=True,
                          capture_output=True, check=False, env={**os.environ, **(env or {})})


@contextlib.contextmanager
def small_disk(test, size):
    """The path of a file system of `size` bytes. Skips the test where it may not be mounted."""
    path = tempfile.mkdtemp(prefix="lariat-disk-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path],
                             capture_output=True, check=False)
    try:
        if mounted.returncode != 0:
            test.skipTest("a small file system cannot be mounted here")
        yield path
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", path], check=False)
        os.rmdir(path)


def _close_all():
    for cluster in list(_clusters):
        cluster.close()
    if _failed_threads:
        print(f"FAILED: in threads: {', '.join(_failed_threads)}", file=sys.stderr, flush=True)
        os._exit(1)   # the only way to another exit code from here


def _note_failure(args):
    """A test does not see what its threads raise: the script fails in its stead."""
    _failed_threads.append(args.thread.name)
    threading.__excepthook__(args)


atexit.register(_close_all)
threading.excepthook = _note_failure
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
