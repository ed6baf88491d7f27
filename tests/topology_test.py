# SPDX-License-Identifier: Apache-2.0
"""Clusters that grow, shrink and lose nodes while they are used: M20 to M23.

All the time every acknowledged key is read at R=2, by which a lost or misplaced write shows.
"""

import sys
import unittest

from lariat_e2e import (Cluster, cluster_status, fresh_get, members, not_ready_because, wait_settled,
                        wait_until)
from lariat_load import Traffic

FAST = {"membership.gossip_period_ms": 100, "membership.drive_ms": 50,
        "membership.confirm_ms": 1000, "peer.backoff_max_ms": 200, "request.timeout_ms": 2000}
TOKENS = 1 << 64


class Test(unittest.TestCase):
    maxDiff = None

    def cluster(self, nodes=3, settings=None):
        made = Cluster(nodes=nodes, settings={**FAST, **(settings or {})})
        self.addCleanup(made.close)
        made.wait_ready()
        wait_settled(made)
        return made

    def traffic(self, nodes):
        load = Traffic(nodes)
        self.addCleanup(load.stop)
        return load

    def cli(self, cluster, *args, code=0):
        done = cluster.cli(*args, timeout=90)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def check(self, load, nodes, but=()):
        """Nothing was lost, and nobody but those that were killed answered with an error."""
        load.stop()
        load.read_all(nodes)
        self.assertEqual(load.lost[:5], [])
        self.assertEqual(load.errors_but_of(*but), {})
        for name in but:
            for _, what, status, body in load.errors.get(name, []):
                self.assertIn(status, (0, 503, 504), (name, what, body))


def wait_phase(cluster, *phases, timeout=30):
    """Until the change under way is in one of these phases; gives what is told of it."""
    def now():
        operation = cluster_status(cluster.nodes[0])["operation"]
        return operation if operation and operation["phase"] in phases else None
    return wait_until(now, timeout, f"a change in {phases}", every=0.01)


def wait_streaming(cluster, node, ranges=1):
    """Until some of the data of this change has arrived and some has not."""
    def now():
        operation = cluster_status(cluster.nodes[0])["operation"]
        if not operation or operation["phase"] != "stream" or operation["node"] != node.name:
            return None
        some = ranges <= operation["ranges_done"] < operation["ranges_total"]
        return operation if some else None
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
    def test_three_to_five_and_back(self):
        cluster = self.cluster(settings={"stream.max_bytes_per_s": 2000000})
        old = list(cluster.nodes)
        load = self.traffic(old)
        load.import_keys(cluster, 3000, 2000)
        before = ring(old[0])

        fourth = cluster.add_node()
        wait_streaming(cluster, fourth)
        fourth.kill9()
        load.wait_for(100)
        fourth.start()
        wait_settled(cluster, timeout=60)
        self.assertEqual(self.only_to(fourth, before, old[0]), 4)
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
        self.assertIn("left the cluster or was removed", not_ready_because(node))
        load.wait_for(100)
        node.terminate()


if __name__ == "__main__":
    sys.exit(unittest.main())
