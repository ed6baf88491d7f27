# SPDX-License-Identifier: Apache-2.0
"""Keys whose concurrent values are larger together than a frame between nodes.

What a node itself holds is read at r=1 through it: a replica asks itself first.
"""

import unittest

from lariat_e2e import Cluster, fresh_get, wait_settled, wait_until

SETTINGS = {"membership.gossip_period_ms": 100, "peer.backoff_max_ms": 200,
            "membership.confirm_ms": 1000, "request.timeout_ms": 20000, "repair.enabled": "false",
            "hints.replay_bytes_per_s": "1GiB", "limits.object_bytes": "20MiB",
            "limits.siblings_warn": 10, "repair.latency_ms": 0}
MIB = 1 << 20


def siblings(node, key, query=""):
    """How many concurrent values of 1 MiB the key has; 0 if it cannot be read."""
    reply = node.http("GET", f"/kv/{key}{query}")
    parts = reply.body.count(b"v" * 1000 + b"end")
    return {200: 1, 300: parts}.get(reply.status, 0)


class Test(unittest.TestCase):
    def pile(self, nodes, key):
        """Blind writes of 1 MiB until they are refused, and on; how many were taken."""
        taken = 0
        for i in range(57):
            node = nodes[i % len(nodes)]
            reply = node.http("PUT", f"/kv/{key}", b"v" * (MIB - 3) + b"end")
            if reply.status == 201:
                taken += 1
                continue
            self.assertEqual(reply.status, 413, reply.body)
            self.assertEqual(reply.json()["error"]["code"], "object_too_large")
            other = node.http("PUT", f"/kv/other{i}", b"small")
            self.assertEqual(other.status, 201, other.body)
            if i >= 20:  # each is 1 MiB for nothing
                return taken
        return taken

    def test_more_than_a_frame(self):
        with Cluster(nodes=3, settings=SETTINGS) as cluster:
            cluster.wait_ready()
            wait_settled(cluster)
            one, two, three = cluster.nodes
            self.assertEqual(one.http("PUT", "/kv/seal", b"x").status, 201)
            three.kill9()
            taken = self.pile([one, two], "big")
            self.assertEqual(taken, 19, "1 MiB each, and what is around them")
            self.assertEqual(siblings(one, "big"), taken)
            self.assertEqual(one.metric("lariat_peer_refused_total"), 0)
            self.assertGreater(one.metric("lariat_siblings_warned_total"), 0)

            three.start()
            three.wait_ready()
            wait_until(lambda: siblings(three, "big", "?r=1") == taken, 30, "hints bring it")
            wait_until(lambda: all(node.metric("lariat_hints_pending") == 0 for node in (one, two)),
                       30, "nothing is left behind it")
            self.assertGreater(three.metric("lariat_peer_split_messages_received_total"), 0)
            wait_until(lambda: three.metric("lariat_peers_up") >= 2, 20, "it counts its peers")

            three.kill9()
            four = cluster.add_node(args=["--replace", "node3"])
            four.wait_ready(60)
            wait_until(lambda: siblings(four, "big", "?r=1") == taken, 60, "a stream brings it")
            self.assertEqual(fresh_get(four, "/kv/other20?r=1").status, 200)

            read = four.http("GET", "/kv/big")
            self.assertEqual(read.status, 300)
            context = {"X-Context": read.header("X-Context")}
            # Members that are busy with 19 MiB may look dead for a moment.
            wait_until(lambda: four.http("PUT", "/kv/big", b"one", context).status == 201, 30,
                       "it is resolved")
            self.assertEqual(one.http("GET", "/kv/big").body, b"one")


if __name__ == "__main__":
    unittest.main()
