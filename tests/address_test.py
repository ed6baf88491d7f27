# SPDX-License-Identifier: Apache-2.0
"""Addresses that change, names in their place, wildcards: who is who is settled by identity."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass

from lariat_e2e import (FAST, Cluster, ClusterTest, cluster_status, free_ports, fresh_get, program,
                        run_cli, wait_not_ready, wait_settled, wait_until)
from partition_test import SpaceCluster, SpaceNode, ip, network_or_skip


def move(node):
    node.http_port, node.resp_port, node.peer_port = free_ports(3, consecutive=True)


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def addresses(asked):
    return {n["name"]: (n["http"], n["peer"]) for n in cluster_status(asked)["nodes"]}


class AllMove(ClusterTest):
    def filled(self):
        cluster = self.cluster()
        for i in range(20):
            reply = cluster.nodes[i % 3].http("PUT", f"/kv/key{i}?w=3", f"value {i}".encode())
            self.assertEqual(reply.status, 201)
        self.ids = {n["name"]: n["id"] for n in cluster_status(cluster.nodes[0])["nodes"]}
        for node in cluster.nodes:
            self.assertEqual(node.terminate(), 0)
        return cluster

    def check(self, cluster):
        cluster.wait_ready()
        wait_settled(cluster)
        wanted = {node.name: (node.http_address, node.peer_address) for node in cluster.nodes}
        for node in cluster.nodes:
            wait_until(lambda asked=node: addresses(asked) == wanted,
                       what="all addresses are known")
            self.assertEqual({n["name"]: n["id"] for n in cluster_status(node)["nodes"]}, self.ids)
            for i in range(20):
                reply = node.http("GET", f"/kv/key{i}?r=3")
                self.assertEqual((reply.status, reply.body), (200, f"value {i}".encode()))

    def test_all_at_once(self):
        cluster = self.filled()
        for node in cluster.nodes:
            move(node)
        for node in cluster.nodes:
            node.join = [other.peer_address for other in cluster.nodes]
            node.start()
        self.check(cluster)
        # What they learnt is stored: the next start needs no list.
        for node in cluster.nodes:
            self.assertEqual(node.terminate(), 0)
            node.join = []
        for node in cluster.nodes:
            node.start()
        self.check(cluster)

    def test_one_address_is_enough(self):
        """One after the other, long after the first has given up asking its old members."""
        cluster = self.filled()
        first, second, third = cluster.nodes
        for node in cluster.nodes:
            move(node)
        second.join = third.join = [first.peer_address]
        first.join = []
        first.start()
        wait_until(lambda: "going on by epoch" in first.log_tail(), what="it has asked for long")
        wait_not_ready(first, "'node2'")
        second.start()
        third.start()
        self.check(cluster)

    def test_addresses_go_round(self):
        """Each node gets the address that another one had."""
        cluster = self.filled()
        ports = [(n.http_port, n.resp_port, n.peer_port) for n in cluster.nodes]
        for node, taken in zip(cluster.nodes, ports[1:] + ports[:1]):
            node.http_port, node.resp_port, node.peer_port = taken
        for node in cluster.nodes:
            node.start()
        self.check(cluster)


class LocalCluster(unittest.TestCase):
    def test_up_again_with_other_ports(self):
        path = tempfile.mkdtemp(prefix="lariat-e2e-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)

        def up():
            base, = free_ports(1)
            while not all(port_is_free(base + 10 * i + k) for i in range(3) for k in range(3)):
                base, = free_ports(1)
            done = run_cli("up", "--dir", path, "--nodes", "3", "--base-port", str(base),
                           "--detach", timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.addCleanup(run_cli, "down", "--dir", path)
            return {"LARIAT_NODE": f"127.0.0.1:{base}"}

        env = up()
        self.assertEqual(run_cli("put", "a", "value", env=env).returncode, 0)
        self.assertEqual(run_cli("down", "--dir", path).returncode, 0)
        env = up()
        done = run_cli("get", "a", env=env)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "value"), done.stderr)


class Advertise(ClusterTest):
    def refused(self, *sets):
        done = subprocess.run([program("lariatd"), "--data-dir", "/nonexistent/lariat",
                               *[word for each in sets for word in ("--set", each)]],
                              capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def test_a_wildcard_needs_an_address_to_tell(self):
        for kind in ("http", "resp", "peer"):
            for host in ("0.0.0.0", "[::]", "0", "[::ffff:0.0.0.0]", "[0:0::0]"):
                told = self.refused("security.insecure=true", f"listen.{kind}={host}:7777")
                self.assertIn(f"listen.{kind} = {host}:7777", told)
                self.assertIn(f"--set advertise.{kind}=HOST:7777", told)
            told = self.refused("security.insecure=true", f"listen.{kind}=0.0.0.0:7777",
                                f"advertise.{kind}=0.0.0.0:7777")
            self.assertIn(f"advertise.{kind} = 0.0.0.0:7777 is no address", told)
        self.assertIn("security.insecure", self.refused("listen.peer=0.0.0.0:7777"))

    def test_what_is_advertised_is_told_and_checked(self):
        """A name for each node, of which one leads nowhere; the others go on without it."""
        cluster = Cluster(nodes=3, settings={**FAST, "security.insecure": "true"}, start=False)
        self.addCleanup(cluster.close)
        wrong, = free_ports(1)
        for node in cluster.nodes:
            node.join = [f"localhost:{other.peer_port}" for other in cluster.nodes]
            node.args = ["--set", f"listen.peer=0.0.0.0:{node.peer_port}",
                         "--advertise-http", f"localhost:{node.http_port}",
                         "--advertise-peer", f"localhost:{node.peer_port}"]
        for node in cluster.nodes[:2]:
            node.start()
        wait_not_ready(cluster.nodes[0], f"localhost:{cluster.nodes[2].peer_port}")
        self.assertEqual(fresh_get(cluster.nodes[0], "/readyz").json()["advertised"]["peer"],
                         f"localhost:{cluster.nodes[0].peer_port}")
        cluster.nodes[2].start()
        cluster.wait_ready()
        wait_settled(cluster)
        self.assertEqual(addresses(cluster.nodes[0]), {
            node.name: (f"localhost:{node.http_port}", f"localhost:{node.peer_port}")
            for node in cluster.nodes})
        first, third = cluster.nodes[0], cluster.nodes[2]
        for kind in ("peer", "http"):
            wait_until(lambda k=kind: f"advertise.{k} = localhost" in first.log_tail() and
                       "leads to this node" in first.log_tail(), what="it has dialled itself")
        third.args[-1] = f"localhost:{wrong}"
        third.terminate()
        third.start()
        wait_until(lambda: f"advertise.peer = localhost:{wrong} does not lead to this node"
                   in third.log_tail(), what="it warns")
        self.assertEqual(first.http("PUT", "/kv/a", b"value").status, 201)


@dataclass
class Pod(SpaceNode):
    """Listens on every address that its namespace has; known by a name that does not change."""
    def command(self):
        words = super().command()
        for flag, port in ("http", self.http_port), ("resp", self.resp_port), (
                "peer", self.peer_port):
            words[words.index(f"--{flag}") + 1] = f"0.0.0.0:{port}"
            words += [f"--advertise-{flag}", f"{self.name}.lariat:{port}"]
        return words


class Names(unittest.TestCase):
    """As pods of a stateful set: the names stay, the addresses do not."""
    maxDiff = None

    def setUp(self):
        self.network = network_or_skip(self)
        try:
            self.cluster = SpaceCluster(self.network, nodes=0)
            self.addCleanup(self.cluster.close)
            for _ in range(3):
                node = self.cluster.add_node(start=False)
                self.cluster.nodes[-1] = Pod(**{**vars(node), "join": [
                    f"node{i}.lariat:7482" for i in (1, 2, 3)]})
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipTest(f"no network namespaces here: {error}")
        self.nodes = self.cluster.nodes
        for node in self.nodes:
            files = f"/etc/netns/{node.space}"
            os.makedirs(files)
            self.addCleanup(shutil.rmtree, files)
            for name in "resolv.conf", "hosts":
                with open(os.path.join(files, name), "w", encoding="utf-8"):
                    pass

    def publish(self, nodes):
        """What the names of these nodes stand for; others are not known. Written in place: each
        process has this file, and not the name of it."""
        text = "".join(f"{node.host} {node.name}.lariat\n" for node in nodes)
        for node in self.nodes:
            with open(f"/etc/netns/{node.space}/hosts", "w", encoding="utf-8") as hosts:
                hosts.write("127.0.0.1 localhost\n" + text)

    def give(self, node, host):
        node.drop_client()
        node.host = host
        ip("-n", node.space, "addr", "flush", "dev", "eth0")
        ip("-n", node.space, "addr", "add", f"{host}/29", "dev", "eth0")
        ip("neigh", "flush", "dev", self.network.name)
        for other in self.nodes:
            ip("-n", other.space, "neigh", "flush", "dev", "eth0")

    def check(self, value):
        self.cluster.wait_ready()
        wait_settled(self.cluster)
        self.assertEqual(addresses(self.nodes[0]), {
            node.name: (f"{node.name}.lariat:8480", f"{node.name}.lariat:7482")
            for node in self.nodes})
        # Ready is who reaches a quorum; the third may take a moment longer.
        for node in self.nodes:
            wait_until(lambda n=node: n.http("GET", "/kv/a?r=3").body == value,
                       what=f"{node.name} reads {value} from all three")

    def test_names_stay_and_addresses_change(self):
        self.publish(self.nodes[:2])   # the third has no address yet
        for node in self.nodes:
            node.start()
        wait_not_ready(self.nodes[0], "node3.lariat")
        self.publish(self.nodes)
        self.cluster.wait_ready()
        self.assertEqual(self.nodes[0].http("PUT", "/kv/a?w=3", b"one").status, 201)
        self.check(b"one")
        # All at once, each with the address that another one had.
        for node in self.nodes:
            self.assertEqual(node.terminate(), 0)
        hosts = [node.host for node in self.nodes]
        for node, host in zip(self.nodes, hosts[1:] + hosts[:1]):
            self.give(node, host)
        self.publish(self.nodes)
        for node in self.nodes:
            node.start()
        self.check(b"one")
        # One while the others run.
        third = self.nodes[2]
        third.terminate()
        seen = self.nodes[0].http("GET", "/kv/a").header("X-Context")
        self.assertEqual(self.nodes[0].http("PUT", "/kv/a", b"two", {"X-Context": seen}).status,
                         201)
        self.give(third, self.network.address(5))
        self.publish(self.nodes)
        third.start()
        self.check(b"two")


if __name__ == "__main__":
    sys.exit(unittest.main())
