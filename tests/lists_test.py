# SPDX-License-Identifier: Apache-2.0
"""Lists against real nodes: walks, prefixes and ranges over HTTP, the command line and Redis, while
nodes join and die; an export that is taken back."""

import base64
import json
import os
import socket
import tempfile
import threading
import unittest
import urllib.parse

from lariat_e2e import ClusterTest, wait_settled, wait_until

FAST = {"node.shards": 2, "storage.durability": "none", "membership.gossip_period_ms": 100}


def put(node, bucket, key, value=b"v", headers=None):
    path = f"/buckets/{bucket}/kv/{urllib.parse.quote(key, safe='')}"
    reply = node.http("PUT", path, body=value, headers=headers)
    assert reply.status == 201, (reply.status, reply.body)


def fill(node, bucket, keys):
    for key in keys:
        put(node, bucket, key, key if isinstance(key, bytes) else key.encode())


def page(node, path, **query):
    reply = node.http("GET", path + "?" + urllib.parse.urlencode(query))
    return reply.status, reply.json()


def walk(nodes, path, between=lambda number: None, **query):
    """All keys, each page from the next node; a page that fails is asked for again."""
    keys, number = [], 0
    while True:
        between(number)

        def answered():
            live = [node for node in nodes if node.running()]
            for shift in range(len(live)):
                node = live[(number + shift) % len(live)]
                try:
                    status, body = page(node, path, **query)
                except OSError:
                    continue
                if status == 200:
                    return body
                assert status in (503, 504), body
            return None

        body = wait_until(answered, what="a page")
        keys += body.get("keys", body.get("pairs"))
        number += 1
        if not body["has_more"]:
            assert body["next_cursor"] is None
            return keys
        query["cursor"] = body["next_cursor"]


class Http(ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.keys = sorted(f"key-{i}" for i in range(300))

    def setUp(self):
        self.nodes = self.cluster(settings=FAST).nodes

    def test_a_walk_shows_every_key_once(self):
        fill(self.nodes[0], "default", self.keys)
        for limit in (7, 100, 1000):
            found = walk(self.nodes, "/v1/buckets/default/keys", limit=limit)
            self.assertEqual(sorted(found), self.keys)

    def test_values_are_as_a_get_shows_them(self):
        node = self.nodes[0]
        put(node, "default", "one", b"1", {"Content-Type": "text/x", "X-TTL": "1000"})
        put(node, "default", "two", b"a")
        put(node, "default", "two", b"b")
        put(node, "default", b"\xff\x00", b"odd")
        pairs = walk(self.nodes, "/v1/buckets/default/keys", values="true")
        by_key = {json.dumps(pair["key"]): pair for pair in pairs}
        self.assertEqual(len(by_key), 3)
        one = node.http("GET", "/v1/kv/one").json()
        shown = by_key['"one"']
        for name in ("value", "content_type", "expires", "context", "version", "timestamp"):
            self.assertEqual(shown[name], one[name], name)
        values = [base64.b64decode(v["value"]) for v in by_key['"two"']["values"]]
        self.assertEqual(sorted(values), [b"a", b"b"])
        odd = base64.b64encode(b"\xff\x00").decode()
        self.assertIn(json.dumps({"base64": odd}), by_key)

    def test_a_hash_tag_is_listed_in_order(self):
        node = self.nodes[0]
        tagged = ["{t}a1", "{t}a2", "{t}b1", "{t}b2"]
        fill(node, "default", self.keys[:20] + tagged)
        self.assertEqual(walk(self.nodes, "/kv", prefix="{t}", limit=1), tagged)
        self.assertEqual(walk(self.nodes, "/buckets/default/kv", prefix="{t}b"), tagged[2:])
        range_path = "/v1/buckets/default/kv/range"
        self.assertEqual(walk(self.nodes, range_path, start="{t}a2", end="{t}b2"), tagged[1:3])
        self.assertEqual(walk(self.nodes, range_path, start="b", end="a"), [])
        for path, query in [("/kv", {"prefix": "key"}), ("/kv", {}),
                            (range_path, {"start": "a", "end": "b"})]:
            status, body = page(node, path, **query)
            self.assertEqual(status, 400)
            self.assertIn("hash tag", body["error"]["message"])

    def test_what_is_refused(self):
        node = self.nodes[0]
        fill(node, "default", self.keys[:5])
        path = "/v1/buckets/default/keys"
        cursor = page(node, path, limit=2)[1]["next_cursor"]
        for query in [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"cursor": "x"},
                      {"cursor": cursor[:-1]}, {"values": "yes"}, {"colour": "red"}, {"r": 4}]:
            status, body = page(node, path, **query)
            self.assertEqual(status, 400, (query, body))
        self.assertEqual(page(node, "/kv", prefix="{t}", cursor=cursor)[0], 400)
        self.assertEqual(page(node, "/v1/buckets/none/keys")[0], 404)

    def test_two_of_three_nodes_are_enough_and_one_is_not(self):
        fill(self.nodes[0], "default", self.keys[:50])
        self.nodes[2].kill9()
        found = walk(self.nodes[:2], "/v1/buckets/default/keys", limit=9)
        self.assertEqual(sorted(found), self.keys[:50])
        self.nodes[1].kill9()

        def refused():
            status, body = page(self.nodes[0], "/v1/buckets/default/keys")
            return status == 503 and body["error"]["code"] == "insufficient_replicas"

        wait_until(refused, what="a refusal")
        found = walk(self.nodes[:1], "/v1/buckets/default/keys", r=1)
        self.assertEqual(sorted(found), self.keys[:50])


class Changes(ClusterTest):
    def test_keys_that_live_during_a_walk_are_shown_once(self):
        """Writers, a node that joins, a node that is killed, and deletes of other keys."""
        cluster = self.cluster(settings=FAST)
        nodes = cluster.nodes
        stay = sorted(f"stay-{i}" for i in range(400))
        go = [f"go-{i}" for i in range(200)]
        fill(nodes[0], "default", stay + go)
        stop = threading.Event()

        def write():
            connection = nodes[0].connect()
            for number in range(1 << 30):
                if stop.is_set():
                    break
                connection.request("PUT", f"/kv/new-{number}", body=b"v")
                connection.request("DELETE", f"/kv/{go[number % len(go)]}")
                connection.request("PUT", f"/kv/{stay[number % len(stay)]}", body=b"again")
            connection.close()

        writer = threading.Thread(target=write)
        writer.start()
        self.addCleanup(writer.join)
        self.addCleanup(stop.set)

        def between(number):
            if number == 3:
                cluster.add_node("node4")
            if number == 20:
                nodes[1].kill9()
            if number == 35:
                nodes[1].start()

        try:
            found = walk(nodes[:3], "/v1/buckets/default/keys", between, limit=10)
        finally:
            stop.set()
            writer.join()
        for key in set(found):
            self.assertEqual(found.count(key), 1, key)
        self.assertEqual(sorted(key for key in found if key.startswith("stay-")), stay)
        nodes[1].wait_ready()
        wait_settled(cluster, timeout=60)
        found = walk(cluster.nodes, "/v1/buckets/default/keys", limit=100)
        self.assertEqual(sorted(key for key in found if key.startswith("stay-")), stay)


class CommandLine(ClusterTest):
    def setUp(self):
        self.lariat = self.cluster(settings=FAST)
        self.nodes = self.lariat.nodes

    def cli(self, *args, code=0):
        done = self.lariat.cli(*args, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def test_scan_and_count(self):
        keys = sorted(f"key-{i}" for i in range(1500))
        fill(self.nodes[0], "default", keys)
        self.assertEqual(sorted(self.cli("scan").splitlines()), keys)
        self.assertEqual(len(self.cli("scan", "--limit", "12").splitlines()), 12)
        self.assertEqual(self.cli("count").strip(), "1500")
        about = int(self.cli("count", "--estimate"))
        self.assertLess(abs(about - 1500), 300)
        shown = json.loads(self.cli("bucket", "stats", "default", "--json"))
        self.assertLess(abs(shown["keys"] - 1500), 300)
        fill(self.nodes[0], "default", ["{t}1", "{t}2"])
        shown = self.cli("scan", "--prefix", "{t}", "--values")
        self.assertEqual(shown, "{t}1\t{t}1\n{t}2\t{t}2\n")
        self.cli("scan", "--prefix", "key", code=2)

    def test_an_export_is_taken_back(self):
        node = self.nodes[0]
        fill(node, "default", [f"key-{i}" for i in range(1200)])
        put(node, "default", b"\xff\x01", b"\x00\xff", {"Content-Type": "image/x"})
        put(node, "default", "brief", b"v", {"X-TTL": "100000"})
        put(node, "default", "both", b"a", {"Content-Type": "text/a"})
        put(node, "default", "both", b"b")
        put(node, "default", "gone", b"v")
        node.http("DELETE", "/kv/gone")
        with tempfile.TemporaryDirectory() as there:
            first, state = os.path.join(there, "first.ndjson"), os.path.join(there, "state")
            second = os.path.join(there, "second.ndjson")
            self.cli("export", "--out", first, "--resume", state)
            # Gone on with from its middle: no line twice.
            with open(state, encoding="utf-8") as file:
                self.assertTrue(json.load(file)["done"])
            self.cli("export", "--out", first, "--resume", state)
            self.cli("bucket", "create", "copy")
            self.cli("import", first, "--bucket", "copy")
            self.cli("export", "--bucket", "copy", "--out", second)
            self.assertEqual(self.lines(second), self.lines(first))
            self.assertEqual(len(self.lines(first)), 1203)

    @staticmethod
    def lines(path):
        """Without contexts, which are bound to their bucket, and expiries to the second."""
        found = {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                record.pop("context", None)
                if "expires" in record:
                    record["expires"] //= 10000
                if "siblings" in record:
                    record["siblings"].sort(key=json.dumps)
                key = json.dumps(record.pop("key"))
                assert key not in found, key
                found[key] = record
        return found


class Redis(ClusterTest):
    def command(self, node, *args):
        with socket.create_connection(("127.0.0.1", node.resp_port), timeout=20) as client:
            reader = client.makefile("rb")
            text = b"*%d\r\n" % len(args)
            for arg in args:
                arg = str(arg).encode()
                text += b"$%d\r\n%s\r\n" % (len(arg), arg)
            client.sendall(text)
            return self.reply(reader)

    def reply(self, reader):
        line = reader.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"*":
            return [self.reply(reader) for _ in range(int(rest))]
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else reader.read(size + 2)[:-2].decode()
        return int(rest) if kind == b":" else rest.decode()

    def test_keys_of_a_database(self):
        nodes = self.cluster(settings=FAST).nodes
        self.assertEqual(self.command(nodes[0], "dbsize"), 0)
        self.assertIsNone(self.command(nodes[0], "randomkey"))
        keys = sorted(f"key:{i}" for i in range(200))
        self.command(nodes[0], "mset", *[part for key in keys for part in (key, "v")])
        self.command(nodes[0], "set", "{tag}1", "v")
        found, cursor, number = [], "0", 0
        while True:
            cursor, some = self.command(nodes[number % 3], "scan", cursor, "match", "key:*",
                                        "count", "17")
            self.assertLess(int(cursor), 1 << 64)
            found += some
            number += 1
            if cursor == "0":
                break
        self.assertEqual(sorted(found), keys)
        self.assertEqual(self.command(nodes[1], "dbsize"), 201)
        self.assertEqual(self.command(nodes[1], "keys", "{tag}?"), ["{tag}1"])
        self.assertIn(self.command(nodes[2], "randomkey"), keys + ["{tag}1"])
        self.assertEqual(self.command(nodes[2], "scan", "0", "type", "hash")[1], [])
        self.assertIn("ERR", self.command(nodes[2], "scan", "x"))


if __name__ == "__main__":
    unittest.main()
