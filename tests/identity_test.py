# SPDX-License-Identifier: Apache-2.0
"""Copied and old data directories: two processes with one identity never serve both, and what was
deleted and purged does not come back."""

import os
import shutil
import unittest

from lariat_e2e import (FAST, ClusterTest, Node, cluster_status, free_ports, fresh_get,
                        wait_not_ready, wait_until)

# Sweeps that purge within seconds.
SWEEPS = {**FAST, "repair.purge_interval_s": 1, "repair.settle_ms": 200, "repair.interval_s": 2,
          "repair.scrub_pause_s": 10}


def copy_directory(node, to):
    """As of one moment: the process stands still, or does not run."""
    if node.running():
        node.pause()
    shutil.copytree(node.data_dir, to)
    if node.running():
        node.resume()
    return to


class Copies(ClusterTest):
    def copy_of(self, cluster, node, join):
        """The same name and settings, other ports and a copied directory; not started."""
        http_port, resp_port, peer_port = free_ports(3, consecutive=True)
        path = os.path.join(cluster.dir, f"copy-{peer_port}")
        copy = Node(node.name, http_port, resp_port, peer_port, copy_directory(node, path),
                    os.path.join(cluster.dir, f"copy-{peer_port}.log"), join,
                    settings=node.settings, args=list(node.args))
        self.addCleanup(lambda: copy.process and copy.kill9())
        return copy

    def refused(self, node, *texts):
        """Ends with 2 and says these."""
        self.assertEqual(wait_until(lambda: node.process.poll() is not None and node.process, 20,
                                    f"{node.peer_address} ends").returncode, 2, node.log_tail())
        for text in texts:
            self.assertIn(text, node.log_tail())

    def put(self, node, key, value):
        """On all three; asked again while one of them is not seen yet."""
        wait_until(lambda: node.http("PUT", f"/kv/{key}?w=3", value).status == 201, 20,
                   f"{key} is on all nodes", every=0.1)

    # Guards M2, M4.
    def test_a_copy_beside_its_original_is_refused(self):
        cluster = self.cluster(3)
        first, second, _ = cluster.nodes
        self.put(first, "a", b"1")
        for join in ([first.peer_address], []):
            copy = self.copy_of(cluster, second, join)
            copy.start()
            self.refused(copy, second.peer_address, copy.peer_address)
        self.assertTrue(second.ready())
        self.put(first, "b", b"2")
        self.assertEqual(second.http("GET", "/kv/b?r=1").body, b"2")
        # The node moves; then the original is the copy.
        second.terminate()
        moved = self.copy_of(cluster, second, [first.peer_address])
        moved.start()
        moved.wait_ready()
        self.put(first, "c", b"3")
        second.start()
        self.refused(second, second.peer_address, moved.peer_address)
        self.assertTrue(moved.ready())

    # Guards M2, M4.
    def test_two_that_serve_stand_aside(self):
        cluster = self.cluster(3)
        first, second, _ = cluster.nodes
        self.put(first, "a", b"1")
        copy = self.copy_of(cluster, second, [first.peer_address])
        second.pause()
        copy.start()
        copy.wait_ready()
        self.put(first, "b", b"2")
        second.resume()
        for node in (second, copy):
            wait_not_ready(node, second.peer_address)
            wait_not_ready(node, copy.peer_address)
            self.assertEqual(fresh_get(node, "/kv/a?r=1").status, 503)
        self.assertEqual(second.metric("lariat_identity_conflict"), 1)
        wait_until(lambda: any(member["twin"] for member in cluster_status(first)["nodes"]))
        shown = cluster.cli("status", node=first)
        self.assertEqual(shown.returncode, 6)
        self.assertIn("node2 runs twice", shown.stdout)
        copy.kill9()
        second.wait_ready()
        second.client.close()  # of the run that stood aside
        wait_until(lambda: second.metric("lariat_doubt_ranges") == 0, what="the doubt is over")
        self.assertEqual(fresh_get(second, "/kv/b?r=1").body, b"2")
        wait_until(lambda: cluster.cli("status", node=first).returncode == 0, what="healthy again")


class OldDirectories(Copies):
    # Guards M4, M13.
    def test_what_lacks_writes_is_in_doubt_and_what_lacks_purged_deletes_is_refused(self):
        cluster = self.cluster(3, base=SWEEPS)
        first, second, _ = cluster.nodes
        self.assertEqual(first.http("PUT", "/v1/buckets/b", {"gc_grace": 1}).status, 201)
        for key in ("gone", "stays"):
            self.assertEqual(first.http("PUT", f"/buckets/b/kv/{key}?w=3", b"old").status, 201)
        second.terminate()
        old = copy_directory(second, os.path.join(cluster.dir, "old"))
        second.restart()

        def put_old_back():
            second.kill9()
            shutil.rmtree(second.data_dir)
            shutil.copytree(old, second.data_dir)
            second.start()

        def comes_back_in_doubt():
            wait_until(lambda: first.http("PUT", "/buckets/b/kv/later?w=3", b"x").status == 201)
            wait_until(lambda: second.metric("lariat_gossip_rounds_total") > 15)
            put_old_back()
            second.wait_ready()
            return "the directory is a copy from before" in second.log_tail(100)
        # What the others know of it is some rounds of gossip old.
        wait_until(comes_back_in_doubt, 30, "an old directory is found out", every=0.5)
        wait_until(lambda: second.metric("lariat_doubt_ranges") == 0, what="the doubt is over")
        self.assertEqual(fresh_get(second, "/buckets/b/kv/later?r=1").body, b"x")

        self.assertEqual(first.http("DELETE", "/buckets/b/kv/gone?w=3").status, 204)
        wait_until(lambda: sum(n.metric("lariat_tombstones_purged_total")
                               for n in cluster.nodes) >= 1, 60, "the delete is purged")
        put_old_back()
        self.refused(second, "old copy", "--replace node2")
        new = cluster.add_node(args=["--replace", "node2"])
        new.wait_ready(60)
        wait_until(lambda: len(cluster_status(first)["nodes"]) == 3 and
                   not cluster_status(first)["operation"], 60, "it is replaced")
        for node in (first, new):
            self.assertEqual(fresh_get(node, "/buckets/b/kv/gone").status, 404)
            self.assertEqual(fresh_get(node, "/buckets/b/kv/stays").body, b"old")


class Placement(Copies):
    def test_another_place_at_a_restart_is_refused(self):
        cluster = self.cluster(3)
        node = cluster.nodes[1]
        node.terminate()
        args = node.args
        for setting, command in (("node.rack=r9", "lariat cluster decommission node2"),
                                 ("node.dc=dc9", "lariat cluster decommission node2"),
                                 ("node.weight=2", "lariat cluster reweight node2 2"),
                                 ("node.vnodes=5", "lariat cluster reweight node2")):
            node.args = [*args, "--set", setting]
            node.start()
            self.refused(node, command)
        node.args = args
        node.restart()


if __name__ == "__main__":
    unittest.main()
