# SPDX-License-Identifier: Apache-2.0
"""Who counts as alive, who is who, and who is let in: M23, M26, M27."""

import shutil
import sys
import time
import unittest

from lariat_e2e import (FAST, FAST_PERIOD_S, Cluster, ClusterTest, cluster_status, fresh_get,
                        free_ports, members, wait_not_ready, wait_settled, wait_until)
from lariat_load import Traffic

DETECTION_PERIODS = 20   # generous: phi takes a few periods, the probes two
PAUSE_PERIODS = 80


def seen(asked, name):
    """What a node thinks of another one."""
    return next(n for n in cluster_status(asked)["nodes"] if n["name"] == name)


class Pause(ClusterTest):
    # Guards M26.
    def test_paused_node_convicts_nobody(self):
        """The others go on; the one that slept wakes up and trusts its own clock least."""
        self.check_pause(self.cluster(), PAUSE_PERIODS * FAST_PERIOD_S, FAST_PERIOD_S)

    # Guards M26: 30 s.
    def test_paused_for_30_s_with_default_settings(self):
        self.check_pause(self.cluster(base={}), pause_s=30, period_s=1)

    def check_pause(self, cluster, pause_s, period_s):
        sleeper, others = cluster.nodes[2], cluster.nodes[:2]
        with Traffic(cluster.nodes) as load:
            load.wait_for(500)
            begin = time.monotonic()
            sleeper.pause()
            wait_until(lambda: all(seen(node, sleeper.name)["detector"] == "dead"
                                   for node in others), DETECTION_PERIODS * period_s,
                       "the others convict it")
            convicted = time.monotonic() - begin
            wait_until(lambda: time.monotonic() > begin + pause_s, timeout=pause_s + 1,
                       what="the pause is over")
            sleeper.resume()
            resumed = time.monotonic()
            wait_settled(cluster)
            load.wait_for(300)
            end = time.monotonic()
            load.stop()
            load.read_all(cluster.nodes)
        self.assertEqual(load.lost[:5], [])
        self.assertEqual(load.errors_but_of(sleeper.name), {})
        self.assertEqual(sleeper.metric("lariat_peer_convictions_total"), 0)
        self.assertGreaterEqual(sleeper.metric("lariat_local_pauses_total"), 1)
        gaps = {node.name: load.longest_gap(node.name, begin, end) for node in others}
        print(f"convicted after {convicted:.2f} s, longest gaps {gaps}, "
              f"settled {end - resumed:.1f} s after waking up", end=" ", flush=True)
        # Each holds every key, so no write was handed to the one that slept: none waited for it.
        for name, gap in gaps.items():
            self.assertLess(gap, max(convicted, pause_s / 4), name)

    def test_killed_node_is_convicted_by_all_and_comes_back(self):
        cluster = self.cluster()
        dead, others = cluster.nodes[2], cluster.nodes[:2]
        dead.kill9()
        begin = time.monotonic()
        wait_until(lambda: all(not seen(node, dead.name)["alive"] for node in others),
                   what="the others see it dead")
        self.assertLess(time.monotonic() - begin, DETECTION_PERIODS * FAST_PERIOD_S)
        dead.start()
        wait_settled(cluster)


class Identity(ClusterTest):
    def test_other_addresses_same_node(self):
        cluster = self.cluster()
        moved, asked = cluster.nodes[2], cluster.nodes[0]
        before = seen(asked, moved.name)
        ring = fresh_get(asked, "/v1/cluster/ring?n=3").json()
        asked.http("PUT", "/kv/a?w=3", b"value")
        moved.terminate()
        moved.http_port, moved.resp_port, moved.peer_port = free_ports(3, consecutive=True)
        moved.start()
        moved.wait_ready()
        wait_until(lambda: seen(asked, moved.name)["peer"] == moved.peer_address,
                   what="the new address is known")
        wait_settled(cluster)
        after = seen(asked, moved.name)
        self.assertEqual(after["id"], before["id"])
        self.assertEqual((after["http"], after["state"], len(members(asked))),
                         (moved.http_address, "normal", 3))
        self.assertEqual(fresh_get(asked, "/v1/cluster/ring?n=3").json(), ring)
        self.assertEqual(moved.http("GET", "/kv/a?r=3").body, b"value")

    def test_used_name_is_refused(self):
        cluster = self.cluster()
        twin = cluster.add_node()
        twin.kill9()
        twin.wipe()
        twin.name = "node2"
        twin.start()
        wait_not_ready(twin, "the cluster has another node named 'node2'")
        self.assertEqual(members(cluster.nodes[0]),
                         {f"node{i}": "normal" for i in (1, 2, 3)})

    def test_data_of_another_cluster_is_refused(self):
        cluster = self.cluster()
        other = Cluster(nodes=1, settings=FAST, start=False)
        self.addCleanup(other.close)
        stranger = other.nodes[0]
        stranger.name = "stranger"
        stranger.start()
        stranger.wait_ready()
        stranger.http("PUT", "/kv/a?w=1", b"theirs")
        stranger.terminate()
        stranger.join = [node.peer_address for node in cluster.nodes]
        stranger.start()
        wait_not_ready(stranger, "the data directory is of another cluster")
        self.assertNotIn("stranger", members(cluster.nodes[0]))

    def test_copied_data_directory_is_refused(self):
        cluster = self.cluster()
        copy = cluster.add_node(start=False)
        cluster.nodes[2].terminate()
        shutil.copytree(cluster.nodes[2].data_dir, copy.data_dir,
                        ignore=lambda path, names: [n for n in names if n == "LOCK"])
        cluster.nodes[2].start()
        cluster.nodes[2].wait_ready()
        copy.start()
        wait_until(lambda: not copy.running(), what="the copy ends")
        self.assertIn("belongs to node 'node3', not to 'node4'", copy.log_tail())
        self.assertEqual(len(members(cluster.nodes[0])), 3)

    def test_same_join_command_again(self):
        cluster = self.cluster()
        newcomer = cluster.add_node()
        wait_settled(cluster)
        epoch = cluster_status(newcomer)["epoch"]
        newcomer.restart()
        wait_settled(cluster)
        self.assertEqual(cluster_status(newcomer)["epoch"], epoch)


class Drain(ClusterTest):
    def test_drain_and_back(self):
        cluster = self.cluster()
        drained, asked = cluster.nodes[1], cluster.nodes[0]
        with Traffic([cluster.nodes[0], cluster.nodes[2]]) as load:
            load.wait_for(200)
            self.assertEqual(cluster.cli("drain", drained.name).returncode, 0)
            wait_not_ready(drained, "drain")
            wait_until(lambda: seen(asked, drained.name)["draining"], what="the others know")
            load.wait_for(200)
            self.assertEqual(seen(asked, drained.name)["state"], "normal")
            self.assertEqual(cluster.cli("drain", drained.name, "--undo").returncode, 0)
            drained.wait_ready()
            wait_until(lambda: not seen(asked, drained.name)["draining"], what="it is back")
            load.stop()
            load.read_all(cluster.nodes)
        self.assertEqual((load.lost, load.errors_but_of()), ([], {}))


if __name__ == "__main__":
    sys.exit(unittest.main())
