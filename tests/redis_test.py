# SPDX-License-Identifier: Apache-2.0
"""Programs that speak the Redis protocol against three real nodes: redis-cli, redis-benchmark and
redis-py of Debian, and bare sockets where programs are too polite."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import unittest

from lariat_e2e import ClusterTest, raw_exchange, wait_until

# Where Debian puts its modules, should another Python run this.
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import redis
except ImportError:
    redis = None

MIB = 1 << 20
SMALL = {"node.shards": 2, "storage.durability": "none"}


def command(*args):
    """As it is sent."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in args]
    return b"*%d\r\n" % len(parts) + b"".join(
        b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def dial(node, data=b""):
    client = socket.create_connection(("127.0.0.1", node.resp_port), timeout=20)
    client.sendall(data)
    return client


def read_all(client):
    received = b""
    while chunk := client.recv(65536):
        received += chunk
    return received


class Tools(ClusterTest):
    """redis-cli and redis-benchmark."""

    def setUp(self):
        if shutil.which("redis-cli") is None:
            self.skipTest("redis-tools is not installed")
        self.nodes = self.cluster(settings=SMALL).nodes

    def cli(self, *args, node=0, stdin=None):
        done = subprocess.run(["redis-cli", "-p", str(self.nodes[node].resp_port), *args],
                              input=stdin, capture_output=True, timeout=60, check=True)
        return done.stdout.decode().rstrip("\n")

    def test_redis_cli(self):
        self.assertEqual(self.cli("set", "greeting", "hello"), "OK")
        self.assertEqual(self.cli("get", "greeting", node=1), "hello")
        self.assertEqual(self.cli("-3", "get", "greeting", node=2), "hello")
        self.assertEqual(self.cli("-n", "5", "exists", "greeting"), "0")
        reply = self.nodes[2].http("GET", "/buckets/redis-0/kv/greeting")
        self.assertEqual((reply.status, reply.body), (200, b"hello"))
        self.assertEqual(self.cli("incrby", "count", "41"), "41")
        self.assertEqual(self.cli("incr", "count", node=1), "42")
        self.assertIn("redis_version:", self.cli("info", "server"))
        self.assertIn("not supported yet: HSET", self.cli("hset", "a", "b", "c"))
        self.assertIn("summary", self.cli("command", "docs", "get"))
        for node in self.nodes[1:]:
            node.kill9()
        wait_until(lambda: self.nodes[0].http("GET", "/healthz").json()["nodes_alive"] == 1,
                   what="the others are found dead")
        self.assertIn("ERR insufficient_replicas", self.cli("set", "greeting", "lost"))

    def test_pipe_sends_what_it_is_given(self):
        lines = b"".join(command("SET", f"key{i}", f"value{i}") for i in range(10000))
        told = self.cli("--pipe", stdin=lines)
        self.assertIn("errors: 0, replies: 10000", told)
        self.assertEqual(self.cli("get", "key9999", node=1), "value9999")

    def test_redis_benchmark(self):
        done = subprocess.run(
            ["redis-benchmark", "-p", str(self.nodes[0].resp_port), "-t", "set,get,incr,mset",
             "-n", "2000", "-c", "8", "-P", "4", "-r", "1000", "--csv"],
            capture_output=True, timeout=120, check=True)
        self.assertEqual(done.stdout.count(b"\n"), 5, done.stdout + done.stderr)
        self.assertEqual(self.nodes[0].metric("lariat_resp_refused_total"), 0)
        self.assertGreaterEqual(self.nodes[0].metric("lariat_resp_commands_total"), 8000)


@unittest.skipIf(redis is None, "python3-redis is not installed")
class Library(ClusterTest):
    """redis-py."""

    def setUp(self):
        self.nodes = self.cluster(settings=SMALL).nodes
        self.client = self.connect(0)

    def connect(self, number, **options):
        client = redis.Redis(port=self.nodes[number].resp_port, socket_timeout=20, **options)
        self.addCleanup(client.close)
        return client

    def test_values_of_every_byte_and_size(self):
        every = bytes(range(256))
        other = self.connect(1)
        for value in (b"", every, b"\r\n$-1\r\n", os.urandom(MIB)):
            self.client.set(every[:200], value)
            self.assertEqual(other.get(every[:200]), value)
        with self.assertRaisesRegex(redis.ResponseError, "too_large"):
            self.client.set("large", b"x" * (MIB + 1))
        with self.assertRaisesRegex(redis.ResponseError, "invalid_argument.*256"):
            self.client.set("k" * 512, b"x")
        with self.assertRaisesRegex(redis.ResponseError, "invalid_argument"):
            self.client.get("k" * 512)
        self.assertTrue(self.client.ping())

    def test_commands(self):
        client, other = self.client, self.connect(2)
        self.assertTrue(client.mset({f"k{i}": i for i in range(300)}))
        self.assertEqual(other.mget([f"k{i}" for i in range(301)]),
                         [str(i).encode() for i in range(300)] + [None])
        self.assertEqual(other.delete(*[f"k{i}" for i in range(150)], "none"), 150)
        self.assertEqual(client.exists(*[f"k{i}" for i in range(300)]), 150)
        self.assertTrue(client.set("e", "v", px=60000, nx=True))
        self.assertIsNone(other.set("e", "w", nx=True))
        self.assertTrue(50000 < other.pttl("e") <= 60000)
        self.assertEqual(client.append("e", "w"), 2)
        self.assertTrue(other.ttl("e") > 0)
        self.assertTrue(client.persist("e"))
        self.assertEqual(other.ttl("e"), -1)
        self.assertTrue(client.pexpire("e", 30))
        wait_until(lambda: other.get("e") is None, what="it has expired")
        self.assertEqual(client.incrbyfloat("f", 1.5), 1.5)
        self.assertEqual(other.type("f"), b"string")
        self.assertEqual(client.wait(2, 1000), 1)

    def test_lariats_commands_and_contexts_are_those_of_http(self):
        client, node = self.client, self.nodes[1]
        made = node.http("PUT", "/v1/buckets/things", {"conflict": "siblings"})
        self.assertIn(made.status, (200, 201))
        for value in "apple", "pear":
            client.execute_command("LARIAT.PUT", "things", "cart", value)
        found = client.execute_command("LARIAT.GET", "things", "cart")
        shown = dict(zip(found[::2], found[1::2]))
        self.assertEqual(len(shown[b"siblings"]), 2)
        reply = node.http("PUT", "/buckets/things/kv/cart", b"both",
                          {"X-Context": shown[b"context"].decode()})
        self.assertEqual(reply.status, 201)
        found = client.execute_command("LARIAT.GET", "things", "cart")
        self.assertEqual(dict(zip(found[::2], found[1::2]))[b"value"], b"both")
        once = [client.execute_command("LARIAT.ONCE", "only-once", "INCR", "counted")
                for _ in range(2)]
        self.assertEqual(once, [1, b"REPLAYED"])
        self.assertEqual(self.connect(2).get("counted"), b"1")

    def test_increments_of_many_clients_all_count(self):
        done, unknown = [], []   # what a slow machine leaves unknown may have counted

        def work(number):
            client = self.connect(number % 3)
            for _ in range(50):
                try:
                    done.append(client.incr("hits"))
                except redis.ResponseError as error:
                    if str(error).startswith("outcome_unknown"):
                        unknown.append(error)
        threads = [threading.Thread(target=work, args=(i,), name=f"incr{i}") for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreater(len(done), 100)
        self.assertEqual(len(set(done)), len(done), "an answer was given twice")
        hits = int(self.client.get("hits"))
        self.assertTrue(len(done) <= hits <= len(done) + len(unknown), (hits, len(done), unknown))

    def test_a_nodes_death_is_survived(self):
        clients = [self.connect(0), self.connect(1)]
        for i in range(50):
            clients[0].set(f"k{i}", i)
        self.nodes[2].kill9()
        acknowledged = {}
        for i in range(200):
            try:
                clients[i % 2].set(f"d{i}", i)
                acknowledged[f"d{i}"] = str(i).encode()
            except redis.ResponseError as error:
                self.assertRegex(str(error), "^(outcome_unknown|unavailable|insufficient)")
        self.assertGreater(len(acknowledged), 100)
        for key, value in acknowledged.items():
            self.assertEqual(clients[0].get(key), value)
        # One that was connected to the dead node connects again when it is back.
        lost = self.connect(2)
        with self.assertRaises(redis.ConnectionError):
            lost.get("k1")
        self.nodes[2].restart()
        self.assertEqual(lost.get("k1"), b"1")


@unittest.skipIf(redis is None, "python3-redis is not installed")
class ClusterMode(ClusterTest):
    def test_a_client_of_a_redis_cluster(self):
        nodes = self.cluster(settings={**SMALL, "resp.cluster_mode": "true"}).nodes
        client = redis.RedisCluster(host="127.0.0.1", port=nodes[0].resp_port, socket_timeout=20)
        self.addCleanup(client.close)
        for i in range(100):
            self.assertTrue(client.set(f"k{i}", i))
        self.assertEqual([client.get(f"k{i}") for i in range(100)],
                         [str(i).encode() for i in range(100)])
        for node in nodes:   # each was sent some
            self.assertGreater(node.metric("lariat_resp_commands_total"), 10)


class Sockets(ClusterTest):
    def setUp(self):
        self.node = self.cluster(nodes=1, settings={
            **SMALL, "cluster.default_n": 1, "resp.output_bytes_max": 4 * MIB}).nodes[0]

    def test_ten_thousand_commands_in_one_piece(self):
        sent = b"".join(command("INCR", "one") + command("SET", f"k{i}", i) +
                        command("GET", f"k{i}") for i in range(3333)) + command("QUIT")
        with dial(self.node) as client:
            writer = threading.Thread(target=client.sendall, args=(sent,))
            writer.start()
            received = read_all(client)
            writer.join()
        expected = b"".join(b":%d\r\n+OK\r\n$%d\r\n%d\r\n" % (i + 1, len(str(i)), i)
                            for i in range(3333)) + b"+OK\r\n"
        self.assertEqual(received, expected)

    def test_half_closed_connections_get_their_replies(self):
        answer = raw_exchange(self.node.resp_port, command("SET", "a", "1") + command("GET", "a"),
                              half_close=True)
        self.assertEqual(answer, b"+OK\r\n$1\r\n1\r\n")

    # Guards M40.
    def test_a_client_that_never_reads_costs_little_and_stops_nobody(self):
        with dial(self.node, command("SET", "large", b"x" * MIB)) as client:
            self.assertEqual(client.recv(5), b"+OK\r\n")
            client.settimeout(0.5)
            try:
                client.sendall(command("GET", "large") * 100_000)
            except TimeoutError:
                pass   # it is not read any more
            wait_until(lambda: self.node.metric("lariat_resp_output_waits_total") > 0,
                       what="it waits")
            self.assertLess(self.node.metric("lariat_resp_output_bytes"), 8 * MIB)
            with dial(self.node, b"PING\r\n") as other:
                self.assertEqual(other.recv(7), b"+PONG\r\n")
        wait_until(lambda: self.node.metric("lariat_resp_connections") == 0, what="it is gone")

    # Guards M41.
    def test_what_is_no_command_ends_its_connection(self):
        for sent in (b"*1\r\n:1\r\n", b"*99999999999\r\n", b"*3\r\n$-5\r\n",
                     b"*1\r\n$99999999999\r\n", b"*1\r\n$1\r\nabc", b"*1\rPING", b"a" * 100_000,
                     b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n", b'"a\r\n',
                     b"*1\r\n" * 1000):
            answer = raw_exchange(self.node.resp_port, sent)
            self.assertTrue(answer.startswith(b"-ERR Protocol error: "), (sent[:40], answer))
        self.assertEqual(raw_exchange(self.node.resp_port, b"\x16\x03\x01\0\r\n", 0.5)[:12],
                         b"-ERR unknown")
        self.assertEqual(self.node.metric("lariat_resp_refused_total"), 10)

    def test_a_node_that_drains_answers_what_is_in_work(self):
        with dial(self.node, command("SET", "a", "1")) as client:
            self.assertEqual(client.recv(5), b"+OK\r\n")
            ended = threading.Thread(target=self.node.terminate)
            ended.start()
            self.assertEqual(read_all(client), b"")
            ended.join()


if __name__ == "__main__":
    unittest.main()
