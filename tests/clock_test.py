# SPDX-License-Identifier: Apache-2.0
"""Real nodes whose wall clocks are apart, or jump (preload/wall_clock.cc)."""

import mmap
import os
import struct
import unittest

from lariat_e2e import (
    BIN,
    FAST,
    Cluster,
    ClusterTest,
    cluster_status,
    fresh_get,
    run_cli,
    wait_not_ready,
    wait_settled,
    wait_until,
)

WALL_CLOCK = os.path.join(BIN, "wall_clock.so")


class ClockTest(ClusterTest):
    """A base for clusters of nodes with clocks of their own."""

    def skewed_cluster(self, offsets_s, settings=None):
        self.assertTrue(os.path.exists(WALL_CLOCK), "ninja wall_clock makes it")
        cluster = Cluster(nodes=len(offsets_s), settings={**FAST, **(settings or {})}, start=False)
        self.addCleanup(cluster.close)
        for node, offset_s in zip(cluster.nodes, offsets_s):
            with open(self.clock_file(node), "wb") as out:
                out.write(bytes(8))
            self.set_clock(node, offset_s)
            node.env = {"LD_PRELOAD": WALL_CLOCK, "WALL_CLOCK_FILE": self.clock_file(node)}
            node.start()
        cluster.wait_ready()
        wait_settled(cluster)
        return cluster

    @staticmethod
    def clock_file(node):
        return node.log_path + ".clock"

    def set_clock(self, node, offset_s):
        """Seen by the node at once."""
        with open(self.clock_file(node), "r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
            shared[:] = struct.pack("<q", int(offset_s * 1e9))

    def make_bucket(self, node, name="reg"):
        reply = node.http("PUT", f"/v1/buckets/{name}", {"conflict": "lww"})
        self.assertIn(reply.status, (200, 201), reply.body)


class LastWriter(ClockTest):
    def lost_writes(self, cluster, pairs):
        """A write through one node, acknowledged, then another through the next: how many of the
        second ones are not what is read then."""
        clients = [node.connect() for node in cluster.nodes]
        lost = []
        for i in range(pairs):
            first, second = clients[i % 3], clients[(i + 1) % 3]
            path = f"/buckets/reg/kv/k{i % 50}"
            for client, value in ((first, f"a{i}"), (second, f"b{i}")):
                reply = client.request("PUT", path, value.encode())
                self.assertEqual(reply.status, 201, reply.body)
            shown = clients[i * 7 % 3].request("GET", path).body.decode()
            if shown != f"b{i}":
                lost.append((i, shown))
        for client in clients:
            client.close()
        return lost

    def test_no_acknowledged_write_is_lost_whatever_the_clocks_say(self):
        for offsets_s in ([0, 0, 0], [0.4, 0, -0.4]):
            cluster = self.skewed_cluster(offsets_s)
            self.make_bucket(cluster.nodes[0])
            self.assertEqual(self.lost_writes(cluster, 1000), [], offsets_s)
            cluster.close()

    def test_nor_while_a_replica_is_away(self):
        cluster = self.skewed_cluster([0.4, 0, -0.4])
        self.make_bucket(cluster.nodes[0])
        clients = [node.connect() for node in cluster.nodes[:2]]
        cluster.nodes[2].pause()
        self.addCleanup(cluster.nodes[2].resume)
        for i in range(200):
            for client, value in zip(clients, (f"a{i}", f"b{i}")):
                reply = client.request("PUT", "/buckets/reg/kv/k", value.encode())
                self.assertEqual(reply.status, 201, reply.body)
            self.assertEqual(clients[0].request("GET", "/buckets/reg/kv/k").body.decode(), f"b{i}")
        for client in clients:
            client.close()


# Guards M36: a clock 30 s and a day ahead, one node's and all nodes'.
class WrongClock(ClockTest):
    DAY_S = 86400

    def put(self, node, path, value, headers=None):
        return node.http("PUT", path, value.encode(), headers)

    def offset_ms(self, asked, node):
        told = {member["name"]: member for member in cluster_status(asked)["nodes"]}
        return told[node.name].get("clock_offset_ms")

    def test_a_clock_that_is_ahead_for_a_while(self):
        cluster = self.skewed_cluster([0, 0, 0])
        wrong, right, other = cluster.nodes
        self.make_bucket(wrong)
        for ahead_s in (30, self.DAY_S):
            self.assertEqual(self.put(right, "/buckets/reg/kv/k", "before").status, 201)
            self.set_clock(wrong, ahead_s)
            # Nothing is stored by that clock, from the first moment on.
            for path, headers in (("/buckets/reg/kv/k", None), ("/kv/k", {"X-TTL": "3600"})):
                reply = self.put(wrong, path, "never", headers)
                self.assertEqual(reply.status, 503, reply.body)
                self.assertEqual(reply.json()["error"]["code"], "clock_off")
            wait_not_ready(wrong, "ahead of that of the other members")
            wait_until(lambda: (self.offset_ms(right, wrong) or 0) > ahead_s * 1000 - 2000,
                       what="the others see it, too")
            told = run_cli("status", env={"LARIAT_NODE": right.http_address})
            self.assertIn(f"the clock of {wrong.name} is ", told.stdout)
            self.assertEqual(wrong.metric("lariat_clock_off"), 1)
            self.assertGreater(wrong.metric("lariat_clock_offset_seconds"), ahead_s - 2)
            self.assertIn("ahead of that of the other members", wrong.log_tail())
            # Everything that needs no clock goes on, and what others coordinate.
            self.assertEqual(self.put(wrong, "/kv/plain", "v").status, 201)
            self.assertEqual(wrong.http("GET", "/buckets/reg/kv/k").body, b"before")
            self.assertEqual(self.put(right, "/buckets/reg/kv/k", "meanwhile").status, 201)
            if ahead_s == self.DAY_S:
                wrong.kill9()
                wrong.start()
                wait_not_ready(wrong, "ahead of that of the other members")
            self.set_clock(wrong, 0)
            wrong.wait_ready(10)
            self.assertEqual(self.put(wrong, "/buckets/reg/kv/k", "after").status, 201)
            for node in cluster.nodes:
                self.assertEqual(fresh_get(node, "/buckets/reg/kv/k").body, b"after")
            self.assertEqual(self.put(other, "/buckets/reg/kv/k", "last").status, 201)
            self.assertEqual(wrong.http("GET", "/buckets/reg/kv/k").body, b"last")

    def test_all_clocks_ahead_together_and_right_again(self):
        cluster = self.skewed_cluster([0, 0, 0])
        self.make_bucket(cluster.nodes[0])
        for node in cluster.nodes:
            self.set_clock(node, self.DAY_S)
        cluster.wait_ready(10)
        for i, node in enumerate(cluster.nodes):
            wait_until(lambda n=node: self.put(n, "/buckets/reg/kv/k", "future").status == 201,
                       what="the clocks agree")
            self.assertEqual(self.put(node, f"/buckets/reg/kv/of{i}", "future").status, 201)
        for node in cluster.nodes:
            self.set_clock(node, 0)
        for node in cluster.nodes:
            wait_until(lambda n=node: self.put(n, "/buckets/reg/kv/k", n.name).status == 201,
                       what="it writes again")
            for i in range(3):
                reply = self.put(node, f"/buckets/reg/kv/of{i}", f"{node.name}-{i}")
                self.assertEqual(reply.status, 201, reply.body)
        last = cluster.nodes[-1].name
        # Also after a restart with limits of the future on disk.
        for node in cluster.nodes:
            node.kill9()
        for node in cluster.nodes:
            node.start()
        cluster.wait_ready()
        for node in cluster.nodes:
            self.assertEqual(fresh_get(node, "/buckets/reg/kv/k").body.decode(), last)
            for i in range(3):
                reply = fresh_get(node, f"/buckets/reg/kv/of{i}")
                self.assertEqual(reply.body.decode(), f"{last}-{i}")
        reply = self.put(cluster.nodes[0], "/buckets/reg/kv/new", "now")
        self.assertEqual(reply.status, 201, reply.body)


if __name__ == "__main__":
    unittest.main()
