# SPDX-License-Identifier: Apache-2.0
"""What readers and writers of one key may see of each other while nodes die and pause.

One writer of each key numbers its writes and gives each the context of a write that is known to
have happened (in lww buckets: a time stamp), so "older" and "newer" are plain. Times are taken on
one clock around each request.
With R = W = 2 of 3 (M15, M17):
  - a read shows nothing older than the newest write acknowledged before the read began,
  - nothing older than what any read showed that had ended before it began (no new-old inversion,
    also when the write of that value failed),
  - nothing whose answer was "not done".
"""

import http.client
import random
import sys
import threading
import time
import unittest
import uuid
from dataclasses import dataclass, field

from lariat_e2e import Cluster, Http, wait_until
from lariat_load import JSON, values

SETTINGS = {"membership.gossip_period_ms": 50, "peer.backoff_max_ms": 100,
            "request.timeout_ms": 400}


@dataclass
class Register:
    """One key and all that was seen of it. Lists are appended by one thread each, or are locked."""
    path: str
    acknowledged: list = field(default_factory=list)  # (time of the answer, number)
    refused: set = field(default_factory=set)
    unknown: int = 0
    stamp_ms: int = 0
    reads: list = field(default_factory=list)         # (begin, end, newest, all numbers shown)

    def problems(self):
        """What the rules at the top of this file forbid, in words."""
        found = []
        events = [(when, "done", number) for when, number in self.acknowledged]
        events += [(end, "read", newest) for _, end, newest, _ in self.reads]
        events += [(begin, "begin", newest) for begin, _, newest, _ in self.reads]
        oldest_allowed = 0
        for _, kind, number in sorted(events, key=lambda event: (event[0], event[1] != "begin")):
            if kind == "begin":
                if number < oldest_allowed:
                    found.append(f"{self.path}: {number} was shown after {oldest_allowed}")
            else:
                oldest_allowed = max(oldest_allowed, number)
        for _, _, _, shown in self.reads:
            for number in self.refused.intersection(shown):
                found.append(f"{self.path}: {number} was shown and had been refused")
        return found


class Clients:
    """A writer and two readers for each register, on all nodes."""

    def __init__(self, nodes, registers, bucket="default", stamps=False):
        self.stamps = stamps
        self.ports = [node.http_port for node in nodes]
        self.registers = [Register(f"/buckets/{bucket}/kv/register-{uuid.uuid4()}")
                          for _ in range(registers)]
        self.stopping = threading.Event()
        self.errors = []
        work = [self._write] + [self._read] * 2
        self.threads = [threading.Thread(target=self._guard, args=(run, register), daemon=True)
                        for register in self.registers for run in work]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def progress(self):
        return sum(len(register.acknowledged) for register in self.registers)

    def wait_for(self, more, timeout=20):
        goal = self.progress() + more
        wait_until(lambda: self.progress() >= goal or self.errors, timeout, f"{more} more writes",
                   every=0.005)

    def _guard(self, run, register):
        # More than request.timeout_ms; a paused node answers nothing at all.
        clients = [Http(port, timeout=0.6) for port in self.ports]
        try:
            run(register, clients)
        except Exception as error:  # told by the main thread
            self.errors.append(repr(error))
        for client in clients:
            client.close()

    def _write(self, register, clients):
        contexts = [""]  # of the newest acknowledged write, then of what was read since
        number = 0
        while not self.stopping.is_set():
            number += 1
            try:
                reply = random.choice(clients).request("PUT", register.path, b"%d" % number,
                                                       self._headers(register, contexts[-1]))
            except ConnectionRefusedError:
                register.refused.add(number)
                self.stopping.wait(0.002)
                continue
            except (OSError, http.client.HTTPException):
                register.unknown += 1
                self._look(register, clients, contexts)
                continue
            if reply.status == 201:
                contexts[-1] = reply.header("X-Context")
                register.acknowledged.append((time.monotonic(), number))
            elif reply.status == 504:
                register.unknown += 1
                self._look(register, clients, contexts)
            else:
                assert reply.status == 503, (reply.status, reply.body)
                register.refused.add(number)
                self.stopping.wait(0.002)

    def _headers(self, register, context):
        """In an lww bucket a write of unknown outcome may still happen later, and then be the last:
        a paused node reads what was sent to it. Unless the clients' own clock orders them."""
        if not self.stamps:
            return {"X-Context": context}
        register.stamp_ms = max(register.stamp_ms + 1, int(time.time() * 1000))
        return {"X-Client-Timestamp": str(register.stamp_ms)}

    def _look(self, register, clients, contexts):
        """After an unknown outcome: the context of a read, so that later writes replace it."""
        while not self.stopping.is_set():
            try:
                reply = random.choice(clients).request("GET", register.path)
            except (OSError, http.client.HTTPException):
                continue
            if reply.status in (200, 300, 404):
                contexts[-1] = reply.header("X-Context") or ""
                return

    def _read(self, register, clients):
        while not self.stopping.is_set():
            begin = time.monotonic()
            try:
                reply = random.choice(clients).request("GET", register.path, headers=JSON)
            except (OSError, http.client.HTTPException):
                continue
            end = time.monotonic()
            if reply.status in (200, 404):
                shown = [int(value) for value in values(reply)]
                register.reads.append((begin, end, max(shown, default=0), shown))
            else:
                assert reply.status in (503, 504), (reply.status, reply.body)


class TheChecker(unittest.TestCase):
    """It is trusted only because it finds what is planted."""

    # Guards M45.
    def test_finds_an_inversion(self):
        register = Register("/k", acknowledged=[(1.0, 1)],
                            reads=[(2.0, 3.0, 2, [2]), (4.0, 5.0, 1, [1])])
        self.assertEqual(len(register.problems()), 1)

    # Guards M45.
    def test_finds_a_lost_write_and_a_refused_value(self):
        register = Register("/k", acknowledged=[(1.0, 1), (2.0, 2)], refused={7},
                            reads=[(3.0, 4.0, 1, [1]), (5.0, 6.0, 7, [7])])
        self.assertEqual(len(register.problems()), 2)

    def test_overlapping_reads_may_differ(self):
        register = Register("/k", acknowledged=[(1.0, 1)],
                            reads=[(2.0, 5.0, 2, [2]), (3.0, 4.0, 1, [1])])
        self.assertEqual(register.problems(), [])


class Registers(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(nodes=3, settings=SETTINGS)
        self.addCleanup(self.cluster.close)
        self.cluster.wait_ready()
        self.random = random.Random(3)

    def check(self, clients):
        self.assertEqual(clients.errors, [])
        for register in clients.registers:
            self.assertEqual(register.problems(), [])
        reads = sum(len(register.reads) for register in clients.registers)
        unknown = sum(register.unknown for register in clients.registers)
        print(f"{clients.progress()} writes, {unknown} unknown, {reads} reads")

    def break_things(self, clients, rounds):
        for _ in range(rounds):
            victim = self.random.choice(self.cluster.nodes)
            clients.wait_for(20)
            if self.random.random() < 0.5:
                victim.kill9()
                clients.wait_for(20)
                victim.restart()
            else:
                victim.pause()
                clients.wait_for(self.random.choice((2, 30)))
                victim.resume()

    # Guards M15, M17: 12 kills and pauses.
    def test_strict_reads_with_kills_and_pauses(self):
        with Clients(self.cluster.nodes, registers=4) as clients:
            self.break_things(clients, rounds=12)
        self.check(clients)

    def test_last_write_wins_with_kills_and_pauses(self):
        bucket = f"lww-{uuid.uuid4()}"
        made = self.cluster.nodes[0].http("PUT", f"/v1/buckets/{bucket}", {"conflict": "lww"})
        self.assertEqual(made.status, 201)
        with Clients(self.cluster.nodes, registers=3, bucket=bucket, stamps=True) as clients:
            self.break_things(clients, rounds=8)
        self.check(clients)

    # Guards M16, M17.
    def test_two_of_three_die(self):
        """One replica alone is no quorum, and what it refused it does not show later."""
        with Clients(self.cluster.nodes, registers=3) as clients:
            for survivor in self.cluster.nodes:
                clients.wait_for(50)
                others = [node for node in self.cluster.nodes if node is not survivor]
                for node in others:
                    node.process.kill()
                for node in others:
                    node.kill9()
                wait_until(lambda s=survivor: s.http("GET", "/kv/x").status == 503)
                for node in others:
                    node.start()
                self.cluster.wait_ready()
        self.check(clients)


class Siblings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(nodes=3)
        cls.cluster.wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    # Guards M8, M10: 2,000 writes.
    def test_two_interleaving_writers(self):
        """They know nothing but the contexts of their own replies."""
        path = f"/kv/{uuid.uuid4()}"
        contexts = ["", ""]
        most = 0
        for number in range(2000):
            writer = number % 2
            node = self.cluster.nodes[number % 3]
            reply = node.http("PUT", path, b"%d of writer %d" % (number, writer),
                              {"X-Context": contexts[writer]})
            self.assertEqual(reply.status, 201)
            contexts[writer] = reply.header("X-Context")
            self.assertLess(len(contexts[writer]), 1000, "contexts do not grow with the writes")
            if number % 50 == 0 or number > 1990:
                found = values(node.http("GET", path, headers=JSON))
                most = max(most, len(found))
                self.assertLessEqual(len(found), 2)
                self.assertIn(b"%d of writer %d" % (number, writer), found)
        self.assertEqual(most, 2, "neither destroys what it was not shown")

    # Guards M8: 600 writes.
    def test_two_writers_at_once(self):
        """Truly at the same time: each on its own node."""
        path = f"/kv/{uuid.uuid4()}"

        def write(writer):
            client = Http(self.cluster.nodes[writer].http_port)
            context = ""
            for number in range(300):
                reply = client.request("PUT", path, b"%d/%d" % (writer, number),
                                       {"X-Context": context})
                assert reply.status == 201, reply.body
                context = reply.header("X-Context")
            client.close()

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            reply = self.cluster.nodes[2].http("GET", path, headers=JSON)
            self.assertLessEqual(len(values(reply)), 2)
        self.assertEqual(values(self.cluster.nodes[2].http("GET", path, headers=JSON)),
                         [b"0/299", b"1/299"])

    # Guards M8.
    def test_hard_limit(self):
        """Blind writers get a clear error, and nothing that was accepted is dropped."""
        path = f"/kv/{uuid.uuid4()}"
        accepted = []
        for number in range(110):
            reply = self.cluster.nodes[0].http("PUT", path, b"%03d" % number)
            if reply.status == 201:
                accepted.append(b"%03d" % number)
            else:
                self.assertEqual(reply.status, 409)
                self.assertEqual(reply.json()["error"]["code"], "too_many_siblings")
        self.assertEqual(len(accepted), 100)
        found = self.cluster.nodes[1].http("GET", path, headers=JSON)
        self.assertEqual(values(found), accepted)
        self.assertEqual(self.cluster.nodes[0].metric("lariat_siblings_max"), 100)
        resolved = self.cluster.nodes[2].http("PUT", path, b"one",
                                              {"X-Context": found.header("X-Context")})
        self.assertEqual(resolved.status, 201)
        self.assertEqual(values(self.cluster.nodes[1].http("GET", path, headers=JSON)), [b"one"])

    # Guards M11: 20 races.
    def test_delete_without_context_under_writes(self):
        """After it, what is there is newer than what it can have read."""
        for _ in range(20):
            path = f"/kv/{uuid.uuid4()}"
            for number, node in enumerate(self.cluster.nodes):
                node.http("PUT", path, b"before %d" % number)
            late = threading.Thread(target=self.cluster.nodes[1].http,
                                    args=("PUT", path, b"concurrent"))
            late.start()
            deleted = self.cluster.nodes[0].http("DELETE", path)
            late.join()
            self.assertEqual(deleted.status, 204)
            for node in self.cluster.nodes:
                found = values(node.http("GET", path, headers=JSON))
                self.assertIn(found, ([], [b"concurrent"]))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
