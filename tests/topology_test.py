# SPDX-License-Identifier: Apache-2.0
"""Clusters that grow, shrink and lose nodes while they are used: M20 to M23.

All the time every acknowledged key is read at R=2, by which a lost or misplaced write shows.
"""

import sys
import time
import unittest

from lariat_e2e import (ClusterTest, cluster_status, fresh_get, members, wait_not_ready,
                        wait_settled, wait_until)
from lariat_load import Traffic

TOKENS = 1 << 64


class Test(ClusterTest):
    def traffic(self, nodes):
        load = Traffic(nodes)
        self.addCleanup(load.stop)
        return load

    def cli(self, cluster, *args, code=0):
        done = cluster.cli(*args, timeout=90)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def check(self, load, nodes, but=(), killed_at=None):
        """Nothing was lost, and nobody but those that were killed answered with an error.

        Writes that others had just handed to a node that was killed may have happened or not: a
        second try elsewhere could make two events of one write (M7), so that is what clients hear.
        """
        load.stop()
        load.read_all(nodes)
        self.assertEqual(load.lost[:5], [])
        if killed_at is None:
            self.assertEqual(load.errors_but_of(*but), {})
        for name, errors in load.errors.items():
            for when, what, status, body in errors if name not in but else []:
                self.assertEqual((what, status), ("_write", 504), (name, body))
                self.assertIn(b"the coordinating replica did not answer", body)
                self.assertTrue(killed_at - 0.1 < when < killed_at + 3, (name, when - killed_at))
        for name in but:
            for _, what, status, body in load.errors.get(name, []):
                self.assertIn(status, (0, 503, 504), (name, what, body))


def wait_phase(cluster, *phases, timeout=30):
    """Until the change under way is in one of these phases; gives what is told of it."""
    def now():
        operation = cluster_status(cluster.nodes[0])["operation"]
        return operation if operation and operation["phase"] in phases else None
    return wait_until(now, timeout, f"a change in {phases}", every=0.01)


def wait_streaming(cluster, node, ranges=1, bytes_done=0):
    """Until some of the data of this change has arrived and some has not."""
    def now():
        operation = cluster_status(cluster.nodes[0])["operation"]
        if not operation or operation["phase"] != "stream" or operation["node"] != node.name:
            return None
        some = ranges <= operation["ranges_done"] < operation["ranges_total"]
        return operation if some and operation["bytes_done"] >= bytes_done else None
    return wait_until(now, 60, f"{node.name} is amid its streams", every=0.01)


def ring(node, n=3):
    """[(from, to, names of owners)] in order of tokens."""
    ranges = fresh_get(node, f"/v1/cluster/ring?n={n}").json()["ranges"]
    return sorted((int(r["from"]), int(r["to"]), frozenset(r["owners"])) for r in ranges)


def gains(before, after):
    """Who owns what it did not own before: {name: share of the token space}."""
    def owner_at(ranges, token):
        for first, last, owners in ranges:
            if first < token <= last or (first >= last and (token > first or token <= last)):
                return owners
        raise AssertionError(f"token {token} has no owners")
    ends = sorted({last for _, last, _ in before} | {last for _, last, _ in after})
    gained = {}
    for first, last in zip([ends[-1] - TOKENS, *ends], ends):
        for name in owner_at(after, last) - owner_at(before, last):
            gained[name] = gained.get(name, 0) + (last - first) / TOKENS
    return gained


class GrowAndShrink(Test):
    # Guards M20.
    def test_one_node_to_three_replicas(self):
        cluster = self.cluster(nodes=1)
        first = cluster.nodes[0]
        for i in range(200):
            self.assertEqual(first.http("PUT", f"/kv/old{i}", b"v").status, 201)
        self.assertEqual(self.properties(first), (1, 1, 1))
        said = self.cli(cluster, "bucket", "set", "default", "n=3", code=1)
        self.assertIn("n=3 needs as many nodes; there are 1", said)
        for _ in range(2):
            cluster.add_node()
            wait_settled(cluster, timeout=60)
        self.assertIn("lariat bucket set default n=3", self.cli(cluster, "status"))
        self.cli(cluster, "bucket", "set", "default", "n=3")
        written = 0  # and read by the default levels, through other nodes, while the data moves
        while self.properties(first) == (1, 1, 1):
            node, other = cluster.nodes[written % 3], cluster.nodes[(written + 1) % 3]
            self.assertEqual(node.http("PUT", f"/kv/new{written}", b"v").status, 201)
            self.assertEqual(other.http("GET", f"/kv/new{written}").status, 200)
            written += 1
        self.assertEqual(self.properties(first), (3, 2, 2))
        self.assertGreater(written, 0)
        wait_settled(cluster, timeout=60)
        self.assertNotIn("bucket set", self.cli(cluster, "status"))
        cluster.nodes[2].kill9()  # any node may go now
        for key in [f"old{i}" for i in range(200)] + [f"new{i}" for i in range(written)]:
            self.assertEqual(first.http("GET", f"/kv/{key}").status, 200, key)

    def properties(self, node):
        bucket = node.http("GET", "/v1/buckets/default").json()
        return bucket["n"], bucket["r"], bucket["w"]

    # Guards M20, M22.
    def test_three_to_five_and_back(self):
        cluster = self.cluster(settings={"stream.max_bytes_per_s": 1000000})
        old = list(cluster.nodes)
        load = self.traffic(old)
        load.import_keys(cluster, 3000, 2000)
        before = ring(old[0])

        fourth = cluster.add_node()
        whole = 3000 * 2000 * 3 / 4
        fetched = wait_streaming(cluster, fourth, bytes_done=whole / 2)["bytes_done"]
        fourth.kill9()
        load.wait_for(100)
        fourth.start()
        wait_settled(cluster, timeout=60)
        self.assertEqual(self.only_to(fourth, before, old[0]), 4)
        # It went on where it was, or a second of work before that.
        again = fourth.metric("lariat_stream_bytes_total")
        print(f"{fetched} bytes before the kill, {again:.0f} after it, of {whole:.0f} and more",
              end=" ", flush=True)
        self.assertLess(again, whole - fetched / 4)
        load.add(fourth)
        load.wait_for(100)

        between = ring(old[0])
        fifth = cluster.add_node()
        wait_settled(cluster, timeout=60)
        self.assertEqual(self.only_to(fifth, between, old[0]), 5)
        load.add(fifth)
        load.wait_for(100)
        self.assertEqual(load.lost, [])

        for node in (fourth, fifth):
            self.leave(cluster, load, node, old)
        self.assertEqual(set(members(old[0])), {node.name for node in old})
        said = self.cli(cluster, "decommission", old[2].name, code=1)
        self.assertRegex(said, "bucket 'default' keeps 3 replicas and only 2 node")
        refused = old[0].http("POST", "/v1/admin/decommission", {"node": old[2].name})
        self.assertEqual((refused.status, refused.json()["error"]["code"]), (409, "conflict"))
        self.check(load, old, but=(fourth.name, fifth.name))

    def only_to(self, newcomer, before, asked):
        """The newcomer took 1/k of all replicas and nobody else took anything; gives k."""
        gained = gains(before, ring(asked))
        self.assertEqual(set(gained), {newcomer.name})
        owned = {n["name"]: n["owns"] for n in cluster_status(asked)["nodes"]}
        share = gained[newcomer.name] / 3
        self.assertAlmostEqual(share, owned[newcomer.name], delta=0.001)
        self.assertAlmostEqual(share, 1 / len(owned), delta=0.05 / len(owned))
        return len(owned)

    def leave(self, cluster, load, node, old):
        before = ring(old[0])
        self.cli(cluster, "decommission", node.name, "--wait")
        self.assertNotIn(node.name, gains(before, ring(old[0])))
        wait_not_ready(node, "left the cluster or was removed")
        load.wait_for(100)
        node.terminate()


class Replace(Test):
    # Guards M20, M23.
    def test_killed_node_is_replaced_under_load(self):
        cluster = self.cluster(nodes=4)
        dead = cluster.nodes[3]
        stay = cluster.nodes[:3]
        load = self.traffic(cluster.nodes)
        load.import_keys(cluster, 1000, 1000)
        before = ring(stay[0])
        killed_at = time.monotonic()
        dead.kill9()
        wait_until(lambda: not alive(stay[0], dead.name), what="the death is noticed")
        new = cluster.add_node(args=["--replace", dead.name])
        wait_until(lambda: dead.name not in members(stay[0]), 60, "the dead node is replaced")
        wait_settled(cluster)
        after = ring(stay[0])
        self.assertEqual(set(gains(before, after)), {new.name})
        renamed = [(first, last, frozenset(new.name if name == dead.name else name
                                           for name in owners)) for first, last, owners in before]
        self.assertEqual(after, renamed, "the same tokens in other hands")
        load.add(new)

        dead.start()
        wait_not_ready(dead, "cannot return")
        self.assertEqual(dead.http("PUT", "/kv/a", b"x").status, 503)
        load.wait_for(100)
        self.assertNotIn(dead.name, members(stay[0]))
        self.assertFalse(any(dead.name in owners for _, _, owners in ring(stay[0])))
        wait_not_ready(dead, "cannot return")
        dead.restart(wait=False)
        wait_not_ready(dead, "cannot return")
        self.check(load, [*stay, new], (dead.name,), killed_at)

    # Guards M23.
    def test_two_replacements_in_a_row(self):
        """The first newcomer dies too: before its own replacement is done, or after."""
        for wait_until_done in (False, True):
            cluster = self.cluster()
            first, stay, _ = cluster.nodes
            values = {f"/kv/{number}": b"%d." % number * 100 for number in range(100)}
            for path, value in values.items():
                self.assertEqual(stay.http("PUT", path + "?w=3", value).status, 201)
            first.kill9()
            fourth = cluster.add_node(args=["--replace", first.name])
            fourth.wait_ready()
            if wait_until_done:
                wait_settled(cluster)
            fourth.kill9()
            fifth = cluster.add_node(args=["--replace", fourth.name])
            fifth.wait_ready(40)
            self.assertIn("asking the cluster for the place of 'node4'", fifth.log_tail())
            wait_settled(cluster)
            self.assertEqual(set(members(stay)), {"node2", "node3", "node5"})
            for path, value in values.items():
                self.assertEqual(fifth.http("GET", path + "?r=1").body, value)
            cluster.close()

    def test_live_node_is_not_replaced(self):
        cluster = self.cluster()
        new = cluster.add_node(args=["--replace", "node2"])
        wait_not_ready(new, "node 'node2' is alive and cannot be replaced")
        self.assertEqual(set(members(cluster.nodes[0])), {"node1", "node2", "node3"})

    # Guards M23.
    def test_dead_node_is_removed_under_load(self):
        cluster = self.cluster(nodes=4)
        dead, stay = cluster.nodes[3], cluster.nodes[:3]
        load = self.traffic(cluster.nodes)
        self.assertIn("is alive", self.cli(cluster, "remove", dead.name, code=1))
        load.wait_for(300)
        killed_at = time.monotonic()
        dead.kill9()
        wait_until(lambda: not alive(stay[0], dead.name), what="the death is noticed")
        self.cli(cluster, "remove", dead.name, "--wait")
        wait_settled(cluster)
        self.assertEqual(set(members(stay[0])), {node.name for node in stay})
        dead.start()
        wait_not_ready(dead, "cannot return")
        self.check(load, stay, (dead.name,), killed_at)


class Queue(Test):
    # Guards M21.
    def test_two_joins_at_once(self):
        """Neither is refused, one after the other they become members."""
        cluster = self.cluster(settings={"stream.max_bytes_per_s": 2000000})
        load = self.traffic(cluster.nodes)
        load.import_keys(cluster, 1000, 1000)
        newcomers = [cluster.add_node(), cluster.add_node()]
        wait_until(lambda: planned(cluster.nodes[0]) ==
                   [("join", "running"), ("join", "queued")], what="one runs and one waits")
        wait_settled(cluster, timeout=60)
        self.assertEqual(set(members(newcomers[0])), {node.name for node in cluster.nodes})
        self.check(load, cluster.nodes)

    # Guards M21.
    def test_second_decommission_waits(self):
        cluster = self.cluster(nodes=5, settings={"stream.max_bytes_per_s": 500000})
        load = self.traffic(cluster.nodes[:3])
        load.import_keys(cluster, 1000, 1000)
        self.cli(cluster, "decommission", "node4")
        self.assertRegex(self.cli(cluster, "decommission", "node5"),
                         r"behind the decommission of 'node4'")
        self.assertRegex(self.cli(cluster, "decommission", "node3", code=1), "would be left")
        wait_until(lambda: len(members(cluster.nodes[0])) == 3, 60, "both have left")
        for node in cluster.nodes[3:]:
            wait_not_ready(node, "left the cluster")
            node.terminate()
        wait_settled(cluster)
        self.check(load, cluster.nodes[:3])

    # Guards M22.
    def test_cancel_goes_back(self):
        cluster = self.cluster(settings={"stream.max_bytes_per_s": 500000})
        old = list(cluster.nodes)
        load = self.traffic(old)
        load.import_keys(cluster, 2000, 1000)
        before = ring(old[0])
        newcomer = cluster.add_node()
        task = wait_streaming(cluster, newcomer)["task"]
        self.cli(cluster, "cluster", "cancel")
        wait_until(lambda: not cluster_status(old[0])["operation"], what="it is dropped")
        self.assertEqual(ring(old[0]), before)
        told = old[0].http("GET", f"/v1/admin/tasks/{task}").json()
        self.assertEqual((told["kind"], told["state"]), ("join", "cancelled"))
        newcomer.kill9()
        wait_until(lambda: alive_all(old), what="the old nodes are settled")
        self.check(load, old)

    def test_more_and_fewer_replicas_of_a_bucket(self):
        cluster = self.cluster(nodes=4)
        load = self.traffic([])  # w=2 and r=2 would not meet at n=4
        load.import_keys(cluster, 500, 1000)
        for n in (4, 3):
            self.cli(cluster, "bucket", "set", "default", f"n={n}", "r=3", "w=3")
            wait_until(lambda want=n: fresh_get(cluster.nodes[1], "/v1/buckets/default").json()["n"]
                       == want, 60, f"n={n} is in force")
            wait_settled(cluster)
            key = load.keys[n]
            shown = fresh_get(cluster.nodes[0],
                              f"/v1/debug/explain?bucket=default&key={key}").json()
            self.assertEqual([r["state"] for r in shown["replicas"]], ["found"] * n)
        for node in cluster.nodes:
            load.add(node)
        load.wait_for(100)
        self.check(load, cluster.nodes)

    # Guards M22.
    def test_why_names_who_is_waited_for(self):
        cluster = self.cluster(settings={"stream.max_bytes_per_s": 1000000})
        load = self.traffic([cluster.nodes[0], cluster.nodes[2]])
        load.import_keys(cluster, 1500, 1000)
        newcomer = cluster.add_node()
        wait_streaming(cluster, newcomer)
        cluster.nodes[1].kill9()
        wait_until(lambda: "'node2' does not answer" in
                   self.cli(cluster, "cluster", "why"), 30, "it says for whom it waits")
        load.wait_for(100)
        cluster.nodes[1].start()
        wait_settled(cluster, timeout=60)
        self.assertIn("node4", members(cluster.nodes[0]))
        self.check(load, cluster.nodes)


def planned(asked):
    plan = fresh_get(asked, "/v1/admin/plan").json()
    return [(change["kind"], change["state"]) for change in plan["changes"]]


def alive(asked, name):
    return any(m["alive"] for m in cluster_status(asked)["nodes"] if m["name"] == name)


def alive_all(nodes):
    return all(alive(asked, node.name) for asked in nodes for node in nodes)


if __name__ == "__main__":
    sys.exit(unittest.main())
