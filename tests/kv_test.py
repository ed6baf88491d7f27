# SPDX-License-Identifier: Apache-2.0
"""Keys, values and buckets over HTTP, in both dialects, against real clusters."""

import base64
import email
import email.policy
import sys
import threading
import time
import unittest
import uuid
from urllib.parse import quote

from lariat_e2e import Cluster, Http, wait_until

JSON = {"Accept": "application/json"}
YEAR_MS = 365 * 24 * 3600 * 1000


def setUpModule():
    global cluster
    cluster = Cluster(nodes=3)
    cluster.wait_ready()


def tearDownModule():
    cluster.close()


def fresh(prefix="k"):
    """A key that no other test uses."""
    return f"{prefix}-{uuid.uuid4()}"


def idempotent(key=None):
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def events(reply):
    """How many writes a version tells of."""
    return sum(reply.json()["version"].values())


def parts(reply):
    """The parts of a multipart reply as [(headers, bytes)]."""
    head = f"Content-Type: {reply.header('Content-Type')}\r\n\r\n".encode()
    message = email.message_from_bytes(head + reply.body, policy=email.policy.HTTP)
    return [(part, part.get_payload(decode=True)) for part in message.iter_parts()]


def values(node, path):
    """All values of a key, sorted; [] when there is none."""
    reply = node.http("GET", path, headers=JSON)
    if reply.status == 404:
        return []
    assert reply.status == 200, (reply.status, reply.body)
    body = reply.json()
    shown = [v["value"] for v in body["values"]] if body["conflict"] else [body["value"]]
    return sorted(base64.b64decode(value) for value in shown)


class Test(unittest.TestCase):
    maxDiff = None

    def status(self, wanted, reply):
        self.assertEqual(reply.status, wanted, reply.body)
        return reply

    def error(self, status, code, reply):
        self.status(status, reply)
        self.assertEqual(reply.json()["error"]["code"], code, reply.body)
        self.assertTrue(reply.json()["error"]["message"])


class RawDialect(Test):
    def test_bytes_come_back_from_every_node(self):
        path = "/kv/" + fresh()
        value = bytes(range(256)) * 5
        put = self.status(201, cluster.nodes[0].http("PUT", path, value,
                                                      {"Content-Type": "image/x-test"}))
        self.assertEqual(put.header("X-Version"), "[(node1,1)]")
        self.assertEqual(put.json()["context"], put.header("X-Context"))
        for node in cluster.nodes:
            get = self.status(200, node.http("GET", path))
            self.assertEqual(get.body, value)
            self.assertEqual(get.header("Content-Type"), "image/x-test")
            self.assertEqual(get.header("X-Version"), "[(node1,1)]")
            self.assertEqual(get.header("ETag"), f'"{get.header("X-Context")}"')
            self.assertTrue(get.header("Last-Modified").endswith("GMT"))
        head = self.status(200, cluster.nodes[1].http("HEAD", path))
        self.assertEqual((head.body, head.header("Content-Length")), (b"", str(len(value))))

    def test_every_byte_may_be_in_a_key(self):
        node = cluster.nodes[0]
        for key in (bytes(range(256)), b"/", b"\0", b"a b+c%", b"x" * 256, b".",
                    "schl\u00fcssel".encode()):
            path = "/kv/" + quote(key, safe="")
            self.status(201, node.http("PUT", path, b"value of " + key))
            self.assertEqual(node.http("GET", path).body, b"value of " + key)

    def test_values_of_no_byte_and_of_1_mib(self):
        for value in (b"", b"\xff" * (1 << 20)):
            path = "/kv/" + fresh()
            self.status(201, cluster.nodes[0].http("PUT", path, value))
            for node in cluster.nodes:
                self.assertEqual(self.status(200, node.http("GET", path)).body, value)

    def test_siblings_are_a_multipart_300(self):
        path = "/kv/" + fresh()
        first, second, third = cluster.nodes
        self.status(201, first.http("PUT", path, b"one\r\n--x", {"Content-Type": "text/one"}))
        self.status(201, second.http("PUT", path, b"two", {"Content-Type": "text/two"}))
        get = self.status(300, third.http("GET", path))
        self.assertTrue(get.header("Content-Type").startswith("multipart/mixed"))
        found = parts(get)
        self.assertEqual(sorted(value for _, value in found), [b"one\r\n--x", b"two"])
        self.assertEqual({part["Content-Type"] for part, _ in found}, {"text/one", "text/two"})
        self.assertEqual({part["X-Version"] for part, _ in found}, {"[(node1,1)]", "[(node2,1)]"})
        body = self.status(200, third.http("GET", path, headers=JSON)).json()
        self.assertTrue(body["conflict"])
        self.assertEqual(len(body["values"]), 2)
        # The head's context covers all parts.
        self.status(201, third.http("PUT", path, b"both", {"X-Context": get.header("X-Context")}))
        for node in cluster.nodes:
            self.assertEqual(self.status(200, node.http("GET", path)).body, b"both")

    def test_delete(self):
        path = "/kv/" + fresh()
        node = cluster.nodes[1]
        self.status(201, node.http("PUT", path, b"x"))
        gone = self.status(204, node.http("DELETE", path))
        self.assertEqual(gone.body, b"")
        for other in cluster.nodes:
            self.error(404, "not_found", other.http("GET", path))
        self.assertEqual(self.status(200, node.http("DELETE", path, headers=JSON)).json(),
                         {"deleted": True})


class Negotiation(Test):
    def test_what_a_client_has_is_not_sent_again(self):
        path = "/kv/" + fresh()
        first = cluster.nodes[0]
        self.status(201, first.http("PUT", path, b"one"))
        tag = {"If-None-Match": first.http("GET", path).header("ETag")}
        for node in cluster.nodes:
            same = self.status(304, node.http("GET", path, headers=tag))
            self.assertEqual((same.body, same.header("Vary")), (b"", "Accept"))
            self.status(304, node.http("HEAD", path, headers=tag))
        # Another form, another value: both are something that the client does not have.
        self.status(200, first.http("GET", path, headers={**tag, **JSON}))
        self.status(201, first.http("PUT", path, b"two", {"X-Context": tag["If-None-Match"][1:-1]}))
        for node in cluster.nodes:
            self.assertEqual(self.status(200, node.http("GET", path, headers=tag)).body, b"two")

    def test_a_tag_changes_when_a_sibling_expires(self):
        path = "/kv/" + fresh()
        first = cluster.nodes[0]
        self.status(201, first.http("PUT", path, b"stays"))
        self.status(201, first.http("PUT", path, b"goes", {"X-TTL": "1"}))
        both = self.status(300, first.http("GET", path))
        tag = {"If-None-Match": both.header("ETag")}
        one = wait_until(lambda: of_status(200, first.http("GET", path, headers=tag)),
                         what="one sibling is left")
        self.assertEqual((one.body, one.header("X-Context")), (b"stays", both.header("X-Context")))

    def test_two_lww_writes_of_one_stamp(self):
        bucket = fresh("lww")
        first = cluster.nodes[0]
        self.status(201, first.http("PUT", f"/v1/buckets/{bucket}", {"conflict": "lww"}))
        path, stamp = f"/buckets/{bucket}/kv/a", {"X-Client-Timestamp": "1700000000000"}
        tags = {}
        for value in (b"a", b"b", b"a"):
            self.status(201, first.http("PUT", path, value, stamp))
            shown = self.status(200, first.http("GET", path))
            self.assertEqual(tags.setdefault(shown.body, shown.header("ETag")),
                             shown.header("ETag"))
        self.assertEqual(len(tags), len(set(tags.values())))
        self.status(201, first.http("PUT", path, b"last", {"If-Match": shown.header("ETag")}))

    def test_accept(self):
        path = "/kv/" + fresh()
        first = cluster.nodes[0]
        self.status(201, first.http("PUT", path, b"text", {"Content-Type": "text/plain"}))
        for accept, shown in (("application/json;q=0.2, text/*;q=0.9", "text/plain"),
                              ("application/json, text/plain;q=0.5", "application/json"),
                              ("application/*", "application/json"), ("image/png", "text/plain")):
            reply = self.status(200, first.http("GET", path, headers={"Accept": accept}))
            self.assertEqual((reply.header("Content-Type"), reply.header("Vary")),
                             (shown, "Accept"), accept)
        self.error(406, "not_acceptable", first.http("GET", path, headers={"Accept": "*/*;q=0"}))


def of_status(wanted, reply):
    return reply if reply.status == wanted else None


class JsonDialect(Test):
    def test_round_trip(self):
        path = "/v1/kv/" + fresh()
        node = cluster.nodes[0]
        put = self.status(201, node.http("PUT", path, {"value": "aGVsbG8=",
                                                        "content_type": "text/plain"})).json()
        self.assertEqual(put["version"], {"node1": 1})
        get = self.status(200, cluster.nodes[2].http("GET", path)).json()
        self.assertEqual((get["key"], get["value"], get["content_type"], get["siblings"]),
                         (put["key"], "aGVsbG8=", "text/plain", []))
        self.assertEqual((get["version"], get["timestamp"]), (put["version"], put["timestamp"]))

    def test_siblings_contexts_and_delete(self):
        path = "/v1/kv/" + fresh()
        for node, value in zip(cluster.nodes, ("YQ==", "Yg==", "Yw==")):
            self.status(201, node.http("PUT", path, {"value": value}))
        node = cluster.nodes[0]
        get = self.status(200, node.http("GET", path)).json()
        self.assertNotIn("value", get)
        self.assertTrue(get["conflict"])
        self.assertEqual(sorted(s["value"] for s in get["siblings"]), ["YQ==", "Yg==", "Yw=="])
        for sibling in get["siblings"]:
            self.assertEqual(sum(sibling["version"].values()), 1)
            self.assertIsInstance(sibling["timestamp"], int)
        self.status(204, node.http("DELETE", path, {"context": get["context"]}))
        gone = node.http("GET", path)
        self.error(404, "not_found", gone)
        # The context of the 404 covers the delete: no sibling of a tombstone.
        self.status(201, node.http("PUT", path, {"value": "ZA==",
                                                  "context": gone.header("X-Context")}))
        self.assertEqual(node.http("GET", path).json()["siblings"], [])

    def test_both_dialects_see_the_same(self):
        key = fresh()
        node = cluster.nodes[0]
        self.status(201, node.http("PUT", f"/kv/{key}", b"\0raw"))
        self.assertEqual(node.http("GET", f"/v1/kv/{key}").json()["value"],
                         base64.b64encode(b"\0raw").decode())
        self.assertEqual(node.http("GET", f"/buckets/default/kv/{key}").body, b"\0raw")
        self.assertEqual(node.http("GET", f"/v1/buckets/default/kv/{key}").status, 200)


class Contexts(Test):
    def test_stale_context_replaces_only_what_it_saw(self):
        path = "/kv/" + fresh()
        node = cluster.nodes[0]
        old = node.http("PUT", path, b"1").header("X-Context")
        self.status(201, node.http("PUT", path, b"2", {"X-Context": old}))
        self.status(201, node.http("PUT", path, b"3", {"X-Context": old}))
        self.assertEqual(values(node, path), [b"2", b"3"])
        self.status(204, node.http("DELETE", path, headers={"X-Context": old}))
        self.assertEqual(values(node, path), [b"2", b"3"])

    # Guards M10.
    def test_context_of_a_put_does_not_cover_unseen_siblings(self):
        path = "/kv/" + fresh()
        mine = cluster.nodes[0].http("PUT", path, b"mine").header("X-Context")
        self.status(201, cluster.nodes[1].http("PUT", path, b"theirs"))
        for round_number in range(5):
            put = self.status(201, cluster.nodes[round_number % 3].http(
                "PUT", path, b"mine %d" % round_number, {"X-Context": mine}))
            mine = put.header("X-Context")
        self.assertEqual(values(cluster.nodes[2], path), [b"mine 4", b"theirs"])

    # Guards M11.
    def test_delete_without_context_covers_what_is_there(self):
        path = "/kv/" + fresh()
        for number, node in enumerate(cluster.nodes):
            self.status(201, node.http("PUT", path, b"%d" % number))
        self.assertEqual(len(values(cluster.nodes[0], path)), 3)
        self.status(204, cluster.nodes[1].http("DELETE", path))
        for node in cluster.nodes:
            for level in ("ONE", "QUORUM", "ALL"):
                self.error(404, "not_found", node.http("GET", path,
                                                       headers={"Consistency": level}))


class Expiry(Test):
    # Guards M14.
    def test_expires_and_uncovers_nothing(self):
        """The older value stays covered when the newer one has expired."""
        path = "/kv/" + fresh()
        node = cluster.nodes[0]
        context = node.http("PUT", path, b"old").header("X-Context")
        self.status(201, node.http("PUT", path, b"new", {"X-Context": context, "X-TTL": "1"}))
        get = self.status(200, node.http("GET", path))
        self.assertEqual(get.body, b"new")
        self.assertLess(abs(int(get.header("X-Expires")) - 1000 * time.time()), 1500)
        for other in cluster.nodes:
            wait_until(lambda n=other: n.http("GET", path).status == 404, what="expiry")
            self.assertEqual(other.http("GET", path + "?r=3").status, 404)

    # Guards M14: up to 2^63 - 1 seconds.
    def test_far_expiry(self):
        """No arithmetic overflows."""
        for seconds in (2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1):
            raw, enveloped = "/kv/" + fresh(), "/v1/kv/" + fresh()
            node = cluster.nodes[0]
            self.status(201, node.http("PUT", raw, b"x", {"X-TTL": str(seconds)}))
            self.status(201, node.http("PUT", enveloped, {"value": "eA==", "ttl": seconds}))
            for path in (raw, enveloped):
                for other in cluster.nodes:
                    self.status(200, other.http("GET", path))
            self.assertGreater(int(node.http("GET", raw).header("X-Expires")),
                               1000 * time.time() + YEAR_MS)
        for wrong in ("-1", str(2**63), "1.5", "x", ""):
            self.status(400, node.http("PUT", raw, b"y", {"X-TTL": wrong}))
        self.assertEqual(node.http("GET", raw).body, b"x")

    def test_ttl_of_a_bucket(self):
        bucket = fresh("ttl")
        node = cluster.nodes[0]
        self.status(201, node.http("PUT", f"/v1/buckets/{bucket}", {"ttl": 1}))
        short, long, never = (f"/buckets/{bucket}/kv/{name}" for name in ("s", "l", "n"))
        self.status(201, node.http("PUT", short, b"x"))
        self.status(201, node.http("PUT", long, b"x", {"X-TTL": "1000"}))
        self.status(201, node.http("PUT", never, b"x", {"X-TTL": "0"}))
        self.assertIsNone(node.http("GET", never).header("X-Expires"))
        wait_until(lambda: node.http("GET", short).status == 404, what="the bucket's ttl")
        self.status(200, node.http("GET", long))
        self.status(200, node.http("GET", never))


class Conditions(Test):
    def test_if_none_match(self):
        path = "/kv/" + fresh()
        node = cluster.nodes[0]
        only_new = {"If-None-Match": "*"}
        self.status(201, node.http("PUT", path, b"1", only_new))
        for other in cluster.nodes:
            self.error(409, "precondition_failed", other.http("PUT", path, b"2", only_new))
        self.assertEqual(values(node, path), [b"1"])
        self.status(204, node.http("DELETE", path))
        self.status(201, cluster.nodes[1].http("PUT", path, b"3", only_new))
        self.assertEqual(values(node, path), [b"3"])

    def test_if_match(self):
        path = "/kv/" + fresh()
        node = cluster.nodes[0]
        self.error(409, "precondition_failed", node.http("PUT", path, b"0", {"If-Match": "*"}))
        self.status(201, node.http("PUT", path, b"1"))
        tag = node.http("GET", path).header("ETag")
        self.status(201, cluster.nodes[1].http("PUT", path, b"2", {"If-Match": tag}))
        for other in cluster.nodes:
            self.error(409, "precondition_failed",
                       other.http("PUT", path, b"3", {"If-Match": tag}))
            self.error(409, "precondition_failed",
                       other.http("DELETE", path, headers={"If-Match": tag}))
        self.assertEqual(values(node, path), [b"2"])
        tag = node.http("GET", path).header("ETag")
        self.status(204, node.http("DELETE", path, headers={"If-Match": tag}))
        self.assertEqual(values(node, path), [])

    def test_one_of_many_wins(self):
        path = "/kv/" + fresh()
        statuses = []

        def put(number):
            client = Http(cluster.nodes[number % 3].http_port)
            reply = client.request("PUT", path, b"%d" % number, {"If-None-Match": "*"})
            statuses.append((reply.status, number))
            client.close()

        in_parallel(put, range(24))
        winners = [number for status, number in statuses if status == 201]
        self.assertEqual(len(winners), 1, statuses)
        self.assertEqual({status for status, _ in statuses}, {201, 409})
        self.assertEqual(values(cluster.nodes[0], path), [b"%d" % winners[0]])


class Idempotency(Test):
    # Guards M7.
    def test_repeat_gets_the_first_answer_from_every_node(self):
        path = "/kv/" + fresh()
        headers = idempotent()
        first = self.status(201, cluster.nodes[0].http("PUT", path, b"x", headers))
        self.assertIsNone(first.header("X-Replayed"))
        for node in cluster.nodes:
            again = self.status(201, node.http("PUT", path, b"other", headers))
            self.assertEqual(again.header("X-Replayed"), "true")
            for member in ("key", "version", "context", "timestamp"):
                self.assertEqual(again.json()[member], first.json()[member])
        self.assertEqual(values(cluster.nodes[0], path), [b"x"])
        self.assertEqual(events(cluster.nodes[0].http("GET", path, headers=JSON)), 1)

    def test_key_belongs_to_one_key(self):
        headers = idempotent()
        one, two = "/kv/" + fresh(), "/kv/" + fresh()
        for path in (one, two):
            self.assertIsNone(self.status(201, cluster.nodes[0].http(
                "PUT", path, b"x", headers)).header("X-Replayed"))

    def test_repeated_delete_spares_what_came_after(self):
        path = "/kv/" + fresh()
        headers = idempotent()
        node = cluster.nodes[0]
        self.status(201, node.http("PUT", path, b"1"))
        self.status(204, node.http("DELETE", path, headers=headers))
        self.status(201, node.http("PUT", path, b"2"))
        self.status(204, cluster.nodes[1].http("DELETE", path, headers=headers))
        self.assertEqual(values(node, path), [b"2"])

    # Guards M7: 10 rounds of 9 repeats at once.
    def test_concurrent_repeats_are_one_event(self):
        for _ in range(10):
            path, headers = "/kv/" + fresh(), idempotent()
            replies = []

            def put(number, path=path, headers=headers, replies=replies):
                client = Http(cluster.nodes[number % 3].http_port)
                replies.append(client.request("PUT", path, b"x", headers))
                client.close()

            in_parallel(put, range(9))
            self.assertEqual({reply.status for reply in replies}, {201})
            self.assertEqual({reply.header("X-Version") for reply in replies},
                             {replies[0].header("X-Version")})
            self.assertEqual(events(cluster.nodes[0].http("GET", path, headers=JSON)), 1)

    # Guards M7.
    def test_survives_the_coordinator(self):
        with Cluster(nodes=3) as own:
            own.wait_ready()
            coordinator, other, third = own.nodes
            sent = [("/kv/" + fresh(), idempotent()) for _ in range(10)]
            firsts = [self.status(201, coordinator.http("PUT", path, b"x", headers))
                      for path, headers in sent]
            coordinator.kill9()

            def repeated_by(node):
                for (path, headers), first in zip(sent, firsts):
                    again = wait_until(lambda: put_done(node, path, b"y", headers))
                    self.assertEqual(again.json()["version"], first.json()["version"])
                    self.assertEqual(again.json()["context"], first.json()["context"])
                    self.assertEqual(values(node, path), [b"x"])
                    self.assertEqual(events(node.http("GET", path, headers=JSON)), 1)

            repeated_by(other)
            coordinator.restart()
            repeated_by(coordinator)
            repeated_by(third)


def put_done(node, path, value, headers):
    """The reply if it is a 201; while a death is being noticed there may be others."""
    reply = node.http("PUT", path, value, headers)
    return reply if reply.status == 201 else None


def in_parallel(work, arguments):
    threads = [threading.Thread(target=work, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class LastWriteWins(Test):
    def setUp(self):
        self.bucket = fresh("lww")
        self.status(201, cluster.nodes[0].http("PUT", f"/v1/buckets/{self.bucket}",
                                               {"conflict": "lww"}))
        self.path = f"/buckets/{self.bucket}/kv/{fresh()}"

    def test_later_write_wins_through_any_node(self):
        for number in range(30):
            node = cluster.nodes[number % 3]
            self.status(201, node.http("PUT", self.path, b"%d" % number))
            reader = cluster.nodes[(number + 1) % 3]
            self.assertEqual(values(reader, self.path), [b"%d" % number])
        self.status(204, cluster.nodes[2].http("DELETE", self.path))
        self.assertEqual(values(cluster.nodes[0], self.path), [])

    def test_client_timestamp_orders(self):
        now = int(time.time() * 1000)
        for offset, value in ((-5000, b"early"), (-1000, b"late"), (-3000, b"between")):
            self.status(201, cluster.nodes[0].http("PUT", self.path, value,
                                                   {"X-Client-Timestamp": str(now + offset)}))
        for node in cluster.nodes:
            self.assertEqual(values(node, self.path), [b"late"])

    # Guards M36.
    def test_future_timestamp_is_refused(self):
        """A poisoned stamp never gets in."""
        node = cluster.nodes[0]
        self.status(201, node.http("PUT", self.path, b"good"))
        before = node.http("GET", self.path).header("X-Context")
        now = int(time.time() * 1000)
        for stamp in (now + 60_000, now + YEAR_MS, 2**62, 2**63 - 1, 2**63, 2**64, -1, "x", ""):
            self.error(400, "invalid_argument",
                       node.http("PUT", self.path, b"bad", {"X-Client-Timestamp": str(stamp)}))
        for other in cluster.nodes:
            self.assertEqual(values(other, self.path), [b"good"])
            self.assertEqual(other.http("GET", self.path).header("X-Context"), before)
        self.status(201, node.http("PUT", self.path, b"next"))
        self.assertEqual(values(node, self.path), [b"next"])

    def test_client_timestamp_needs_lww(self):
        self.error(400, "invalid_argument",
                   cluster.nodes[0].http("PUT", "/kv/" + fresh(), b"x",
                                         {"X-Client-Timestamp": "1000"}))


class Buckets(Test):
    def test_create_change_list(self):
        name = fresh("b")
        path = f"/v1/buckets/{name}"
        self.error(404, "not_found", cluster.nodes[0].http("GET", path))
        self.error(404, "not_found", cluster.nodes[0].http("PUT", f"/buckets/{name}/kv/a", b"x"))
        self.status(201, cluster.nodes[0].http("PUT", path, {"n": 3, "w": 3, "ttl": 7}))
        for node in cluster.nodes:
            shown = self.status(200, node.http("GET", path)).json()
            self.assertEqual((shown["n"], shown["r"], shown["w"], shown["ttl"]), (3, 2, 3, 7))
            self.assertEqual((shown["sloppy"], shown["conflict"], shown["ordered"],
                              shown["read_repair"]), (False, "siblings", False, 10))
            listed = node.http("GET", "/v1/buckets").json()["buckets"]
            self.assertIn(name, [bucket["name"] for bucket in listed])
        self.status(200, cluster.nodes[1].http("PUT", path, {"w": 2}))
        for node in cluster.nodes:
            changed = node.http("GET", path).json()
            self.assertEqual((changed["w"], changed["ttl"]), (2, 7))
        key = f"/buckets/{name}/kv/a"
        self.status(201, cluster.nodes[2].http("PUT", key, b"x"))
        self.status(404, cluster.nodes[2].http("GET", "/kv/a" + name))
        self.assertEqual(values(cluster.nodes[0], key), [b"x"])

    def test_eventual_needs_consent(self):
        path = "/v1/buckets/" + fresh("b")
        node = cluster.nodes[0]
        weak = {"r": 1, "w": 1}
        self.error(400, "invalid_argument", node.http("PUT", path, weak))
        self.status(404, node.http("GET", path))
        made = self.status(201, node.http("PUT", path, {**weak, "allow_eventual": True}))
        self.assertTrue(made.json()["warning"])

    def test_refused(self):
        node = cluster.nodes[0]
        path = "/v1/buckets/" + fresh("b")
        for wrong in ({"n": 0}, {"n": 65}, {"n": 3, "r": 4}, {"w": 0}, {"w": -1}, {"pw": 4},
                      {"r": "many"}, {"conflict": "rock"}, {"sloppy": 1}, {"read_repair": 101},
                      {"compaction": "x"}, {"ttl": -1}, {"ttl": "1"},
                      {"durability": "maybe"}, {"unknown": 1}, {"n": 1.5}, {"n": None, "x": []}):
            self.status(400, node.http("PUT", path, wrong))
            self.status(404, node.http("GET", path))
        for wrong in (b"", b"{", b"[]", b'{"n":3}x', b'{"n":3,"n":3}', b"\xff"):
            self.status(400, node.http("PUT", path, wrong))
        for name in ("x" * 65, "a%20b", "a%2Fb", "%00", "%C3%BC"):
            self.status(400, node.http("PUT", "/v1/buckets/" + name, {"n": 3}))
        self.status(201, node.http("PUT", "/v1/buckets/" + "x" * 64, {"n": 3}))
        self.status(201, node.http("PUT", path, {"conflict": "lww"}))
        self.error(409, "conflict", node.http("PUT", path, {"conflict": "siblings"}))
        self.assertEqual(node.http("GET", path).json()["conflict"], "lww")

    def test_buckets_survive_and_reach_who_was_away(self):
        with Cluster(nodes=3) as own:
            own.wait_ready()
            first = own.nodes[0]
            for away in own.nodes[1:]:
                away.kill9()
                name = "without-" + away.name
                self.status(201, first.http("PUT", "/v1/buckets/" + name, {"conflict": "lww"}))
                self.status(200, first.http("PUT", "/v1/buckets/" + name, {"w": 3}))
                away.restart()
                wait_until(lambda n=away, b=name: n.http("GET", "/v1/buckets/" + b).status == 200,
                           what="the bucket on the node that was away")
            for node in own.nodes:
                node.kill9()
            for node in own.nodes:
                node.start()
            own.wait_ready()
            for node in own.nodes:
                for name in ("without-node2", "without-node3"):
                    shown = node.http("GET", "/v1/buckets/" + name).json()
                    self.assertEqual((shown["conflict"], shown["w"]), ("lww", 3))

    def test_no_majority_is_no_success(self):
        with Cluster(nodes=3) as own:
            own.wait_ready()
            for node in own.nodes[1:]:
                node.kill9()
            reply = own.nodes[0].http("PUT", "/v1/buckets/lonely", {"conflict": "lww"})
            self.error(503, "unavailable", reply)
            self.assertIn("majority", reply.json()["error"]["message"])
            for node in own.nodes[1:]:
                node.restart()
            own.wait_ready()
            self.status(404, own.nodes[0].http("GET", "/v1/buckets/lonely"))


class Levels(Test):
    def test_levels_and_counts(self):
        path = "/kv/" + fresh()
        node = cluster.nodes[0]
        for level in ("one", "TWO", "Three", "QUORUM", "LOCAL_ONE", "local_quorum", "EACH_QUORUM",
                      "ALL"):
            for header in ("Consistency", "X-Consistency-Level", "X-Consistency"):
                context = node.http("GET", path).header("X-Context") or ""
                self.status(201, node.http("PUT", path, b"x", {header: level,
                                                               "X-Context": context}))
                self.status(200, node.http("GET", path, headers={header: level}))
        for query in ("r=1", "r=3&pr=3", "r=2&timeout_ms=5000", "r=1&sloppy=false"):
            self.status(200, node.http("GET", f"{path}?{query}"))
        put = self.status(201, node.http("PUT", path + "?w=3&pw=3", b"y"))
        self.assertEqual(put.header("X-Replicas"), "primaries=3 fallbacks=0")


class FiveNodes(Test):
    @classmethod
    def setUpClass(cls):
        cls.own = Cluster(nodes=5)
        cls.own.wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.own.close()

    # Guards M7.
    def test_any_node_takes_any_request_once(self):
        """One PUT is one event, wherever it arrives."""
        for _ in range(20):
            path = "/kv/" + fresh()
            for count, node in enumerate(self.own.nodes, 1):
                context = node.http("GET", path).header("X-Context") or ""
                put = self.status(201, node.http("PUT", path, b"%d" % count,
                                                 {"X-Context": context}))
                self.assertEqual(events(put), count)
                for reader in self.own.nodes:
                    self.assertEqual(self.status(200, reader.http("GET", path)).body,
                                     b"%d" % count)
        self.assertGreater(sum(n.metric("lariat_requests_forwarded_total")
                               for n in self.own.nodes), 0)

    def test_writes_without_context_are_all_kept(self):
        path = "/kv/" + fresh()
        sent = [b"%d" % number for number in range(20)]

        def put(value):
            client = Http(self.own.nodes[int(value) % 5].http_port)
            self.assertEqual(client.request("PUT", path, value).status, 201)
            client.close()

        in_parallel(put, sent)
        for node in self.own.nodes:
            self.assertEqual(values(node, path), sorted(sent))
            self.assertEqual(events(node.http("GET", path, headers=JSON)), len(sent))

    def test_three_replicas_hold_a_key(self):
        key = fresh()
        self.status(201, self.own.nodes[0].http("PUT", f"/kv/{key}?w=3", b"x"))
        for node in self.own.nodes:
            told = self.status(200, node.http("GET", f"/v1/debug/explain?key={key}")).json()
            self.assertEqual([r["state"] for r in told["replicas"]], ["found"] * 3)
            self.assertEqual(len(told["fallbacks"]), 2)
            self.assertTrue(told["agree"])

    def test_conditions_and_repeats_through_all_nodes(self):
        for _ in range(5):
            path, headers = "/kv/" + fresh(), {**idempotent(), "If-None-Match": "*"}
            first = self.status(201, self.own.nodes[0].http("PUT", path, b"1", headers))
            for node in self.own.nodes:
                again = self.status(201, node.http("PUT", path, b"2", headers))
                self.assertEqual(again.json()["context"], first.json()["context"])
                self.error(409, "precondition_failed",
                           node.http("PUT", path, b"3", {"If-None-Match": "*"}))
            self.status(204, self.own.nodes[4].http("DELETE", path))
            for node in self.own.nodes:
                self.status(404, node.http("GET", path))


class OtherShapes(Test):
    def test_one_node(self):
        with Cluster(nodes=1) as own:
            own.wait_ready()
            node = own.nodes[0]
            # The bucket that is there and new ones have as many replicas as can be.
            self.status(201, node.http("PUT", "/v1/buckets/single", {}))
            for path in ("/kv/a", "/buckets/single/kv/a"):
                self.status(201, node.http("PUT", path, b"x"))
                self.assertEqual(node.http("GET", path).body, b"x")
            self.status(201, node.http("PUT", "/v1/buckets/wide", {"n": 3}))
            refused = node.http("PUT", "/buckets/wide/kv/a", b"x")
            self.error(503, "insufficient_replicas", refused)
            self.assertEqual((refused.json()["error"]["needed"],
                              refused.json()["error"]["alive"]), (2, 1))
            node.kill9()
            node.restart()
            self.assertEqual(node.http("GET", "/buckets/single/kv/a").body, b"x")

    def test_nodes_join_one_after_the_other(self):
        """The first starts with no --join; the others name it."""
        with Cluster(nodes=1) as own:
            own.wait_ready()
            for count in (2, 3):
                own.add_node()
                own.wait_ready()
                for node in own.nodes:
                    wait_until(lambda n=node, c=count: len(
                        n.http("GET", "/v1/cluster/status").json()["nodes"]) == c,
                               what=f"{node.name} knows {count} nodes")
            wait_until(lambda: put_done(own.nodes[2], "/kv/a?w=3", b"x", {}), what="W=3")
            for node in own.nodes:
                self.status(200, node.http("GET", "/kv/a?r=3"))
            # The same command once there is data: it takes over its share and then is a member.
            late = own.add_node()

            def joined():
                nodes = own.nodes[0].http("GET", "/v1/cluster/status").json()["nodes"]
                return [n["state"] for n in nodes] == ["normal"] * 4
            wait_until(joined, what="the late node is a member")
            self.status(200, late.http("GET", "/kv/a?r=3"))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
