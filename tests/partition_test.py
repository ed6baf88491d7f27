# SPDX-License-Identifier: Apache-2.0
"""Links between real nodes that lose what is sent, in one direction or in both: M27.

Each node has a network namespace of its own, and all hang on one bridge. This script talks to the
nodes from the bridge, so it reaches each of them whatever is cut between them.
"""

import atexit
import json
import os
import re
import subprocess
import time
import unittest
from dataclasses import dataclass

from lariat_e2e import Cluster, Node, wait_until
from lariat_load import Traffic

PERIOD_S = 0.2
TIMEOUT_S = 2.0                # of a request
ANSWER_S = TIMEOUT_S + 1.0     # with some room for a busy machine
DETECTION_S = 30.0
MEND_S = 30.0
SETTINGS = {"membership.gossip_period_ms": int(PERIOD_S * 1000), "membership.drive_ms": 50,
            "membership.confirm_ms": 1000, "peer.backoff_max_ms": 200,
            "request.timeout_ms": int(TIMEOUT_S * 1000), "security.insecure": "true"}
SPACES = "/var/run/netns"
NOBODY = "02:00:00:00:00:99"   # a link address that no node has


def ip(*args, check=True):
    return subprocess.run(["ip", *args], check=check, text=True, capture_output=True).stdout


class Network:
    """Namespaces and a bridge, named by this process; gone when it ends."""

    def __init__(self):
        self.name = f"lrt{os.getpid()}"
        self.spaces = []
        # A small part of the range for tests of network devices, rarely the same in two processes.
        part = os.getpid() % 16384 * 8
        self.prefix = f"198.{18 + part // 65536}.{part // 256 % 256}."
        self.base = part % 256
        self.sweep()
        atexit.register(self.close)
        ip("link", "add", self.name, "type", "bridge")
        ip("addr", "add", f"{self.address(6)}/29", "dev", self.name)
        ip("link", "set", self.name, "up")

    @staticmethod
    def sweep():
        """Removes what scripts left that were killed."""
        links = [link["ifname"] for link in json.loads(ip("-json", "link"))]
        for kind, names in ("netns", os.listdir(SPACES) if os.path.isdir(SPACES) else []), (
                "link", links):
            for name in names:
                made_by = re.match(r"lrt(\d+)", name)
                if made_by and not os.path.exists(f"/proc/{made_by[1]}"):
                    ip(kind, "del", name, check=False)

    def address(self, number):
        """1 to 5: the nodes'; 6: the bridge's."""
        return f"{self.prefix}{self.base + number}"

    def add(self):
        """One more namespace on the bridge: its name and address."""
        number = len(self.spaces) + 1
        space, link = f"{self.name}-{number}", f"{self.name}-{number}"
        ip("netns", "add", space)
        self.spaces.append(space)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", link, "master", self.name, "up")
        ip("-n", space, "addr", "add", f"{self.address(number)}/29", "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")
        ip("-n", space, "link", "set", "lo", "up")
        return space, self.address(number)

    @staticmethod
    def cut(sender, receiver):
        """What one node sends to the other is lost without a sign; the other way all arrives."""
        ip("-n", sender.space, "neigh", "replace", receiver.host, "lladdr", NOBODY, "dev", "eth0",
           "nud", "permanent")

    @staticmethod
    def mend(sender, receiver):
        ip("-n", sender.space, "neigh", "del", receiver.host, "dev", "eth0")

    def close(self):
        atexit.unregister(self.close)
        for number in range(1, len(self.spaces) + 1):
            ip("link", "del", f"{self.name}-{number}", check=False)
        for space in self.spaces:
            ip("netns", "del", space, check=False)
        ip("link", "del", self.name, check=False)
        self.spaces = []


@dataclass
class SpaceNode(Node):
    """A node in a namespace, where its address and all ports are its own."""
    space: str = ""

    def command(self):
        return ["ip", "netns", "exec", self.space, *super().command()]

    def http(self, method, path, body=None, headers=None):
        """Over a connection of its own, which may meet another shard than the last."""
        client = self.connect()
        try:
            return client.request(method, path, body, headers)
        finally:
            client.close()


class SpaceCluster(Cluster):
    def __init__(self, network, nodes):
        self.network = network
        super().__init__(nodes=nodes, settings=SETTINGS)

    def add_node(self, name=None, start=True, args=()):
        space, host = self.network.add()
        name = name or f"node{len(self.nodes) + 1}"
        self.nodes.append(SpaceNode(
            name, 8480, 6380, 7482, data_dir=os.path.join(self.dir, name),
            log_path=os.path.join(self.dir, f"{name}.log"), join=[], settings=self.settings,
            args=[*self.args, *args], space=space, host=host))
        if start:
            self.nodes[-1].start()
        return self.nodes[-1]


class SpaceTraffic(Traffic):
    def __init__(self, nodes):
        super().__init__(nodes, pause_s=0.02, timeout_s=4 * TIMEOUT_S)

    def read_all(self, nodes):
        """Reads every acknowledged key once more at each of these nodes."""
        for node in nodes:
            client = node.connect(self.timeout_s)
            for key in self.keys:
                reply = client.request("GET", f"/kv/{key}?r=2")
                self._check(key, node.name, reply)
                self._note(node, "last read", reply.status, reply.body)
            client.close()


def views(node):
    """{name: what this node's failure detector thinks of it}."""
    return {other["name"]: other["detector"] + ("" if other["alive"] else ", not alive")
            for other in node.http("GET", "/v1/cluster/status").json()["nodes"]}


def usable(node, other):
    return views(node)[other.name] in ("alive", "suspect")


def convicted(node, other):
    return views(node)[other.name].split(",")[0] in ("unreachable", "dead")


def network_or_skip(test):
    if os.geteuid() != 0:
        test.skipTest("network namespaces need root")
    try:
        network = Network()
        test.addCleanup(network.close)
        return network
    except (OSError, subprocess.CalledProcessError) as error:
        test.skipTest(f"no bridges here: {error}")


class Partition(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        network = network_or_skip(self)
        try:
            self.cluster = SpaceCluster(network, nodes=0)
            self.addCleanup(self.cluster.close)
            self.nodes = [self.cluster.add_node(start=False) for _ in range(3)]
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipTest(f"no network namespaces here: {error}")
        self.network = network
        for node in self.nodes:
            node.join = [other.peer_address for other in self.nodes]
        for node in self.nodes:
            node.start()
        self.cluster.wait_ready()
        self.wait_whole(self.nodes)

    def wait_whole(self, nodes):
        """All see all alive, on whichever shard."""
        whole = {node.name: "alive" for node in nodes}
        begin = time.monotonic()
        wait_until(lambda: all(views(node) == whole for node in nodes for _ in range(4)), MEND_S,
                   "all nodes see all alive", every=0.05)
        return time.monotonic() - begin

    def wait_convicted(self, pairs, begin):
        """{"who of whom": seconds until it was known}."""
        found = {}
        def all_found():
            for node, other in pairs:
                name = f"{node.name} of {other.name}"
                if name not in found and convicted(node, other):
                    found[name] = round(time.monotonic() - begin, 2)
            return len(found) == len(pairs)
        wait_until(all_found, DETECTION_S, "the peers that do not answer are convicted")
        return found

    def put(self, node, query):
        """(status, seconds) of one write."""
        begin = time.monotonic()
        status = node.http("PUT", f"/kv/probe-{begin}{query}", b"value").status
        return status, time.monotonic() - begin

    def check_load(self, load, cut_off=()):
        load.stop()
        load.read_all(self.nodes)
        self.assertEqual(load.lost[:5], [])
        self.assertEqual(load.errors_but_of(*[node.name for node in cut_off]), {})
        for name, seconds in load.slowest.items():
            self.assertLess(seconds, ANSWER_S, name)

    # Guards M27.
    def test_one_way(self):
        """node3's packets do not reach node1; node1's reach node3, and node2 has both."""
        node1, node2, node3 = self.nodes
        with SpaceTraffic(self.nodes) as load:
            load.wait_for(200)
            begin = time.monotonic()
            self.network.cut(node3, node1)
            found = self.wait_convicted([(node1, node3), (node3, node1)], begin)
            load.wait_for(500)
            self.assertTrue(usable(node2, node1) and usable(node2, node3), views(node2))
            statuses = {node.name: self.put(node, "?w=3") for node in self.nodes}
            stay = time.monotonic()
            wait_until(lambda: time.monotonic() > stay + 25 * PERIOD_S, what="it stays so")
            self.assertTrue(convicted(node1, node3) and convicted(node3, node1))
            self.assertTrue(usable(node2, node1) and usable(node2, node3), views(node2))
            end = time.monotonic()
            self.network.mend(node3, node1)
            mended = self.wait_whole(self.nodes)
            load.wait_for(200)
            after = {node.name: self.put(node, "?w=3")[0] for node in self.nodes}
            self.check_load(load)
        gaps = {node.name: round(load.longest_gap(node.name, begin, end), 2)
                for node in self.nodes}
        slowest = {node.name: round(load.slowest[node.name], 2) for node in self.nodes}
        print(f"convicted after {found} s, longest gaps {gaps}, slowest {slowest}, W=3 in the cut "
              f"{statuses}, whole {mended:.1f} s after mending, {len(load.keys)} writes", end=" ",
              flush=True)
        self.assertEqual(statuses["node2"][0], 201)  # reaches all three
        for status, seconds in statuses.values():
            self.assertIn(status, (201, 503, 504))
            self.assertLess(seconds, ANSWER_S)
        self.assertEqual(set(after.values()), {201})
        for gap in gaps.values():
            self.assertLess(gap, ANSWER_S)

    def test_one_node_cut_off(self):
        """node3 reaches nobody and nobody reaches it; the test still does."""
        node1, node2, node3 = self.nodes
        links = [pair for other in (node1, node2) for pair in ((node3, other), (other, node3))]
        with SpaceTraffic(self.nodes) as load:
            load.wait_for(200)
            begin = time.monotonic()
            for sender, receiver in links:
                self.network.cut(sender, receiver)
            found = self.wait_convicted(links, begin)
            load.wait_for(500)
            self.assertTrue(usable(node1, node2) and usable(node2, node1))
            alone = {query: self.put(node3, query) for query in ("?w=1", "?w=2")}
            end = time.monotonic()
            for sender, receiver in links:
                self.network.mend(sender, receiver)
            mended = self.wait_whole(self.nodes)
            load.wait_for(200)
            after = {node.name: self.put(node, "?w=3")[0] for node in self.nodes}
            self.check_load(load, cut_off=[node3])
        gaps = {node.name: round(load.longest_gap(node.name, begin, end), 2)
                for node in (node1, node2)}
        slowest = {node.name: round(load.slowest[node.name], 2) for node in self.nodes}
        print(f"convicted after {found} s, longest gaps {gaps}, slowest {slowest}, alone {alone}, "
              f"whole {mended:.1f} s after mending, {len(load.keys)} writes", end=" ", flush=True)
        self.assertEqual(alone["?w=1"][0], 201)
        self.assertIn(alone["?w=2"][0], (503, 504))
        for _, seconds in alone.values():
            self.assertLess(seconds, ANSWER_S)
        # The node that was alone refused or timed out, and closed no connection.
        self.assertEqual({status for _, _, status, _ in load.errors[node3.name]} - {503, 504},
                         set())
        self.assertEqual(set(after.values()), {201})
        for gap in gaps.values():
            self.assertLess(gap, ANSWER_S)


if __name__ == "__main__":
    unittest.main(verbosity=2)
