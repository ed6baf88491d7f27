# SPDX-License-Identifier: Apache-2.0
"""Serial buckets: every request is linearizable, whatever dies meanwhile.

The histories of real processes are judged by the versions that requests were told, which are the
order that they claim to have had (src/serial/history_test_util.h says by which rules).
"""

import base64
import collections
import json
import os
import random
import tempfile
import threading
import time
import unittest
import uuid
from dataclasses import dataclass

from lariat_e2e import (ClusterTest, Http, fresh_get, run_cli, start_process, program, wait_settled,
                        wait_until)

SETTINGS = {"membership.gossip_period_ms": 50, "peer.backoff_max_ms": 100,
            "request.timeout_ms": 2000, "limits.clock_drift_ms": 300}
JSON = {"Content-Type": "application/json"}


def make_bucket(cluster, name="s"):
    reply = cluster.nodes[0].http("PUT", f"/v1/buckets/{name}", '{"conflict": "serial"}', JSON)
    assert reply.status in (200, 201), reply.body
    path = f"/buckets/{name}/kv/never-written"
    for node in cluster.nodes:
        wait_until(lambda node=node: node.http("GET", path).header("X-Version"),
                   what="the bucket is known")


def version_of(reply):
    return int(reply.header("X-Version"))


@dataclass
class Event:
    kind: str                 # read, put, delete
    began: float
    value: bytes | None = None
    if_version: int | None = None
    if_none: bool = False
    end: str = "unknown"      # done, lost, not done, unknown
    ended: float = 0.0
    version: int = 0
    shown: bytes | None = None

    def tells(self):
        return self.end in ("done", "lost")


def judge(events):
    """What no single register could have done, in words."""
    wrong = []
    values = {0: None}
    versions = {}

    def hold(version, value):
        if values.setdefault(version, value) != value:
            wrong.append(f"version {version} has two values: {values[version]} and {value}")
        if value is not None and versions.setdefault(value, version) != version:
            wrong.append(f"{value} has versions {versions[value]} and {version}")

    writers = collections.Counter()
    for e in events:
        if not e.tells():
            continue
        if e.kind == "put" and e.end == "done":
            writers[e.version] += 1
            hold(e.version, e.value)
            if e.if_version is not None and e.version != e.if_version + 1:
                wrong.append(f"{e.value} on {e.if_version} made {e.version}")
        elif e.kind == "delete" and e.end == "done":
            hold(e.version, None)
        else:
            hold(e.version, e.shown)
        if e.end == "lost" and e.if_version == e.version and e.shown is not None:
            wrong.append(f"a condition that held was lost: {e}")
    wrong += [f"version {v} has {n} writers" for v, n in writers.items() if n > 1]
    for e in events:
        if e.end == "not done" and e.value in versions:
            wrong.append(f"{e.value} was not done, and is there")
        if e.kind == "put" and e.end == "done" and e.if_none and values.get(e.version - 1):
            wrong.append(f"{e.value} wanted no value and met one")
    told = sorted((e for e in events if e.tells()), key=lambda e: e.began)
    by_end = sorted(told, key=lambda e: e.ended)
    done, at = 0, 0
    for e in told:
        while at < len(by_end) and by_end[at].ended < e.began:
            done = max(done, by_end[at].version)
            at += 1
        if e.version < done or (e.kind == "put" and e.end == "done" and e.version == done):
            wrong.append(f"version {e.version} was told after {done}: {e}")
    first_told = {}
    for e in told:
        first_told[e.version] = min(first_told.get(e.version, e.ended), e.ended)
    earliest = float("inf")
    for version in sorted(first_told, reverse=True):
        first_told[version] = earliest = min(earliest, first_told[version])
    for e in events:
        if e.kind == "put" and e.value in versions:
            if first_told.get(versions[e.value], float("inf")) < e.began:
                wrong.append(f"{e.value} was seen before it was written")
    return wrong


class Clients:
    """Threads that read and write keys through all nodes, and remember every answer."""

    def __init__(self, cluster, keys, threads):
        self.cluster = cluster
        self.events = {key: [] for key in keys}
        self.stop = threading.Event()
        self.down = None   # a node that nobody needs to ask
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def conditional(self):
        with self.lock:
            return min(sum(1 for e in events if e.end == "done" and e.if_version is not None)
                       for events in self.events.values())

    def _run(self, number):
        rng = random.Random(number)
        clients = {}
        seen = {}
        count = 0
        while not self.stop.is_set():
            key = rng.choice(list(self.events))
            node = rng.choice([n for n in self.cluster.nodes if n is not self.down])
            count += 1
            event = self._plan(rng, seen.get(key, 0), f"{number}.{count}".encode())
            client = clients.get(node.http_port) or Http(node.http_port, timeout=4)
            clients[node.http_port] = client
            try:
                self._ask(client, key, event)
            except OSError as error:
                refused = isinstance(error, ConnectionRefusedError)
                event.end = "not done" if refused else "unknown"
                client.close()
                clients.pop(node.http_port)
            event.ended = time.monotonic()
            if event.tells():
                seen[key] = event.version
            with self.lock:
                self.events[key].append(event)
        for client in clients.values():
            client.close()

    @staticmethod
    def _plan(rng, seen, value):
        what = rng.random()
        event = Event("read", time.monotonic())
        if what < 0.35:
            return event
        event.kind, event.value = ("put", value) if what < 0.95 else ("delete", None)
        if what < 0.80 and seen:
            event.if_version = seen
        elif what < 0.85:
            event.if_none = True
        return event

    @staticmethod
    def _ask(client, key, event):
        headers = {}
        if event.if_version is not None:
            headers["If-Match"] = f'"{event.if_version}"'
        if event.if_none:
            headers["If-None-Match"] = "*"
        method = {"read": "GET", "put": "PUT", "delete": "DELETE"}[event.kind]
        reply = client.request(method, f"/buckets/s/kv/{key}", event.value, headers)
        if reply.status in (200, 201, 204) or (event.kind == "read" and reply.status == 404):
            event.end = "done"
            event.version = version_of(reply)
            event.shown = reply.body if reply.status == 200 else None
        elif reply.status == 409:
            error = reply.json()["error"]
            event.end, event.version = "lost", error["version"]
            event.shown = None if error["value"] is None else base64.b64decode(error["value"])
        else:
            event.end = "not done" if reply.status in (400, 503) else "unknown"


class Interface(ClusterTest):
    def test_versions_conditions_and_what_won(self):
        cluster = self.cluster(settings=SETTINGS)
        a, b, c = cluster.nodes
        make_bucket(cluster)
        path = "/buckets/s/kv/k"
        first = a.http("PUT", path, b"one", {"If-None-Match": "*", "Content-Type": "text/x"})
        self.assertEqual((first.status, version_of(first)), (201, 1))
        self.assertEqual(first.json()["version"], 1)
        self.assertRegex(first.header("X-Replicas"), r"^primaries=[23] fallbacks=0$")
        got = b.http("GET", path)
        self.assertEqual((got.status, got.body, version_of(got)), (200, b"one", 1))
        told = c.http("GET", "/v1/debug/explain?bucket=s&key=k").json()["replicas"]
        ballots = [r["ballot"] for r in told if r["state"] == "found"]
        self.assertGreaterEqual(len(ballots), 2)
        self.assertRegex(ballots[0], r"^\d+ by node\d$")
        self.assertEqual(got.header("Content-Type"), "text/x")
        again = c.http("PUT", path, b"two", {"If-None-Match": "*"})
        self.assertEqual(again.status, 409)
        error = again.json()["error"]
        self.assertEqual(error["code"], "precondition_failed")
        self.assertEqual((error["version"], base64.b64decode(error["value"])), (1, b"one"))
        second = b.http("PUT", path, b"two", {"If-Match": '"1"'})
        self.assertEqual(version_of(second), 2)
        self.assertEqual(c.http("PUT", path, b"x", {"If-Match": '"1"'}).status, 409)
        by_context = c.http("PUT", path, b"three", {"X-Context": second.header("X-Context")})
        self.assertEqual(version_of(by_context), 3)
        by_tag = b.http("PUT", path, b"four", {"If-Match": c.http("GET", path).header("ETag")})
        self.assertEqual(version_of(by_tag), 4)
        gone = a.http("DELETE", path, headers={"If-Match": '"4"'})
        self.assertEqual((gone.status, version_of(gone)), (204, 5))
        absent = b.http("GET", path)
        self.assertEqual((absent.status, version_of(absent)), (404, 5))
        lost = b.http("PUT", path, b"x", {"If-Match": '"5"'})
        self.assertEqual((lost.status, lost.json()["error"]["value"]), (409, None))
        reborn = c.http("PUT", path, b"five")
        self.assertEqual(version_of(reborn), 6)

    def test_values_are_compared_in_json(self):
        cluster = self.cluster(settings=SETTINGS)
        node = cluster.nodes[0]
        make_bucket(cluster)
        path = "/v1/buckets/s/kv/k"

        def put(value, **more):
            body = {"value": base64.b64encode(value).decode(), **more}
            return node.http("PUT", path, json.dumps(body), JSON)
        self.assertEqual(put(b"a", expect=None).status, 201)
        self.assertEqual(put(b"b", expect=None).status, 409)
        self.assertEqual(put(b"b", expect=base64.b64encode(b"a").decode()).status, 201)
        self.assertEqual(put(b"c", expect=base64.b64encode(b"a").decode()).status, 409)
        shown = node.http("GET", path + "?confirm=true").json()
        self.assertEqual((shown["version"], base64.b64decode(shown["value"])), (2, b"b"))

    def test_a_repeat_gets_the_first_answer(self):
        cluster = self.cluster(settings=SETTINGS)
        a, b, _ = cluster.nodes
        make_bucket(cluster)
        path = "/buckets/s/kv/k"
        done, lost = ({"Idempotency-Key": str(uuid.uuid4())} for _ in range(2))
        lost["If-None-Match"] = "*"
        self.assertEqual(version_of(a.http("PUT", path, b"1", done)), 1)
        self.assertEqual(a.http("PUT", path, b"2", lost).status, 409)
        self.assertEqual(version_of(a.http("DELETE", path)), 2)
        repeat = b.http("PUT", path, b"1", done)
        self.assertEqual((repeat.status, version_of(repeat)), (201, 1))
        self.assertEqual(repeat.header("X-Replayed"), "true")
        again = b.http("PUT", path, b"2", lost)
        self.assertEqual((again.status, again.json()["error"]["version"]), (409, 1))
        self.assertEqual(version_of(a.http("GET", path)), 2)

    # Guards M33.
    def test_plain_requests_are_refused(self):
        cluster = self.cluster(settings=SETTINGS)
        node = cluster.nodes[0]
        make_bucket(cluster)
        path = "/buckets/s/kv/k"
        for query, headers in (("?w=1", {}), ("?sloppy=true", {}), ("", {"Consistency": "ONE"}),
                               ("", {"Consistency": "QUORUM"}), ("", {"X-Client-Timestamp": "5"})):
            reply = node.http("PUT", path + query, b"x", headers)
            self.assertEqual(reply.status, 400, (query, headers, reply.body))
        for query, headers in (("?r=1", {}), ("", {"Consistency": "ALL"})):
            self.assertEqual(node.http("GET", path + query, None, headers).status, 400)
        self.assertEqual(node.http("GET", path, None, {"Consistency": "SERIAL"}).status, 404)
        plain = node.http("PUT", "/kv/k", b"x", {"Consistency": "SERIAL"})
        self.assertEqual(plain.status, 400)
        changed = node.http("PUT", "/v1/buckets/s", '{"conflict": "lww"}', JSON)
        self.assertEqual(changed.status, 409)
        self.assertEqual(node.http("PUT", "/v1/buckets/s", '{"r": 1}', JSON).status, 400)
        self.assertEqual(node.http("PUT", "/v1/buckets/s", '{"n": 1}', JSON).status, 400)

    def test_an_expiry_is_agreed(self):
        cluster = self.cluster(settings=SETTINGS)
        node = cluster.nodes[0]
        make_bucket(cluster)
        path = "/buckets/s/kv/k"
        self.assertEqual(node.http("PUT", path, b"x", {"X-TTL": "1"}).status, 201)
        self.assertEqual(node.http("GET", path).status, 200)
        wait_until(lambda: node.http("GET", path).status == 404, what="it expires")
        self.assertEqual([version_of(n.http("GET", path)) for n in cluster.nodes], [2, 2, 2])
        taken = cluster.nodes[1].http("PUT", path, b"y", {"If-None-Match": "*"})
        self.assertEqual(version_of(taken), 3)

    def test_without_a_majority_nothing_is_done(self):
        cluster = self.cluster(settings=SETTINGS)
        a, b, c = cluster.nodes
        make_bucket(cluster)
        self.assertEqual(a.http("PUT", "/buckets/s/kv/k", b"x").status, 201)
        b.kill9()
        c.kill9()
        wait_until(lambda: a.http("PUT", "/buckets/s/kv/k", b"y").status == 503,
                   what="too few replicas are alive")
        b.restart()
        wait_until(lambda: a.http("GET", "/buckets/s/kv/k?confirm=true").status == 200,
                   what="a majority is back")


class Histories(ClusterTest):
    """What clients were told while nodes died, stood still, came and went."""

    def judged(self, clients):
        for key, events in clients.events.items():
            self.assertEqual(judge(events)[:3], [], key)
            ends = collections.Counter(e.end for e in events)
            print(f"{key}: {dict(ends)}", flush=True)

    # Guards M31, M32.
    def test_nodes_are_killed_and_paused(self):
        cluster = self.cluster(settings=SETTINGS)
        make_bucket(cluster)
        rng = random.Random(7)
        with Clients(cluster, ["a", "b", "c"], threads=8) as clients:
            for turn in range(6):
                node = rng.choice(cluster.nodes)
                before = clients.conditional()
                clients.down = node
                if turn % 2 == 0:
                    node.kill9()
                    wait_until(lambda: clients.conditional() > before + 5, timeout=60,
                               what="writes go on without it")
                    node.restart()
                else:
                    node.pause()
                    wait_until(lambda: clients.conditional() > before + 5, timeout=60,
                               what="writes go on without it")
                    node.resume()
                clients.down = None
                wait_until(lambda: clients.conditional() > before + 10, timeout=60,
                           what="writes go on with it")
        self.judged(clients)

    # Guards M31, M32.
    def test_a_node_joins_and_one_leaves(self):
        cluster = self.cluster(settings=SETTINGS)
        make_bucket(cluster)
        with Clients(cluster, ["a", "b", "c", "d"], threads=6) as clients:
            wait_until(lambda: clients.conditional() > 5, timeout=60, what="writes are done")
            newcomer = cluster.add_node()
            newcomer.wait_ready()
            wait_settled(cluster, timeout=120)
            before = clients.conditional()
            leaving = cluster.nodes[0].name
            self.assertEqual(cluster.cli("decommission", leaving, node=newcomer, timeout=120)
                             .returncode, 0)
            wait_until(lambda: clients.conditional() > before + 5, timeout=60,
                       what="writes go on afterwards")
        self.judged(clients)


class Locks(ClusterTest):
    def test_one_holder_at_a_time_with_growing_tokens(self):
        cluster = self.cluster(settings=SETTINGS)
        address = cluster.nodes[0].http_address
        with tempfile.TemporaryDirectory() as directory:
            log = os.path.join(directory, "log")
            script = f'echo "in $LARIAT_FENCE" >> {log}; sleep 0.2; echo out >> {log}; exit 9'
            command = [program("lariat"), "--node", address, "lock", "job", "--ttl", "5", "--",
                       "sh", "-c", script]
            running = [start_process(command) for _ in range(3)]
            self.assertEqual([p.wait(timeout=60) for p in running], [9, 9, 9])
            with open(log, encoding="ascii") as lines:
                words = lines.read().split()
        self.assertEqual([w for w in words if not w.isdigit()], ["in", "out"] * 3)
        fences = [int(w) for w in words if w.isdigit()]
        self.assertEqual(sorted(set(fences)), fences)

    def test_a_lock_that_is_held_is_not_had_in_time(self):
        cluster = self.cluster(settings=SETTINGS)
        address = cluster.nodes[0].http_address
        holder = start_process([program("lariat"), "--node", address, "lock", "job", "--ttl", "5",
                                "--", "sleep", "60"])
        path = "/buckets/locks/kv/job"
        wait_until(lambda: fresh_get(cluster.nodes[0], path).status == 200, what="it is held")
        other = run_cli("--node", address, "lock", "job", "--wait", "0", "--", "true")
        self.assertEqual(other.returncode, 5, other.stderr)
        holder.kill()  # it releases nothing: the lock expires
        holder.wait()
        late = run_cli("--node", address, "lock", "job", "--wait", "30", "--", "true", timeout=60)
        self.assertEqual(late.returncode, 0, late.stderr)


if __name__ == "__main__":
    unittest.main()
