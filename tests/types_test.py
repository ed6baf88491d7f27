# SPDX-License-Identifier: Apache-2.0
"""Values that merge: operations over HTTP and the command line, under kills and concurrency."""

import threading
import unittest
import uuid

from lariat_e2e import ClusterTest, wait_settled, wait_until


def bucket(node, kind, **properties):
    reply = node.http("PUT", f"/v1/buckets/{kind}s", {"conflict": kind, **properties})
    assert reply.status in (200, 201), reply.body
    return f"/v1/buckets/{kind}s/kv/"


def code(reply):
    return (reply.status, reply.json()["error"]["code"])


class Types(ClusterTest):
    def test_each_type_is_changed_by_operations_and_shown_by_reads(self):
        cluster = self.cluster()
        first, second, _ = cluster.nodes
        counters = bucket(first, "counter")
        reply = first.http("POST", counters + "c", {"increment": 5})
        self.assertEqual(reply.status, 200)
        self.assertEqual((reply.json()["type"], reply.json()["value"]), ("counter", 5))
        self.assertEqual(second.http("POST", counters + "c", {"increment": -7}).json()["value"], -2)
        self.assertEqual(second.http("GET", "/buckets/counters/kv/c").body, b"-2")
        shown = first.http("GET", "/buckets/counters/kv/c", headers={"Accept": "application/json"})
        self.assertEqual((shown.json()["type"], shown.json()["value"]), ("counter", -2))

        sets = bucket(first, "set")
        elements = ["b", "a", {"base64": "/w=="}]
        self.assertEqual(first.http("POST", sets + "s", {"add": elements}).json()["value"],
                         ["a", "b", {"base64": "/w=="}])
        page = second.http("GET", sets + "s?limit=2").json()
        self.assertEqual(page["value"], ["a", "b"])
        rest = second.http("GET", sets + "s?limit=2&cursor=" + page["next_cursor"]).json()
        self.assertEqual((rest["value"], "next_cursor" in rest), ([{"base64": "/w=="}], False))
        self.assertIs(second.http("GET", sets + "s?element=%ff").json()["contains"], True)
        self.assertIs(second.http("GET", sets + "s?element=z").json()["contains"], False)
        first.http("POST", sets + "s", {"remove": elements})
        self.assertEqual(second.http("GET", sets + "s").json()["value"], [])

        maps = bucket(first, "map")
        first.http("POST", maps + "m", {"update": {
            "name": {"register": "Ada"}, "visits": {"counter": 1}, "on": {"flag": True},
            "tags": {"set": {"add": ["x"]}}}})
        second.http("POST", maps + "m", {"update": {"visits": {"counter": 2}},
                                         "remove": [{"field": "on", "type": "flag"}]})
        value = {"name": {"register": "Ada"}, "visits": {"counter": 3}, "tags": {"set": ["x"]}}
        self.assertEqual(first.http("GET", maps + "m").json()["value"], value)
        raw = first.http("GET", "/buckets/maps/kv/m")
        self.assertEqual((raw.header("Content-Type"), raw.json()), ("application/json", value))

        registers = bucket(first, "register")
        first.http("POST", registers + "r", {"assign": "text"})
        self.assertEqual(second.http("GET", registers + "r").json()["value"], "text")
        put = first.http("PUT", "/buckets/registers/kv/r", b"bytes", {"Content-Type": "text/css"})
        self.assertEqual(put.status, 201)
        raw = second.http("GET", "/buckets/registers/kv/r")
        self.assertEqual((raw.body, raw.header("Content-Type")), (b"bytes", "text/css"))

        flags = bucket(first, "flag")
        self.assertIs(first.http("POST", flags + "f", {"enable": True}).json()["value"], True)
        self.assertIs(second.http("POST", flags + "f", {"enable": False}).json()["value"], False)
        self.assertEqual(second.http("GET", flags + "f").status, 200)

        hlls = bucket(first, "hll")
        for start in range(0, 3000, 1000):
            first.http("POST", hlls + "h", {"add": [str(n) for n in range(start, start + 1000)]})
        self.assertAlmostEqual(second.http("GET", hlls + "h").json()["value"], 3000, delta=90)

        for path in (counters + "c", sets + "s", maps + "m", registers + "r", flags + "f",
                     hlls + "h"):
            self.assertEqual(second.http("DELETE", path).status, 204)
            self.assertEqual(first.http("GET", path).status, 404)
        self.assertEqual(first.http("POST", counters + "c", {"increment": 1}).json()["value"], 1)
        self.check_refusals(first, counters, sets)
        self.check_command_line(cluster)

    def check_refusals(self, node, counters, sets):
        self.assertEqual(code(node.http("PUT", "/buckets/counters/kv/c", b"5")),
                         (409, "wrong_type"))
        self.assertEqual(code(node.http("POST", counters + "c", {"add": ["x"]})),
                         (409, "wrong_type"))
        self.assertEqual(code(node.http("POST", "/v1/kv/plain", {"increment": 1})),
                         (409, "wrong_type"))
        self.assertEqual(code(node.http("POST", sets + "s", {"add": ["x" * 1025]})),
                         (413, "element_too_large"))
        many = [str(n) for n in range(1001)]
        self.assertEqual(code(node.http("POST", sets + "s", {"add": many})),
                         (413, "operation_too_large"))
        for bad in ({}, {"add": "x"}, {"increment": 1.5}, {"add": ["x"], "other": 1}, []):
            self.assertEqual(node.http("POST", sets + "s", bad).status, 400, bad)
        twice = node.http("POST", sets + "s", b'{"add": ["x"], "add": ["y"]}',
                          {"Content-Type": "application/json"})
        self.assertEqual(twice.status, 400)
        self.assertEqual(node.http("GET", counters + "c?element=x").status, 400)
        self.assertEqual(node.http("GET", sets + "never").status, 404)

    def check_command_line(self, cluster):
        done = cluster.cli("update", "cart", '{"add": ["milk"]}', "--bucket", "sets")
        self.assertEqual((done.returncode, done.stdout), (0, '["milk"]\n'))
        done = cluster.cli("get", "cart", "--bucket", "sets")
        self.assertEqual((done.returncode, done.stdout), (0, '["milk"]\n'))
        done = cluster.cli("get", "c", "--bucket", "counters")
        self.assertEqual((done.returncode, done.stdout), (0, "1\n"))
        done = cluster.cli("update", "cart", '{"increment": 1}', "--bucket", "sets")
        self.assertEqual(done.returncode, 5)

    # Guards M35.
    def test_a_counter_is_exact_for_what_is_known_while_a_node_is_killed(self):
        cluster = self.cluster()
        first, second, third = cluster.nodes
        path = bucket(first, "counter") + "hot"
        done, unknown = [], []

        def client(number):
            node = (first, second)[number % 2]
            connection = node.connect()
            for step in range(60):
                amount = -1 if step % 3 == 0 else 2
                try:
                    status = connection.request("POST", path, {"increment": amount}).status
                except OSError:
                    unknown.append(amount)
                    connection = node.connect()
                    continue
                if status == 200:
                    done.append(amount)
                elif status != 503:   # 503: certainly not done
                    unknown.append(amount)
            connection.close()

        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(done) > 80, what="increments")
        third.kill9()
        for thread in threads:
            thread.join()
        third.restart()
        wait_settled(cluster)
        low = sum(done) + sum(n for n in unknown if n < 0)
        high = sum(done) + sum(n for n in unknown if n > 0)
        for node in cluster.nodes:
            value = node.http("GET", path).json()["value"]
            self.assertTrue(low <= value <= high, (low, value, high))
        self.assertGreater(len(done), 300)
        if not unknown:
            self.assertEqual(first.http("GET", path).json()["value"], sum(done))
        self.assertGreater(sum(n.metric('lariat_type_operations_total{type="counter"}') or 0
                               for n in cluster.nodes), 0)

    def test_a_repeat_under_its_id_counts_once_through_any_node(self):
        cluster = self.cluster()
        path = bucket(cluster.nodes[0], "counter") + "once"
        for _ in range(5):
            headers = {"Idempotency-Key": str(uuid.uuid4())}
            values = [node.http("POST", path, {"increment": 1}, headers).json()["value"]
                      for node in cluster.nodes]
            self.assertEqual(len(set(values)), 1, "a repeat gets the first answer")
        self.assertEqual(cluster.nodes[2].http("GET", path).json()["value"], 5)

    def test_in_a_cart_a_removed_element_stays_away_and_a_concurrent_one_stays(self):
        cluster = self.cluster()
        first, second, third = cluster.nodes
        path = bucket(first, "set") + "cart"
        first.http("POST", path, {"add": ["milk", "eggs"]})
        seen = first.http("GET", path).json()["context"]
        # Another device adds what this one is about to remove, and something else.
        second.http("POST", path, {"add": ["milk", "bread"]})
        third.kill9()
        removed = first.http("POST", path, {"remove": ["milk", "eggs"], "context": seen})
        self.assertEqual(removed.status, 200)
        self.assertEqual(first.http("GET", path).json()["value"], ["bread", "milk"])
        third.restart()
        wait_settled(cluster)
        for node in cluster.nodes:
            self.assertEqual(node.http("GET", path + "?r=3").json()["value"], ["bread", "milk"])
        explained = first.http("GET", "/v1/debug/explain?bucket=sets&key=cart").json()
        self.assertTrue(explained["agree"])
        self.assertEqual({r["state"] for r in explained["replicas"]}, {"found"})


if __name__ == "__main__":
    unittest.main()
