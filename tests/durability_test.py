# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged stays, through deaths, pauses, full, failing and corrupted disks."""

import glob
import os
import pathlib
import resource
import shutil
import signal
import sys
import threading
import time
import unittest
import uuid

from lariat_e2e import Cluster, Http, fresh_get, small_disk, wait_until
from lariat_load import JSON, Writers, values

MIB = 1 << 20
FAST = {"membership.gossip_period_ms": 100, "peer.backoff_max_ms": 200,
        "request.timeout_ms": 1000}


def fresh(prefix="k"):
    return f"{prefix}-{uuid.uuid4()}"


class Test(unittest.TestCase):
    def cluster(self, nodes=3, settings=None, start=True):
        made = Cluster(nodes=nodes, settings={**FAST, **(settings or {})}, start=start)
        self.addCleanup(made.close)
        if start:
            made.wait_ready()
            if nodes > 1:
                wait_until(lambda: whole(made), what="all nodes see all nodes")
        return made

    def put(self, node, path, value, context="", status=201):
        reply = node.http("PUT", path, value, {"X-Context": context or ""})
        self.assertEqual(reply.status, status, reply.body)
        return reply.header("X-Context")

    def all_there(self, writers, cluster, query="?r=2"):
        self.assertGreater(writers.acknowledged, 0)
        for node in cluster.nodes:
            self.assertEqual(writers.wrong(node, query), [])


def whole(cluster):
    """Every node sees every node alive, on each of its shards (each request may meet another)."""
    return all(member["alive"] for node in cluster.nodes for _ in range(3)
               for member in fresh_get(node, "/v1/cluster/status").json()["nodes"])


def kill_all_at_once(nodes):
    for node in nodes:
        node.process.kill()
    for node in nodes:
        node.kill9()


class Death(Test):
    # Guards M3: 5 kills of all nodes.
    def test_kill_of_all_nodes_at_once(self):
        cluster = self.cluster()
        all_writers = []
        for round_number in range(5):
            with Writers(cluster.nodes, threads=8) as writers:
                writers.wait_for(100 + 50 * round_number)
                kill_all_at_once(cluster.nodes)
            all_writers.append(writers)
            for node in cluster.nodes:
                node.start()
            cluster.wait_ready()
            wait_until(lambda: whole(cluster))
            for earlier in all_writers:
                self.all_there(earlier, cluster)

    def test_each_node_dies_under_load(self):
        """Clients of the other nodes do not notice: W and R of 2 are met by them."""
        cluster = self.cluster()
        for victim in cluster.nodes:
            others = [node for node in cluster.nodes if node is not victim]
            with Writers(others) as writers:
                writers.wait_for(100)
                victim.kill9()
                writers.wait_for(200)
                victim.restart()
                writers.wait_for(100)
            self.assertEqual(set(writers.statuses), {201})
            wait_until(lambda: whole(cluster))
            self.all_there(writers, cluster)
            # What was read at a quorum that includes it, the returned node has.
            self.all_there(writers, cluster, "?r=3")
            self.assertEqual(writers.wrong(victim, "?r=1"), [])

    def test_one_dead(self):
        cluster = self.cluster()
        first, second, third = cluster.nodes
        path = "/kv/" + fresh()
        context = self.put(first, path, b"before")
        third.kill9()
        for node in (first, second):
            wait_until(lambda n=node: n.http("PUT", "/kv/probe?w=3", b"x").status == 503,
                       what="the death is known")
            for method, query, body in (("PUT", "?w=3", b"x"), ("DELETE", "?w=3", None),
                                        ("GET", "?r=3", None)):
                started = time.monotonic()
                reply = node.http(method, path + query, body)
                self.assertLess(time.monotonic() - started, 0.5)
                self.assertEqual(reply.status, 503)
                error = reply.json()["error"]
                self.assertEqual((error["code"], error["needed"], error["alive"]),
                                 ("insufficient_replicas", 3, 2))
        for number in range(20):
            context = self.put((first, second)[number % 2], path, b"%d" % number, context)
        self.assertEqual(second.http("GET", path + "?r=2").body, b"19")
        second.kill9()
        wait_until(lambda: first.http("GET", path).status == 503)
        self.assertEqual(first.http("GET", path).json()["error"]["alive"], 1)
        self.put(first, path, b"refused", context, status=503)
        self.assertEqual(first.http("GET", path + "?r=1").body, b"19")
        for node in (second, third):
            node.start()
        cluster.wait_ready()
        wait_until(lambda: whole(cluster))
        for node in cluster.nodes:
            self.assertEqual(node.http("GET", path + "?r=2").body, b"19")
        self.put(third, path + "?w=3", b"all", context)
        for node in cluster.nodes:
            self.assertEqual(node.http("GET", path + "?r=1").body, b"all")

    def test_returned_node_is_repaired_by_reads(self):
        cluster = self.cluster(settings={"hints.enabled": "false", "repair.enabled": "false"})
        away = cluster.nodes[2]
        away.kill9()
        paths = ["/kv/" + fresh() for _ in range(50)]
        for path in paths:
            wait_until(lambda p=path: cluster.nodes[0].http("PUT", p, b"new").status == 201)
        away.restart()
        wait_until(lambda: whole(cluster))
        self.assertEqual({away.http("GET", path + "?r=1").status for path in paths}, {404})
        for path in paths:
            self.assertEqual(away.http("GET", path).body, b"new")  # R = 2
            self.assertEqual(away.http("GET", path + "?r=1").body, b"new")
        self.assertGreater(sum(node.metric("lariat_read_repairs_total")
                               for node in cluster.nodes), 0)


class Leaving(Test):
    def test_sigterm_drains(self):
        cluster = self.cluster()
        with Writers(cluster.nodes) as writers:
            writers.wait_for(200)
            self.assertEqual(cluster.nodes[1].terminate(), 0)
            writers.wait_for(100)
            codes = []
            for node in (cluster.nodes[0], cluster.nodes[2]):
                node.process.terminate()
            for node in (cluster.nodes[0], cluster.nodes[2]):
                codes.append(node.process.wait(20))
            self.assertEqual(codes, [0, 0])
        for node in cluster.nodes:
            node.drop_client()
            node.start()
        cluster.wait_ready()
        wait_until(lambda: whole(cluster))
        self.all_there(writers, cluster)

    def test_request_in_work_is_answered(self):
        """A drained node finishes what it has begun."""
        cluster = self.cluster(settings={"request.timeout_ms": 3000})
        first, second, _ = cluster.nodes
        second.pause()
        answers = []
        client = Http(first.http_port)
        request = threading.Thread(target=lambda: answers.append(
            client.request("PUT", "/kv/a?w=3&timeout_ms=1000", b"x")))
        request.start()
        wait_until(lambda: first.metric("lariat_requests_in_flight") > 0)
        self.assertEqual(first.terminate(), 0)
        request.join()
        client.close()
        self.assertEqual(answers[0].status, 504)
        second.resume()


class Pause(Test):
    # Guards M26.
    def test_paused_node(self):
        """Bounded outcomes while a node neither answers nor is gone; no stale reads after."""
        cluster = self.cluster()
        first, second, third = cluster.nodes
        paths = ["/kv/" + fresh() for _ in range(30)]
        contexts = [self.put(first, path + "?w=3", b"old") for path in paths]
        third.pause()
        try:
            slowest = 0.0
            for number, path in enumerate(paths):
                started = time.monotonic()
                contexts[number] = self.put((first, second)[number % 2], path, b"new",
                                            contexts[number])
                self.assertEqual((second, first)[number % 2].http("GET", path).body, b"new")
                slowest = max(slowest, time.monotonic() - started)
            self.assertLess(slowest, 1.0)
            started = time.monotonic()
            reply = first.http("PUT", paths[0] + "?w=3", b"new", {"X-Context": contexts[0]})
            self.assertIn(reply.status, (503, 504))
            self.assertLess(time.monotonic() - started, 2.0)
            wait_until(lambda: first.http("PUT", "/kv/probe?w=3", b"x").status == 503,
                       what="the paused node counts as dead")
        finally:
            third.resume()
        # Whatever it takes to be back: it never shows an old value at R = 2.
        for path in paths:
            reply = third.http("GET", path)
            self.assertIn(reply.status, (200, 503, 504))
            if reply.status == 200:
                self.assertEqual(reply.body, b"new")
        wait_until(lambda: whole(cluster), what="the paused node is back")
        for path in paths:
            self.assertEqual(third.http("GET", path).body, b"new")

    def test_long_pause_under_load(self):
        cluster = self.cluster()
        paused = cluster.nodes[0]
        with Writers(cluster.nodes[1:]) as writers:
            writers.wait_for(50)
            paused.pause()
            try:
                started = time.monotonic()
                writers.wait_for(300, timeout=20)
                wait_until(lambda: time.monotonic() - started > 1.0)
            finally:
                paused.resume()
            writers.wait_for(100)
        self.assertEqual(set(writers.statuses), {201})
        wait_until(lambda: whole(cluster))
        self.all_there(writers, cluster)


class Disk(Test):
    def single(self, data_dir=None, settings=None):
        cluster = self.cluster(nodes=1, settings=settings, start=False)
        node = cluster.nodes[0]
        node.data_dir = data_dir or node.data_dir
        node.start()
        node.wait_ready()
        self.assertEqual(node.http("PUT", "/v1/buckets/one", {"n": 1}).status, 201)
        return node

    # Guards M38.
    def test_full_disk(self):
        """Refused with a clear code before the log breaks; reads go on; it ends by itself."""
        with small_disk(self, 96 * MIB) as disk:
            node = self.single(os.path.join(disk, "data"),
                               {"storage.disk_reserve_bytes": 16 * MIB,
                                "storage.log_bytes": 16 * MIB,
                                "storage.memtable_bytes": 4 * MIB})
            filler = os.path.join(disk, "filler")
            self.assertEqual(node.http("PUT", "/buckets/one/kv/first", b"kept").status, 201)
            with open(filler, "wb") as file:
                file.write(bytes(disk_free(disk) - 24 * MIB))
            stored = 0
            refused = None
            while refused is None and stored < 100:
                reply = node.http("PUT", f"/buckets/one/kv/big{stored}", os.urandom(MIB))
                if reply.status == 201:
                    stored += 1
                else:
                    refused = reply
            self.assertEqual(refused.status, 503, refused.body)
            self.assertEqual(refused.json()["error"]["code"], "disk_full")
            self.assertTrue(node.running())
            self.assertEqual(node.http("GET", "/healthz").json()["storage"], "disk_full")
            self.assertEqual(node.http("GET", "/buckets/one/kv/first").body, b"kept")
            for number in range(stored):
                self.assertEqual(node.http("GET", f"/buckets/one/kv/big{number}").status, 200)
            os.remove(filler)
            wait_until(lambda: node.http("PUT", "/buckets/one/kv/again", b"x").status == 201,
                       what="writes after space came back")
            self.assertEqual(node.http("GET", "/healthz").json()["storage"], "ok")
            node.kill9()
            node.restart()
            self.assertEqual(node.http("GET", "/buckets/one/kv/again").body, b"x")
            for number in range(stored):
                self.assertEqual(node.http("GET", f"/buckets/one/kv/big{number}").status, 200)

    def test_deletes_on_a_full_disk(self):
        """Deletes have a reserve of their own, and give the disk back by themselves."""
        with small_disk(self, 96 * MIB) as disk:
            node = self.single(os.path.join(disk, "data"),
                               {"storage.disk_reserve_bytes": 12 * MIB,
                                "storage.log_bytes": 16 * MIB,
                                "storage.memtable_bytes": 2 * MIB})
            with open(os.path.join(disk, "filler"), "wb") as file:
                file.write(bytes(disk_free(disk) - 40 * MIB))
            paths = []
            while len(paths) < 100:
                path = f"/buckets/one/kv/big{len(paths)}"
                if node.http("PUT", path, os.urandom(MIB // 2)).status != 201:
                    break
                paths.append(path)
            self.assertGreater(len(paths), 20)
            self.assertLess(len(paths), 100)
            for path in paths:  # compaction, which makes the room, needs some for a moment
                wait_until(lambda p=path: node.http("DELETE", p).status == 204, 30, "a delete")
            self.assertLess(node.metric("lariat_disk_delete_reserve_bytes"),
                            node.metric("lariat_disk_reserve_bytes"))
            wait_until(lambda: node.http("PUT", paths[0], b"x").status == 201, 60,
                       "the room of what was deleted comes back")
            for path in paths[1:]:
                self.assertEqual(node.http("GET", path).status, 404)

    # Guards M38.
    def test_full_disk_of_one_of_three(self):
        with small_disk(self, 64 * MIB) as disk:
            cluster = self.cluster(start=False, settings={
                "storage.disk_reserve_bytes": 16 * MIB, "storage.memtable_bytes": 4 * MIB,
                "storage.log_bytes": 16 * MIB})
            full = cluster.nodes[2]
            full.data_dir = os.path.join(disk, "data")
            for node in cluster.nodes:
                node.start()
            cluster.wait_ready()
            wait_until(lambda: whole(cluster))
            with open(os.path.join(disk, "filler"), "wb") as file:
                file.write(bytes(disk_free(disk) - 4 * MIB))
            wait_until(lambda: full.http("PUT", f"/kv/{fresh()}", b"x") and
                       full.http("GET", "/healthz").json()["storage"] == "disk_full",
                       what="the disk counts as full")
            with Writers(cluster.nodes[:2]) as writers:
                writers.wait_for(300)
            self.assertEqual(set(writers.statuses), {201})
            self.all_there(writers, cluster)
            self.assertNotEqual(cluster.nodes[0].http("PUT", "/kv/a?w=3", b"x").status, 201)
            os.remove(os.path.join(disk, "filler"))
            wait_until(lambda: cluster.nodes[0].http("PUT", "/kv/b?w=3", b"x").status == 201)

    # Guards M37.
    def test_failing_disk(self):
        """An error of the log ends the process at once; what it acknowledged is there."""
        cluster = self.cluster(start=False)
        for node in cluster.nodes:  # the limit below shall be an error, not a signal
            node.command = ignoring_size_signal(node.command())
            node.start()
        cluster.wait_ready()
        wait_until(lambda: whole(cluster))
        failing = cluster.nodes[0]
        with Writers(cluster.nodes) as writers:
            writers.wait_for(200)
            resource.prlimit(failing.pid, resource.RLIMIT_FSIZE, (4096, 4096))
            # Debian's RocksDB has its assertions on. A sync that begins in the microseconds between
            # the failed append and its being known touches the failed file again, and the process
            # ends by that: at once as well, but without our words.
            code = failing.process.wait(20)
            self.assertIn(code, (1, -signal.SIGABRT))
            writers.wait_for(200)
        if code == 1:
            self.assertIn("storage", failing.log_tail())
        failing.drop_client()
        failing.restart()
        wait_until(lambda: whole(cluster))
        self.all_there(writers, cluster)

    # Guards M6.
    def test_corrupted_blocks(self):
        """A read error is never "not found", nor another value."""
        cluster = self.cluster(settings={"storage.memtable_bytes": 65536,
                                         "storage.compression": "none",
                                         "storage.salvage_max_bytes": 0})  # it serves on
        paths = [f"/kv/{number}-{fresh()}" for number in range(300)]
        for path in paths:
            self.put(cluster.nodes[0], path + "?w=3", path.encode() * 20)
        broken = cluster.nodes[1]
        pattern = os.path.join(broken.data_dir, "**", "*.sst")
        wait_until(lambda: glob.glob(pattern, recursive=True), what="a table file")
        self.assertEqual(broken.terminate(), 0)
        # Large tables hold data; what holds the cluster's document is small.
        tables = [path for path in glob.glob(pattern, recursive=True)
                  if os.path.getsize(path) > 32768]
        self.assertNotEqual(tables, [])
        for table in tables:
            corrupt(table)
        broken.start()
        broken.wait_ready()
        wait_until(lambda: whole(cluster))
        for node in cluster.nodes:
            for path in paths:
                reply = node.http("GET", path + "?r=2")
                self.assertEqual((reply.status, reply.body[:60]),
                                 (200, (path.encode() * 20)[:60]), reply.body[:200])
        for path in paths:
            reply = broken.http("GET", path + "?r=1")
            self.assertNotEqual(reply.status, 404)
            if reply.status == 200:  # another replica was asked, or this record is whole
                self.assertEqual(reply.body, path.encode() * 20)
            told = cluster.nodes[0].http("GET", "/v1/debug/explain?key=" + path[4:]).json()
            self.assertNotIn("absent", [replica["state"] for replica in told["replicas"]])
        self.assertGreater(broken.metric("lariat_replica_read_errors_total"), 0)


# Guards M39.
class DamagedFiles(Test):
    """Damage is noticed, kept aside and refilled, and never reaches another node."""

    KEYS = 300

    def damage(self, damage_files, in_tables=False, **settings):
        """Damages files of one node of three. Gives the cluster and the node, which runs again or
        has ended."""
        cluster = self.cluster(settings={
            "storage.compression": "none",
            "repair.scrub_bytes_per_s": 100 * MIB, "repair.scrub_pause_s": 1,
            "repair.interval_s": 600,
            **{name.replace("__", "."): value for name, value in settings.items()}})
        self.paths = {f"/kv/{number}-{fresh()}": (b"%d." % number) * 200
                      for number in range(self.KEYS)}
        for path, value in self.paths.items():
            self.put(cluster.nodes[0], path + "?w=3", value)
        broken = cluster.nodes[1]
        broken.kill9()
        if in_tables:  # recovery or a stop writes one of all that is in the log
            broken.start()
            broken.wait_ready()
            broken.terminate()
        damage_files(broken)
        broken.start()
        return cluster, broken

    # The pass of the scrub that began before the damage goes on behind it.
    SCRUBBED_S = 90

    def heals(self, cluster, broken):
        broken.wait_ready(60)
        broken.drop_client()
        wait_until(lambda: broken.metric("lariat_doubt_ranges") == 0, 120,
                   "the ranges were compared")
        others = [node for node in cluster.nodes if node is not broken]
        for path, value in self.paths.items():
            told = broken.http("GET", "/v1/debug/explain?key=" + path[4:]).json()
            self.assertEqual([replica["state"] for replica in told["replicas"]], ["found"] * 3)
            self.assertTrue(told["agree"], told)
        self.assertEqual(sum(node.metric("lariat_read_repairs_total") for node in cluster.nodes), 0)
        for node in cluster.nodes:
            for path, value in self.paths.items():
                reply = node.http("GET", path + "?r=1")
                self.assertEqual((reply.status, reply.body), (200, value))
        for node in others:
            self.assertEqual(node.metric("lariat_replica_read_errors_total"), 0)
            self.assertEqual(node.metric("lariat_scrub_damaged_total"), 0)

    @staticmethod
    def flip_tables(node):
        tables = [path for path in glob.glob(os.path.join(store(node), "*.sst"))
                  if os.path.getsize(path) > 32768]
        assert tables
        for table in tables:
            corrupt(table)

    @staticmethod
    def log_of(node):
        """The file that the node wrote to last, whichever its engine is."""
        own = glob.glob(os.path.join(store(node), "log", "slot-*"))
        return max(own or glob.glob(os.path.join(store(node), "*.log")), key=os.path.getmtime)

    @staticmethod
    def kept(node):
        return [name for name in os.listdir(store(node)) if name.startswith("quarantine-")]

    def test_tables(self):
        cluster, broken = self.damage(self.flip_tables, in_tables=True)
        wait_until(lambda: len(self.kept(broken)) == 1, self.SCRUBBED_S,
                   "the scrub meets the damage, and the node opens its store again")
        self.heals(cluster, broken)
        self.assertGreater(broken.metric("lariat_quarantine_bytes"), 0)
        self.assertEqual(broken.metric("lariat_store_damaged"), 0)

    def test_tables_of_a_large_store(self):
        cluster, broken = self.damage(self.flip_tables, in_tables=True,
                                      storage__salvage_max_bytes=1000)
        broken.wait_ready(60)
        wait_until(lambda: broken.metric("lariat_store_damaged") == 1, self.SCRUBBED_S,
                   "the scrub meets the damage")
        wait_until(lambda: "Restart this node" in broken.log_tail(), what="it says what to do")
        for path, value in self.paths.items():
            self.assertEqual(broken.http("GET", path).body, value)  # others are asked
        self.assertEqual(self.kept(broken), [])
        broken.restart()
        self.heals(cluster, broken)
        self.assertEqual(len(self.kept(broken)), 1)

    def test_log(self):
        def flip(node):
            log = self.log_of(node)
            with open(log, "rb") as file:
                written = len(file.read().rstrip(b"\0"))
            flip_bytes(log, written // 3, 8)
        self.heals(*self.damage(flip))

    # Guards M32.
    def test_log_of_a_voter_while_another_is_dead(self):
        """Votes on the topology do not lie in the log alone, so two of three go on deciding. Only
        with their file damaged too there is nobody left to agree."""
        cluster = self.cluster()
        first, cut, dead = cluster.nodes

        def make_bucket(node, name):
            return node.http("PUT", "/v1/buckets/" + name, {"n": 3})

        def damage():
            cut.kill9()
            flip_bytes(self.log_of(cut), 0, 8)
        self.assertIn(make_bucket(first, "before").status, (200, 201))
        damage()
        dead.kill9()
        cut.start()
        cut.wait_ready(60)
        cut.drop_client()
        self.assertEqual(cut.metric("lariat_log_truncated"), 1)
        wait_until(lambda: make_bucket(first, "during").status in (200, 201), 30, "two agree")
        self.assertIn(make_bucket(cut, "here").status, (200, 201))
        damage()
        flip_bytes(os.path.join(store(cut), "APART"), 20, 8)
        cut.start()
        cut.wait_ready(60)
        cut.drop_client()
        wait_until(lambda: "the copy of its votes cannot be read"
                   in make_bucket(first, "never").body.decode(), 30, "it says what is missing")
        dead.start()
        wait_until(lambda: make_bucket(first, "after").status in (200, 201), 60, "two agree again")
        wait_until(lambda: make_bucket(cut, "last").status in (200, 201), 30, "all three vote")

    # Guards M12.
    def test_log_after_deletes_were_purged(self):
        """Values in a table, their tombstones and the purge in the log, which is damaged
        before both: what comes back on this node must not come back anywhere."""
        cluster = self.cluster(settings={
            "repair.interval_s": 2, "repair.purge_interval_s": 1, "repair.settle_ms": 300})
        first, broken, third = cluster.nodes
        reply = first.http("PUT", "/v1/buckets/default", {"gc_grace": 1})
        self.assertIn(reply.status, (200, 201))
        paths = ["/kv/" + fresh() for _ in range(100)]
        for path in paths:
            self.put(first, path + "?w=3", b"deleted")
        broken.kill9()
        broken.start()
        broken.wait_ready()
        wait_until(lambda: whole(cluster))
        for path in paths:
            self.assertEqual(third.http("DELETE", path + "?w=3").status, 204)
        wait_until(lambda: sum(node.metric("lariat_tombstones_purged_total")
                               for node in (first, third)) > 0
                   and sum(node.metric("lariat_tombstones") for node in cluster.nodes) == 0,
                   60, "the sweep has purged all of them")
        broken.kill9()
        log = self.log_of(broken)
        flip_bytes(log, 200 if log.endswith(".log") else 4096 + 200, 8)
        broken.start()
        broken.wait_ready(60)
        broken.drop_client()
        wait_until(lambda: broken.metric("lariat_doubt_ranges") == 0, 60, "it was compared")
        for node in cluster.nodes:
            for path in paths:
                self.assertEqual(node.http("GET", path + "?r=1").status, 404)

    def test_own_records(self):
        """Identity, topology and all else that the node knows about itself are kept twice."""
        def flip(node):
            tables = [path for path in sorted(glob.glob(os.path.join(store(node), "*.sst")))
                      if b"generation" in pathlib.Path(path).read_bytes()]
            self.assertGreaterEqual(len(tables), 2)
            flip_bytes(tables[0], 20, 100)
        cluster, broken = self.damage(flip, in_tables=True)
        broken.wait_ready(60)
        self.assertIn("what could be read of it was copied", broken.log_tail())
        self.heals(cluster, broken)

    def test_manifest(self):
        def flip(node):
            for path in glob.glob(os.path.join(store(node), "MANIFEST-*")):
                flip_bytes(path, 100, os.path.getsize(path) - 100)
        cluster, broken = self.damage(flip)
        self.assertNotEqual(broken.process.wait(60), 0)
        self.assertIn("--replace", broken.log_tail())
        for node in (cluster.nodes[0], cluster.nodes[2]):
            for path, value in self.paths.items():
                self.assertEqual(node.http("GET", path).body, value)


def store(node):
    return os.path.join(node.data_dir, "db")


def flip_bytes(path, start, count):
    with open(path, "r+b") as file:
        file.seek(start)
        old = file.read(count)
        file.seek(start)
        file.write(bytes(byte ^ 0x55 for byte in old))


class OldDirectory(Test):
    # Guards M4.
    def test_old_copy_put_back(self):
        """Nothing the copy does not know is lost, and no event is made twice."""
        cluster = self.cluster()
        node = cluster.nodes[0]
        paths = ["/kv/" + fresh() for _ in range(20)]
        count = dict.fromkeys(paths, 0)
        expected = {path: set() for path in paths}

        def blind(writer, path, value):
            self.put(writer, path + "?w=3", value)
            expected[path].add(value)
            count[path] += 1

        for path in paths:
            blind(node, path, b"one")
            blind(cluster.nodes[1], path, b"two")
        node.terminate()
        saved = node.data_dir + ".saved"
        shutil.copytree(node.data_dir, saved)
        node.restart()
        wait_until(lambda: whole(cluster))
        for number, path in enumerate(paths):
            blind(node, path, b"three")
            if number % 2:  # some of what the copy holds is replaced
                context = node.http("GET", path).header("X-Context")
                self.put(node, path + "?w=3", b"merged", context)
                expected[path] = {b"merged"}
                count[path] += 1
        node.terminate()
        node.wipe()
        os.rename(saved, node.data_dir)
        node.start()
        node.wait_ready()
        wait_until(lambda: whole(cluster))
        for path in paths:
            blind(node, path, b"four")
        for reader in cluster.nodes:
            for path in paths:
                reply = reader.http("GET", path + "?r=2", headers=JSON)
                self.assertEqual(values(reply), sorted(expected[path]))
                self.assertEqual(sum(reply.json()["version"].values()), count[path])
        for path in paths:
            node.http("GET", path + "?r=3")
            told = node.http("GET", "/v1/debug/explain?key=" + path[4:]).json()
            self.assertTrue(told["agree"], told)
            self.assertEqual(values(node.http("GET", path + "?r=1", headers=JSON)),
                             sorted(expected[path]))


def disk_free(path):
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def ignoring_size_signal(command):
    return lambda: ["sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", *command]


def corrupt(path):
    """One wrong byte in each kilobyte of the data, which comes before the index and the footer."""
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        for offset in range(100, size // 2, 1024):
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x55]))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
