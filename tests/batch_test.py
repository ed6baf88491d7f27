# SPDX-License-Identifier: Apache-2.0
"""Batches, deleted buckets and feature levels on real processes."""

import base64
import json
import sys
import unittest
import uuid

from lariat_e2e import Cluster, ClusterTest, wait_settled, wait_until


def b64(value):
    return base64.b64encode(value).decode()


def put(key, value, **more):
    return {"op": "put", "key": key, "value": b64(value), **more}


def get(key, **more):
    return {"op": "get", "key": key, **more}


class Test(ClusterTest):
    def batch(self, node, operations, path="/v1/kv/batch", headers=None, status=200):
        reply = node.http("POST", path, json.dumps({"operations": operations}), headers)
        self.assertEqual(reply.status, status, reply.body[:500])
        return reply.json()["results"] if status == 200 else reply.json()["error"]

    def three(self, settings=None):
        cluster = self.cluster(nodes=3, settings={"membership.gossip_period_ms": 100,
                                                  **(settings or {})})
        cluster.wait_ready()
        return cluster


class Batch(Test):
    def test_each_item_has_its_own_outcome(self):
        cluster = self.three()
        one, two, three = cluster.nodes
        self.assertEqual(one.http("PUT", "/v1/buckets/carts", "{}").status, 201)
        results = self.batch(one, [
            put("a", b"1"), put("b", b"2", bucket="carts", ttl=1000), put("c", b"x", w=9),
            {"op": "delete", "key": "nothing"}, put("d", b"3", if_none_match="*"),
            put("e", b"4", bucket="no-such"), {"op": "jump", "key": "a"}])
        self.assertEqual([r["status"] for r in results], [201, 201, 400, 204, 201, 404, 400])
        read = self.batch(two, [get("a"), get("b", bucket="carts"), get("b"), get("d"),
                                get({"base64": b64(b"\xff\x00")})])
        self.assertEqual([r["status"] for r in read], [200, 200, 404, 200, 404])
        self.assertEqual([base64.b64decode(read[i]["value"]) for i in (0, 1, 3)],
                         [b"1", b"2", b"3"])
        self.assertIn("expires", read[1])
        lost = self.batch(three, [put("d", b"5", if_none_match="*"),
                                  put("a", b"6", if_match=read[0]["context"]),
                                  put("a", b"7", if_match=read[0]["context"])])
        self.assertEqual(lost[0]["status"], 409)
        self.assertEqual(lost[0]["error"]["code"], "precondition_failed")
        self.assertEqual(sorted(r["status"] for r in lost[1:]), [201, 409])

    def test_kinds_meet_in_batches_and_lists(self):
        cluster = self.three()
        one, two, _ = cluster.nodes
        for kind in ("counter", "set", "serial"):
            self.assertEqual(
                one.http("PUT", f"/v1/buckets/{kind}", json.dumps({"conflict": kind})).status, 201)
        results = self.batch(one, [
            {"op": "update", "bucket": "counter", "key": "n", "increment": 5, "ttl": 3600},
            {"op": "update", "bucket": "set", "key": "s", "add": ["b", "a"]},
            {"op": "update", "bucket": "set", "key": "s", "increment": 1},
            {"op": "update", "key": "plain", "increment": 1},
            {"op": "update", "bucket": "none", "key": "n", "increment": 1},
            put("lock", b"me", bucket="serial", if_none_match="*"),
            put("n", b"7", bucket="counter")])
        self.assertEqual([r["status"] for r in results], [200, 200, 409, 409, 404, 201, 409])
        self.assertEqual([results[0]["type"], results[0]["value"]], ["counter", 5])
        self.assertEqual(results[1]["value"], ["a", "b"])
        self.assertEqual(results[3]["error"]["code"], "wrong_type")
        self.assertEqual(results[5]["version"], 1)
        read = self.batch(two, [get("n", bucket="counter"), get("s", bucket="set"),
                                get("lock", bucket="serial")])
        self.assertEqual([r["status"] for r in read], [200, 200, 200])
        self.assertEqual([read[0]["value"], read[1]["value"]], [5, ["a", "b"]])
        self.assertEqual(base64.b64decode(read[2]["value"]), b"me")
        for kind, shown in (("counter", 5), ("set", ["a", "b"]), ("serial", b64(b"me"))):
            page = two.http("GET", f"/v1/buckets/{kind}/keys?values=true").json()
            self.assertEqual([pair["value"] for pair in page["pairs"]], [shown], page)

    def test_a_repeat_counts_once(self):
        cluster = self.three()
        head = {"Idempotency-Key": str(uuid.uuid4())}
        items = [put(f"k{i}", b"v") for i in range(10)]
        first = self.batch(cluster.nodes[0], items, headers=head)
        again = self.batch(cluster.nodes[1], items, headers=head)
        self.assertEqual([r["context"] for r in first], [r["context"] for r in again])
        self.assertTrue(all(r["replayed"] for r in again))
        for item in self.batch(cluster.nodes[2], [get(f"k{i}") for i in range(10)]):
            self.assertEqual(item["siblings"], [])

    def test_limits(self):
        node = self.three().nodes[0]
        self.assertEqual(len(self.batch(node, [get("a")] * 128)), 128)
        self.assertEqual(self.batch(node, [get("a")] * 129, status=413)["code"], "too_large")
        self.batch(node, [put("a", b"x" * 900000)] * 4, status=413)
        self.assertEqual(self.batch(node, [put("a", b"x" * 700000)] * 4)[0]["status"], 201)

    def test_a_hundred_keys_make_few_frames(self):
        cluster = self.three({"node.shards": 1, "repair.enabled": "false"})
        node = cluster.nodes[0]
        keys = [f"key{i}" for i in range(100)]
        self.batch(node, [put(key, b"v") for key in keys])

        def frames():
            return sum(n.metric("lariat_peer_frames_sent_total") for n in cluster.nodes)

        def messages():
            return sum(n.metric("lariat_peer_messages_sent_total") for n in cluster.nodes)
        few = []
        for _ in range(5):  # gossip has frames of its own
            before, sent = frames(), messages()
            results = self.batch(node, [get(key) for key in keys])
            few.append(frames() - before)
            self.assertEqual({r["status"] for r in results}, {200})
            self.assertGreaterEqual(messages() - sent, 100, "asked and answered")
        self.assertLess(min(few), 20, few)

    def test_a_dead_replica_fails_the_items_that_need_it(self):
        cluster = self.three()
        one, two, three = cluster.nodes
        keys = [f"k{i}" for i in range(20)]
        self.batch(one, [put(key, b"v") for key in keys])
        three.kill9()
        wait_until(lambda: self.batch(one, [get("k0", r=3)])[0]["status"] == 503)
        results = self.batch(one, [get(key, r=3 if i % 2 else 2) for i, key in enumerate(keys)])
        self.assertEqual([r["status"] for r in results], [200, 503] * 10)
        self.assertEqual(results[1]["error"]["needed"], 3)
        # A node that hangs is waited for by whom it concerns, until each item's own deadline.
        three.restart()
        wait_until(lambda: self.batch(one, [get("k0", r=3)])[0]["status"] == 200)
        three.pause()
        self.addCleanup(three.resume)
        results = self.batch(one, [get("k0", r=3, timeout_ms=200), get("k1", r=2)])
        self.assertIn(results[0]["status"], (503, 504))
        self.assertEqual(results[1]["status"], 200)


    def test_the_command_line(self):
        cluster = self.three()
        lines = "\n".join(json.dumps(item) for item in
                          [put(f"k{i}", b"v") for i in range(200)] + [get("k7"), get("none")])
        done = cluster.cli("batch", stdin=lines)
        self.assertEqual(done.returncode, 1, "one of them has no value")
        results = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([r["status"] for r in results], [201] * 200 + [200, 404])


class DeletedBuckets(Test):
    def setUp(self):
        self.own = self.three({"storage.durability": "none"})
        self.nodes = self.own.nodes

    def fill(self, bucket, count=300, size=2000, start=0):
        for at in range(start, start + count, 100):
            results = self.batch(self.nodes[0],
                                 [put(f"key{i}", bytes(size)) for i in range(at, at + 100)],
                                 f"/v1/buckets/{bucket}/kv/batch")
            self.assertEqual({r["status"] for r in results}, {201})

    def make(self, bucket):
        self.assertEqual(self.nodes[0].http("PUT", f"/v1/buckets/{bucket}",
                                            '{"conflict":"lww"}').status, 201)

    def statuses(self, node, bucket, count=100):
        return {r["status"] for r in self.batch(
            node, [get(f"key{i}") for i in range(count)], f"/v1/buckets/{bucket}/kv/batch")}

    def cli(self, code, *args):
        done = self.own.cli(*args, timeout=60)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def test_gone_at_once_and_its_space_in_time(self):
        self.make("carts")
        self.fill("carts", count=3000)
        said = self.cli(2, "bucket", "delete", "carts")
        self.assertIn("--yes", said)
        self.assertEqual(self.statuses(self.nodes[1], "carts"), {200})
        before = [n.metric("lariat_disk_bytes") for n in self.nodes]
        reply = self.nodes[0].http("DELETE", "/v1/buckets/carts")
        self.assertEqual(reply.status, 202, reply.body)
        task = reply.json()["task"]
        for node in self.nodes:
            self.assertEqual(node.http("GET", "/v1/buckets/carts").status, 404)
            self.assertEqual(self.statuses(node, "carts"), {404})
        self.make("carts")
        for node in self.nodes:
            self.assertEqual(self.statuses(node, "carts"), {404})
        wait_until(lambda: self.nodes[1].http("GET", f"/v1/admin/tasks/{task}").json()["state"]
                   == "done", 60, "the data to be removed")
        removed = sum(n.metric("lariat_deleted_bucket_records_total") for n in self.nodes)
        self.assertEqual(removed, 3 * 3000)
        self.fill("carts", count=100, size=10)
        self.assertEqual(self.statuses(self.nodes[2], "carts"), {200})
        # What was in files is out of them; what never got there is not in the figure.
        wait_until(lambda: all(n.metric("lariat_disk_bytes") <= max(b, 2 << 20)
                               for n, b in zip(self.nodes, before)), 60, "the space to be freed")
        self.assertEqual(self.nodes[0].http("DELETE", "/v1/buckets/default").status, 409)
        self.assertEqual(self.nodes[0].http("DELETE", "/v1/buckets/none").status, 404)

    def test_a_node_that_was_away_brings_nothing_back(self):
        self.make("carts")
        self.fill("carts")
        away = self.nodes[2]
        away.kill9()
        self.cli(0, "bucket", "delete", "carts", "--yes")
        self.make("carts")
        self.assertEqual(self.statuses(self.nodes[0], "carts"), {404})
        away.restart()
        wait_settled(self.own)
        self.cli(0, "repair", "--wait")
        for node in self.nodes:
            self.assertEqual(self.statuses(node, "carts", 128), {404})
        wait_until(lambda: away.metric("lariat_deleted_buckets_left") == 0, 60)
        self.assertEqual(away.metric("lariat_deleted_bucket_records_total"), 300)


class Levels(Test):
    def test_a_new_cluster_has_the_level_of_its_builds(self):
        cluster = self.three()
        status = cluster.nodes[0].http("GET", "/v1/cluster/status").json()
        self.assertEqual(status["feature_level"], 1)
        self.assertEqual(status["upgrade"], "")
        self.assertEqual(cluster.cli("cluster", "finalize-upgrade").returncode, 0)
        self.assertNotIn("upgrade", cluster.cli("status").stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
