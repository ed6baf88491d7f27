# SPDX-License-Identifier: Apache-2.0
"""Reads with a context: nothing older than what the client has seen, through whichever node."""

import unittest

from lariat_e2e import ClusterTest, wait_settled, wait_until


class Sessions(ClusterTest):
    def test_a_read_covers_what_was_seen_or_says_that_nobody_does(self):
        cluster = self.cluster(settings={"node.shards": 1})
        first, second, third = cluster.nodes
        made = first.http("PUT", "/v1/buckets/s", {"r": 1, "w": 1, "allow_eventual": True,
                                                   "read_repair": 0})
        self.assertIn(made.status, (200, 201))
        for number in range(50):   # each read by another node than wrote, at once
            path = f"/buckets/s/kv/k{number}"
            context = first.http("PUT", path, b"v").header("X-Context")
            reply = second.http("GET", path, headers={"X-Context": context})
            self.assertEqual((reply.status, reply.body), (200, b"v"))
        # What only a dead node has.
        for node in second, third:
            node.kill9()
        alone = first.http("PUT", "/buckets/s/kv/alone", b"v")
        self.assertEqual(alone.status, 201)
        seen = {"X-Context": alone.header("X-Context")}
        first.kill9()
        for node in second, third:
            node.restart()
        for path in "/buckets/s/kv/alone", "/v1/buckets/s/kv/alone":
            reply = second.http("GET", path + "?timeout_ms=300", headers=seen)
            self.assertEqual((reply.status, reply.json()["error"]["code"]), (504, "not_covered"))
        self.assertEqual(second.http("GET", "/buckets/s/kv/alone").status, 404)
        first.restart()
        wait_settled(cluster)
        wait_until(lambda: second.http("GET", "/buckets/s/kv/alone", headers=seen).status == 200,
                   what="it is found where it is")
        self.assertEqual(second.http("GET", "/buckets/s/kv/k1", headers=seen).status, 400)
        empty = second.http("GET", "/buckets/s/kv/k1", headers={"X-Context": ""})
        self.assertEqual(empty.status, 200)


if __name__ == "__main__":
    unittest.main()
