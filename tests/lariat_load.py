# SPDX-License-Identifier: Apache-2.0
"""Clients that write while a test breaks things, and know afterwards what must be there.

Each writer has a key at a time and writes it with the context of its last reply, so the key has one
value: that of the last acknowledged write, or of one write after it whose outcome is unknown. After
an unknown outcome the writer goes on with another key.
"""

import base64
import concurrent.futures
import http.client
import json
import random
import threading
import time
import uuid
from dataclasses import dataclass

from lariat_e2e import Http, wait_until

JSON = {"Accept": "application/json"}


def values(reply):
    """All values of a GET's reply that was asked for as JSON."""
    if reply.status == 404:
        return []
    assert reply.status == 200, (reply.status, reply.body)
    body = reply.json()
    shown = [v["value"] for v in body["values"]] if body["conflict"] else [body["value"]]
    return sorted(base64.b64decode(value) for value in shown)


@dataclass
class Written:
    acknowledged: bytes = None
    unknown: bytes = None

    def allows(self, found):
        allowed = [[value] for value in (self.acknowledged, self.unknown) if value is not None]
        return found in allowed or (self.acknowledged is None and found == [])


class Writers:
    """Started by `with`, and stopped at its end at the latest."""

    def __init__(self, nodes, threads=8, writes_per_key=5, value_bytes=100, query=""):
        self.ports = [node.http_port for node in nodes]
        self.writes_per_key, self.query = writes_per_key, query
        self.padding = b"." * value_bytes
        self.keys = {}          # path -> Written; each entry belongs to one thread
        self.statuses = []      # of all replies; connection errors are 0
        self.acknowledged = 0   # grows; for waiting on progress
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def wait_for(self, more, timeout=30.0):
        """Until so many more writes have been acknowledged."""
        goal = self.acknowledged + more
        wait_until(lambda: self.acknowledged >= goal, timeout, f"{more} more writes", every=0.001)

    def _run(self, number):
        clients = [Http(port) for port in self.ports]
        turn = number
        while not self.stopping.is_set():
            path = f"/kv/load-{uuid.uuid4()}"
            written = self.keys.setdefault(path, Written())
            context = ""
            for count in range(self.writes_per_key):
                turn += 1
                value = f"{path} {count} ".encode() + self.padding
                outcome, context = self._write(clients[turn % len(clients)], path, value, context)
                if outcome == "done":
                    written.acknowledged = value
                    self.acknowledged += 1
                elif outcome == "unknown":
                    written.unknown = value
                    break
                elif self.stopping.wait(0.005):
                    break
        for client in clients:
            client.close()

    def _write(self, client, path, value, context):
        try:
            reply = client.request("PUT", path + self.query, value, {"X-Context": context})
        except ConnectionRefusedError:
            self.statuses.append(0)
            return "not done", context
        except (OSError, http.client.HTTPException):
            self.statuses.append(0)
            return "unknown", context
        self.statuses.append(reply.status)
        if reply.status == 201:
            return "done", reply.header("X-Context")
        return "unknown" if reply.status == 504 else "not done", context

    def wrong(self, node, query="?r=2"):
        """What a node shows that may not be, as [(path, found, wanted)]."""
        client = node.connect()
        bad = []
        for path, written in list(self.keys.items()):
            reply = client.request("GET", path + query, headers=JSON)
            found = values(reply) if reply.status in (200, 404) else reply.body
            if not written.allows(found):
                bad.append((path, found, written))
        client.close()
        return bad


class Traffic:
    """Writes ever new keys through every node, and reads acknowledged ones all the time.

    Each node has threads of its own, so one that is stuck or dead holds up nobody else. What a
    read at R=2 does not show although it was acknowledged is in `lost`; replies other than success
    are in `errors`, by node. Keys are written once, so any other value is wrong."""

    def __init__(self, nodes, writers=2, readers=1, pause_s=0.004, timeout_s=10.0):
        self.writers, self.readers = writers, readers
        self.pause_s, self.timeout_s = pause_s, timeout_s
        self.keys = []         # acknowledged ones; only grows
        self.acks = {}         # node's name -> times of acknowledgements
        self.slowest = {}      # node's name -> seconds of its slowest request
        self.errors = {}       # node's name -> [(time, what, status, body)]; status 0: connection
        self.lost = []         # [(key, node's name, what was found)]
        self.reads = 0
        self.stopping = threading.Event()
        self.threads = []
        for node in nodes:
            self.add(node)

    def add(self, node):
        """The load uses this node from now on."""
        self.acks.setdefault(node.name, [])
        self.slowest.setdefault(node.name, 0.0)
        self.errors.setdefault(node.name, [])
        jobs = [self._write] * self.writers + [self._read] * self.readers
        for job in jobs:
            thread = threading.Thread(target=self._run, args=(job, node), daemon=True)
            self.threads.append(thread)
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def wait_for(self, more=200, timeout=30.0):
        """Until so many more writes have been acknowledged."""
        goal = len(self.keys) + more
        wait_until(lambda: len(self.keys) >= goal, timeout, f"{more} more writes")

    def import_keys(self, cluster, count, value_bytes):
        """Keys that are there before anything happens, quickly."""
        keys = [f"there-{number}" for number in range(count)]
        lines = "".join(json.dumps({"key": key, "value": self.value(key, value_bytes).decode()})
                        + "\n" for key in keys)
        done = cluster.cli("import", "--format", "ndjson", "-", stdin=lines, timeout=120)
        assert done.returncode == 0, done.stderr
        self.keys.extend(keys)

    @staticmethod
    def value(key, size=0):
        return f"{key} ".encode().ljust(size, b".")

    def _run(self, job, node):
        client = node.connect(self.timeout_s)
        while not self.stopping.wait(self.pause_s):
            begin = time.monotonic()
            try:
                self._note(node, job.__name__, *job(client, node))
            except (OSError, http.client.HTTPException) as error:
                self._note(node, job.__name__, 0, repr(error))
            took = time.monotonic() - begin
            self.slowest[node.name] = max(self.slowest[node.name], took)
        client.close()

    def _note(self, node, what, status, body):
        if status not in (200, 201, 404):
            self.errors[node.name].append((time.monotonic(), what, status, body))

    def _write(self, client, node):
        key = str(uuid.uuid4())
        reply = client.request("PUT", f"/kv/{key}?w=2", self.value(key))
        if reply.status == 201:
            self.acks[node.name].append(time.monotonic())
            self.keys.append(key)
        return reply.status, reply.body

    def _read(self, client, node):
        count = len(self.keys)
        if count == 0:
            return 404, b""
        # Every other one is among the newest.
        newest = min(count, 100) if random.random() < 0.5 else count
        key = self.keys[count - 1 - random.randrange(newest)]
        reply = client.request("GET", f"/kv/{key}?r=2")
        self.reads += 1
        self._check(key, node.name, reply)
        return reply.status, reply.body

    def _check(self, key, name, reply):
        wrong = reply.status == 200 and not reply.body.startswith(self.value(key))
        if wrong or reply.status in (300, 404):
            self.lost.append((key, name, reply.status, reply.body[:200]))

    def errors_but_of(self, *names):
        return {name: errors[:5] for name, errors in self.errors.items()
                if errors and name not in names}

    def longest_gap(self, name, begin, end):
        """The longest time in which no write through this node was acknowledged."""
        times = [begin, *(t for t in list(self.acks[name]) if begin < t < end), end]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def read_all(self, nodes):
        """Reads every acknowledged key once more, spread over these nodes."""
        def part(number):
            node = nodes[number % len(nodes)]
            client = node.connect(self.timeout_s)
            for key in self.keys[number::4]:
                reply = client.request("GET", f"/kv/{key}?r=2")
                self._check(key, node.name, reply)
                self._note(node, "last read", reply.status, reply.body)
            client.close()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(part, range(4)))
