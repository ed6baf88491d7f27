# SPDX-License-Identifier: Apache-2.0
"""Real nodes whose wall clocks are apart, or jump (preload/wall_clock.cc)."""

import mmap
import os
import struct
import unittest

from lariat_e2e import BIN, FAST, Cluster, ClusterTest, wait_settled

WALL_CLOCK = os.path.join(BIN, "wall_clock.so")


class ClockTest(ClusterTest):
    """A base for clusters of nodes with clocks of their own."""

    def skewed_cluster(self, offsets_s, settings=None):
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


if __name__ == "__main__":
    unittest.main()
