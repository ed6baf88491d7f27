# SPDX-License-Identifier: Apache-2.0
"""Replicas that were away, and deletes that stay deleted: M12 to M14, M16, M18, M28 to M30.

What a node itself holds is read at r=1 through it: a replica asks itself first.
"""

import concurrent.futures
import json
import time
import unittest

from lariat_e2e import Cluster, fresh_get, wait_settled, wait_until
from lariat_load import values

FAST = {"membership.gossip_period_ms": 100, "peer.backoff_max_ms": 200,
        "membership.confirm_ms": 1000, "request.timeout_ms": 1000, "repair.interval_s": 3600,
        "repair.purge_interval_s": 3600, "repair.settle_ms": 300}
JSON = {"Accept": "application/json"}


class Test(unittest.TestCase):
    maxDiff = None

    def cluster(self, nodes=3, **settings):
        named = {name.replace("__", "."): value for name, value in settings.items()}
        made = Cluster(nodes=nodes, settings={**FAST, **named})
        self.addCleanup(made.close)
        made.wait_ready()
        wait_settled(made)
        return made

    def put(self, node, key, value, query="", context=""):
        reply = node.http("PUT", f"/kv/{key}{query}", value, {"X-Context": context})
        self.assertEqual(reply.status, 201, (key, reply.body))
        return reply

    def delete(self, node, key, query=""):
        reply = node.http("DELETE", f"/kv/{key}{query}")
        self.assertEqual(reply.status, 204, (key, reply.body))

    def bucket(self, node, **properties):
        reply = node.http("PUT", "/v1/buckets/default", properties)
        self.assertIn(reply.status, (200, 201), reply.body)

    def fill(self, cluster, count, prefix="key", size=100):
        lines = "".join(json.dumps({"key": f"{prefix}-{i}",
                                    "value": f"{prefix}-{i} ".ljust(size, "v")}) + "\n"
                        for i in range(count))
        done = cluster.cli("import", "--format", "ndjson", "-", stdin=lines, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [f"{prefix}-{i}" for i in range(count)]

    def cli(self, cluster, *args, code=0):
        done = cluster.cli(*args, timeout=90)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done.stdout


def held(node, key):
    """What this node's own replica shows of a key it holds."""
    return values(node.http("GET", f"/kv/{key}?r=1", headers=JSON))


def states(node, key):
    """{node: found | absent | ...} by explain."""
    told = fresh_get(node, f"/v1/debug/explain?key={key}").json()
    return {replica["node"]: replica["state"] for replica in told["replicas"]}


def placed(cluster, key):
    """The nodes that are replicas of the key, in order, and the others."""
    told = fresh_get(cluster.nodes[0], f"/v1/debug/explain?key={key}").json()
    by_name = {node.name: node for node in cluster.nodes}
    owners = [by_name[replica["node"]] for replica in told["replicas"]]
    return owners, [node for node in cluster.nodes if node not in owners]


def total(cluster, metric):
    return sum(node.metric(metric) for node in cluster.nodes if node.running())


def stop(node, others):
    """The node is gone, and the others know."""
    node.kill9()
    wait_until(lambda: all(not member["alive"] for other in others
                           for member in fresh_get(other, "/v1/cluster/status").json()["nodes"]
                           if member["name"] == node.name),
               20, f"{node.name} is seen dead")


class Hints(Test):
    def test_a_node_that_was_away_gets_what_it_missed(self):
        cluster = self.cluster(repair__enabled="false")
        first, second, third = cluster.nodes
        self.put(first, "before", b"old")
        stop(third, (first, second))
        context = self.put(first, "before", b"new").header("X-Context")
        self.assertTrue(context)
        keys = self.fill(cluster, 200)
        self.delete(first, keys[0])
        wait_until(lambda: total(cluster, "lariat_hints_pending") >= 200, 20, "hints")
        self.assertGreater(total(cluster, "lariat_hints_pending_bytes"), 0)
        self.assertIn("hints", self.cli(cluster, "status", code=6))
        self.assertIn("hints", self.cli(cluster, "repair", "status", code=6))
        third.restart()
        wait_until(lambda: total(cluster, "lariat_hints_pending") == 0, 30, "hints are delivered")
        self.assertEqual(held(third, keys[0]), [])
        for key in keys[1:]:
            self.assertEqual(len(held(third, key)), 1, key)
        self.assertEqual(total(cluster, "lariat_repair_keys_received_total"), 0)

    def test_hints_survive_a_kill_of_their_holder(self):
        cluster = self.cluster(repair__enabled="false")
        first, second, third = cluster.nodes
        stop(third, (first, second))
        keys = self.fill(cluster, 100)
        wait_until(lambda: total(cluster, "lariat_hints_pending") >= 100, 20, "hints")
        for node in (first, second):
            node.restart()
        third.restart()
        wait_until(lambda: all(held(third, key) for key in keys), 30, "all is delivered")
        wait_until(lambda: total(cluster, "lariat_hints_pending") == 0, 30, "no hint is left")

    # Guards M18.
    def test_past_the_limit_healthy_writes_go_on_and_repair_does_the_rest(self):
        cluster = self.cluster(hints__max_bytes_per_target=4096)
        first, second, third = cluster.nodes
        stop(third, (first, second))
        keys = self.fill(cluster, 500)
        wait_until(lambda: total(cluster, "lariat_hints_overflowed_total") > 0, 20, "overflow")
        self.assertLessEqual(max(n.metric("lariat_hints_pending_bytes") for n in (first, second)),
                             2 * 4096)
        third.restart()
        wait_until(lambda: all(held(third, key) for key in keys), 60, "dirty ranges are repaired")

    # Guards M18, M19.
    def test_past_the_window_a_hint_is_dropped_and_its_range_compared(self):
        cluster = self.cluster(hints__window_s=2)
        first, second, third = cluster.nodes
        keys = self.fill(cluster, 50)
        self.cli(cluster, "repair", "--wait")
        stop(third, (first, second))
        for key in keys[:-1]:
            seen = first.http("GET", f"/kv/{key}").header("X-Context")
            self.put(first, key, b"new", context=seen)
        self.delete(first, keys[-1])
        stored = sum(n.metric("lariat_hints_stored_total") for n in (first, second))
        self.assertGreaterEqual(stored, len(keys))
        wait_until(lambda: sum(n.metric("lariat_hints_expired_total")
                               for n in (first, second)) == stored, 30, "all are too old")
        wait_until(lambda: sum(n.metric("lariat_hints_pending") for n in (first, second)) == 0, 10,
                   "none is kept")
        self.assertGreater(sum(n.metric("lariat_repair_ranges_dirty") for n in (first, second)), 0)
        self.assertIn("dirty", self.cli(cluster, "repair", "status", code=6))
        third.restart()
        wait_until(lambda: all(n.metric("lariat_repair_ranges_dirty") == 0 for n in cluster.nodes),
                   60, "what was dropped is compared")
        self.assertEqual(total(cluster, "lariat_hints_delivered_total"), 0)
        for key in keys[:-1]:
            self.assertEqual(held(third, key), [b"new"])
        self.assertEqual(held(third, keys[-1]), [])
        self.assertEqual(first.http("GET", f"/kv/{keys[-1]}?r=3").status, 404)


class Sloppy(Test):
    # Guards M16, M18.
    def test_stand_ins_take_writes_and_hand_them_over(self):
        cluster = self.cluster(nodes=4, repair__enabled="false")
        owners, (other,) = placed(cluster, "s")
        dead = owners[:2]
        alive = [node for node in cluster.nodes if node not in dead]
        for node in dead:
            stop(node, alive)
        refused = other.http("PUT", "/kv/s?w=2", b"v")
        self.assertEqual((refused.status, refused.json()["error"]["alive"]), (503, 1))
        self.put(other, "s", b"v", "?w=2&sloppy=true")
        strict = other.http("PUT", "/kv/s?w=2&pw=2&sloppy=true", b"v")
        self.assertEqual(strict.status, 503)
        self.assertEqual(values(other.http("GET", "/kv/s?r=2&sloppy=true", headers=JSON)), [b"v"])
        wait_until(lambda: other.metric("lariat_hints_pending") > 0, 10, "a hint is kept")
        for node in dead:
            node.restart()
        wait_until(lambda: total(cluster, "lariat_hints_pending") == 0, 30, "hints are delivered")
        for owner in owners:
            self.assertEqual(held(owner, "s"), [b"v"])

    def test_any_is_content_with_a_hint(self):
        cluster = self.cluster(nodes=4)
        owners, (other,) = placed(cluster, "a")
        for owner in owners:
            stop(owner, [other])
        reply = other.http("PUT", "/kv/a", b"v", {"Consistency": "ANY"})
        self.assertEqual(reply.status, 201, reply.body)
        for owner in owners:
            owner.restart()
        wait_until(lambda: all(held(owner, "a") == [b"v"] for owner in owners), 30,
                   "every replica has it")


class AntiEntropy(Test):
    # Guards M28, M29: 10 of 2,000 keys.
    def test_what_differs_is_exchanged_and_then_nothing_more(self):
        cluster = self.cluster(hints__enabled="false")
        first, second, third = cluster.nodes
        keys = self.fill(cluster, 2000)
        self.cli(cluster, "repair", "--wait")
        stop(third, (first, second))
        before = total(cluster, "lariat_repair_keys_received_total")
        changed = keys[::200]
        for key in changed:
            self.delete(first, key)
            self.put(first, key, b"changed")
        third.restart()
        # Reads would repair some of it, so nothing is read before.
        wait_until(lambda: third.metric("lariat_repair_keys_received_total") >= len(changed), 30,
                   "it heals by itself when it is back")
        self.cli(cluster, "repair", "--wait")
        received = total(cluster, "lariat_repair_keys_received_total") - before
        self.assertEqual(received, len(changed))
        for key in changed:
            self.assertEqual(held(third, key), [b"changed"])
        self.cli(cluster, "repair", "--wait")
        self.assertEqual(total(cluster, "lariat_repair_keys_received_total") - before, received)
        shown = json.loads(self.cli(cluster, "repair", "status", "--json"))
        self.assertTrue(shown)

    # Guards M29: 12 comparisons.
    def test_a_quiet_cluster_repairs_nothing(self):
        cluster = self.cluster(repair__interval_s=1)
        self.fill(cluster, 500)
        self.cli(cluster, "repair", "--wait")
        names = ("lariat_repair_keys_received_total", "lariat_repair_keys_sent_total",
                 "lariat_hints_stored_total", "lariat_read_repairs_total")
        before = {name: total(cluster, name) for name in names}
        sessions = total(cluster, "lariat_repair_sessions_total")
        wait_until(lambda: total(cluster, "lariat_repair_sessions_total") >= sessions + 12, 60,
                   "several rounds")
        self.assertEqual({name: total(cluster, name) for name in names}, before)

    def test_the_hash_tree_is_right_after_a_kill(self):
        cluster = self.cluster(hints__enabled="false", repair__enabled="false",
                               repair__scrub_bytes_per_s=0, storage__memtable_bytes=65536)
        first, _, third = cluster.nodes
        third.args = ["--set", f"repair.scrub_bytes_per_s={1 << 30}"]

        def trees_are_known():
            return third.metric("lariat_tree_leaves_unknown") == 0
        wait_until(trees_are_known, 30, "the first trees")
        pool = concurrent.futures.ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        for round_number in range(3):
            load = pool.submit(self.fill, cluster, 3000, f"r{round_number}")
            stored = third.metric("lariat_syncs_total")
            wait_until(lambda: third.metric("lariat_syncs_total") > stored + 20, 20, "writes",
                       every=0.005)
            third.kill9()
            third.start()
            third.wait_ready()
            third.drop_client()
            load.result()
            wait_until(trees_are_known, 30, "the trees are loaded")
            self.assertEqual(third.metric("lariat_tree_read_bytes_total"), 0)
        wait_until(lambda: third.metric("lariat_scrub_passes_total") > 0, 60, "all is counted")
        self.assertGreater(third.metric("lariat_scrub_bytes_total"), 20000)
        self.assertEqual(third.metric("lariat_tree_corrections_total"), 0)

    def test_a_lost_disk_is_refilled(self):
        cluster = self.cluster()
        first, second, third = cluster.nodes
        keys = self.fill(cluster, 500)
        stop(third, (first, second))
        third.wipe()
        third.args = ["--replace", "node3"]
        third.name = "node3b"
        third.start()
        wait_until(lambda: third.ready(), 60, "the new one serves")
        wait_until(lambda: all(held(third, key) for key in keys), 60, "all is there again")


class Deletes(Test):
    SOON = {"repair__purge_interval_s": 1}

    def wait_purged(self, cluster, read):
        """Until no tombstone is left; what is read meanwhile is gone. With pauses, because a read
        between the removals on two replicas copies a tombstone back."""
        def purged():
            self.assertEqual(set(read()), {404})
            return total(cluster, "lariat_tombstones") == 0
        wait_until(purged, 40, "all tombstones are purged", every=0.3)

    # Guards M12, M13.
    def test_a_replica_that_was_away_brings_nothing_back(self):
        cluster = self.cluster(hints__enabled="false", **self.SOON)
        first, second, third = cluster.nodes
        self.bucket(first, gc_grace=1)
        keys = self.fill(cluster, 50)
        stop(third, (first, second))
        for key in keys:
            self.delete(first, key)
        # Several graces pass, and sweeps with them: time alone purges nothing.
        sweeps = first.metric("lariat_sweeps_total")
        wait_until(lambda: first.metric("lariat_sweeps_total") > sweeps + 3, 30, "sweeps")
        self.assertEqual(first.metric("lariat_tombstones"), len(keys))
        wait_until(lambda: sum(node.metric("lariat_tombstones_blocked")
                               for node in (first, second)) == len(keys), 30,
                   "those are counted too that node3 would sweep")
        told = fresh_get(first, f"/v1/debug/explain?key={keys[0]}").json()
        self.assertIn("node3", told["kept_because"])
        third.restart()
        self.wait_purged(cluster, lambda: [first.http("GET", f"/kv/{key}").status
                                           for key in keys[::10]])
        for key in keys:
            self.assertEqual(set(states(first, key).values()), {"absent"}, key)
            self.assertEqual(first.http("GET", f"/kv/{key}?r=3").status, 404)

    # Guards M12, M13.
    def test_nor_does_an_old_hint(self):
        cluster = self.cluster(nodes=4, repair__enabled="false", **self.SOON)
        self.bucket(cluster.nodes[0], gc_grace=1)
        (a, b, c), (other,) = placed(cluster, "k")
        stop(c, (a, b, other))
        self.put(a, "k", b"old", "?w=3&sloppy=true")
        wait_until(lambda: other.metric("lariat_hints_pending") > 0, 10, "a hint is kept")
        stop(other, (a, b))
        c.restart()
        wait_until(lambda: held(c, "k") == [b"old"] or c.metric("lariat_hints_pending") == 0, 10)
        self.delete(a, "k")
        sweeps = a.metric("lariat_sweeps_total")
        wait_until(lambda: a.metric("lariat_sweeps_total") > sweeps + 3, 30, "sweeps")
        self.assertGreater(a.metric("lariat_tombstones"), 0)
        other.restart()
        self.wait_purged(cluster, lambda: [node.http("GET", "/kv/k?r=1").status
                                           for node in cluster.nodes])
        self.assertEqual(total(cluster, "lariat_hints_pending"), 0)
        self.assertEqual(set(states(a, "k").values()), {"absent"})

    # Guards M13, M19.
    def test_nor_does_a_hint_past_its_window(self):
        window = 3
        cluster = self.cluster(nodes=4, hints__window_s=window, **self.SOON)
        self.bucket(cluster.nodes[0], gc_grace=1)
        (a, b, c), (other,) = placed(cluster, "k")
        stop(c, (a, b, other))
        self.put(a, "k", b"old", "?w=3&sloppy=true")
        put = time.monotonic()
        wait_until(lambda: other.metric("lariat_hints_pending") == 1, 2, "a hint is kept",
                   every=0.02)
        other.kill9()
        c.restart()
        self.delete(a, "k")
        wait_until(lambda: time.monotonic() > put + window, 10, "it is too old")
        wait_until(lambda: a.metric("lariat_tombstones") > 0, 10, "the tombstone is counted")
        other.restart()
        self.wait_purged(cluster, lambda: [node.http("GET", "/kv/k").status
                                           for node in cluster.nodes])
        self.assertEqual(other.metric("lariat_hints_expired_total"), 1)
        self.assertEqual(other.metric("lariat_hints_delivered_total"), 0)
        self.assertEqual(set(states(a, "k").values()), {"absent"})

    # Guards M14: 2,000 keys.
    def test_keys_that_expire_together_cause_no_repair(self):
        cluster = self.cluster(repair__interval_s=1)
        first = cluster.nodes[0]
        self.bucket(first, ttl=5)
        keys = self.fill(cluster, 2000)
        self.cli(cluster, "repair", "--wait")
        names = ("lariat_repair_keys_received_total", "lariat_hints_stored_total",
                 "lariat_read_repairs_total")
        before = {name: total(cluster, name) for name in names}
        wait_until(lambda: all(node.http("GET", f"/kv/{keys[-1]}?r=1").status == 404
                               for node in cluster.nodes), 20, "expiry")
        sessions = total(cluster, "lariat_repair_sessions_total")
        wait_until(lambda: total(cluster, "lariat_repair_sessions_total") >= sessions + 12, 60,
                   "several rounds")
        self.assertEqual({name: total(cluster, name) for name in names}, before)
        self.assertEqual(first.http("GET", f"/kv/{keys[0]}?r=3").status, 404)

    # Guards M14.
    def test_expired_values_are_never_seen_again_and_go(self):
        cluster = self.cluster(repair__interval_s=1, **self.SOON)
        first, second, third = cluster.nodes
        self.bucket(first, gc_grace=1)
        for number in range(50):
            first.http("PUT", f"/kv/t{number}", b"v", {"X-TTL": "2"})
        stop(third, (first, second))
        for number in (2**31, 2**63 - 1):
            reply = first.http("PUT", f"/kv/far{number}", b"v", {"X-TTL": str(number)})
            self.assertEqual(reply.status, 201, reply.body)
        wait_until(lambda: first.http("GET", "/kv/t0").status == 404, 10, "expiry")
        third.restart()
        for number in range(50):
            for node in cluster.nodes:
                self.assertEqual(node.http("GET", f"/kv/t{number}?r=1").status, 404)
        wait_until(lambda: set(states(first, "t0").values()) == {"absent"}, 40, "it is purged")
        for number in (2**31, 2**63 - 1):
            self.assertEqual(first.http("GET", f"/kv/far{number}").status, 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
