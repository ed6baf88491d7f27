# SPDX-License-Identifier: Apache-2.0
"""What clients, peers and operators get wrong: a clear refusal, nothing changed, nothing hung."""

import base64
import os
import random
import socket
import subprocess
import sys
import time
import tomllib
import unittest
import uuid

from lariat_e2e import Cluster, Http, program, raw_exchange, small_disk, wait_until

MIB = 1 << 20
HEADER_TIMEOUT_S = 0.8
SETTINGS = {"http.header_timeout_ms": 800, "http.body_timeout_ms": 800,
            "peer.connect_timeout_ms": 600}


def setUpModule():
    global cluster, node
    cluster = Cluster(nodes=3, settings=SETTINGS)
    cluster.wait_ready()
    node = cluster.nodes[0]


def tearDownModule():
    cluster.close()


def fresh(prefix="k"):
    return f"{prefix}-{uuid.uuid4()}"


class Test(unittest.TestCase):
    def refused(self, reply, *statuses):
        """A refusal says why, in the one form."""
        self.assertIn(reply.status, statuses or (400,), reply.body[:300])
        error = reply.json()["error"]
        self.assertTrue(error["code"] and error["message"], error)
        return error

    def raw_refused(self, sent, *statuses, timeout=5.0):
        """The same for bytes that no client library would send. The connection is over."""
        answer = raw_exchange(node.http_port, sent, timeout=timeout)
        self.assertTrue(answer.startswith(b"HTTP/1.1 "), (sent[:80], answer[:200]))
        self.assertIn(int(answer[9:12]), statuses or (400,), (sent[:80], answer[:300]))
        self.assertIn(b'"error"', answer)
        return answer

    def still_serves(self):
        path = "/kv/" + fresh()
        self.assertEqual(node.http("PUT", path, b"fine").status, 201)
        self.assertEqual(node.http("GET", path).body, b"fine")


class KeysAndValues(Test):
    def test_key_sizes(self):
        for method, body in (("PUT", b"x"), ("GET", None), ("DELETE", None)):
            for base in ("/kv/", "/buckets/default/kv/"):
                self.refused(node.http(method, base, body))
                self.refused(node.http(method, base + "k" * 257, body))
                self.refused(node.http(method, base + "%00" * 257, body))
        for base in ("/v1/kv/", "/v1/buckets/default/kv/"):
            for key in ("", "k" * 257):
                self.refused(node.http("PUT", base + key, {"value": "eA=="}))
                self.refused(node.http("GET", base + key))
                self.refused(node.http("DELETE", base + key))
        for key in ("%", "%4", "%zz", "a%"):
            self.refused(node.http("PUT", "/kv/" + key, b"x"))

    def test_value_size(self):
        path, enveloped = "/kv/" + fresh(), "/v1/kv/" + fresh()
        big = b"v" * (MIB + 1)
        client = Http(node.http_port)  # the server closes what it refuses to read
        for send in (lambda: client.request("PUT", path, big),
                     lambda: client.request("PUT", enveloped, envelope(big))):
            try:
                self.refused(send(), 413)
            except (ConnectionError, BrokenPipeError):
                pass  # it may close before all is sent
        client.close()
        for not_there in (path, enveloped):
            self.assertEqual(node.http("GET", not_there).status, 404)
        # The length alone is enough to refuse; chunks are refused when they have come to too much.
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\n".encode()
        self.raw_refused(head + b"Content-Length: 1048577\r\n\r\n", 413)
        self.raw_refused(head + b"Content-Length: 99999999999999999999999\r\n\r\n", 400, 413)
        self.assertEqual(node.http("PUT", path, big[1:]).status, 201)
        self.assertEqual(node.http("PUT", enveloped, envelope(big[1:])).status, 201)
        self.assertEqual(node.http("GET", path).body, big[1:])
        self.assertEqual(base64.b64decode(node.http("GET", enveloped).json()["value"]), big[1:])

    def test_chunked_value_size(self):
        path = "/kv/" + fresh()
        head = (f"PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                "Transfer-Encoding: chunked\r\n\r\n").encode()
        chunk = b"10000\r\n" + b"c" * 65536 + b"\r\n"
        answer = raw_exchange(node.http_port, head + chunk * 16 + b"0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 201"), answer[:200])
        self.assertEqual(len(node.http("GET", path).body), MIB)
        answer = raw_exchange(node.http_port, head + chunk * 16 + b"1\r\nx\r\n0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 413"), answer[:200])

    def test_bad_envelopes(self):
        path = "/v1/kv/" + fresh()
        good = node.http("PUT", path, {"value": "eA=="}).json()
        for value in ("eA=", "eA", "e A==", "eA==\n", "!!!!", "eA===", "=", "eB==", "e_8=",
                      "\u00fc"):
            self.refused(node.http("PUT", path, {"value": value}))
        for body in ({}, {"value": None}, {"value": 1}, {"value": ["eA=="]}, {"val": "eA=="},
                     {"value": "eA==", "ttl": -1}, {"value": "eA==", "ttl": "60"},
                     {"value": "eA==", "ttl": 2**63}, {"value": "eA==", "context": 7},
                     {"value": "eA==", "context": "nonsense"}, {"value": "eA==", "more": 1},
                     {"value": "eA==", "content_type": "a\nb"}, ["eA=="]):
            self.refused(node.http("PUT", path, body))
        for text in (b"", b"{", b'{"value":"eA=="', b'{"value":"eA=="}}', b"null", b"\xff\xfe",
                     b'{"value":"eA==","value":"eQ=="}', b"[" * 10000, b'{"a":' * 5000,
                     b'{"value":"\\ud800"}', b'{"value":"eA==",}', b"{'value':'eA=='}"):
            self.refused(node.http("PUT", path, text, {"Content-Type": "application/json"}))
            if text:
                self.refused(node.http("DELETE", path, text, {"Content-Type": "application/json"}))
        as_text = {"Content-Type": "text/html"}
        self.refused(node.http("PUT", path, b'{"value":"eA=="}', as_text), 415)
        self.refused(node.http("PUT", "/kv/x", b"x", {"Content-Encoding": "gzip"}), 415)
        self.assertEqual(node.http("GET", path).json()["context"], good["context"])

    def test_ids_and_conditions(self):
        path = "/kv/" + fresh()
        for headers in ({"Idempotency-Key": "not-a-uuid"}, {"If-Match": "no quotes"},
                        {"If-Match": '"a", "b"'}, {"If-None-Match": '"x"'},
                        {"If-Match": "*", "If-None-Match": "*"}, {"If-Match": '""'},
                        {"X-Client-Timestamp": "now"}, {"X-TTL": "soon"}):
            self.refused(node.http("PUT", path, b"x", headers))
        self.assertEqual(node.http("GET", path).status, 404)


def envelope(value):
    return {"value": base64.b64encode(value).decode()}


# Guards M9.
class Contexts(Test):
    def setUp(self):
        self.key = fresh()
        self.path = "/kv/" + self.key
        self.assertEqual(node.http("PUT", self.path, b"a").status, 201)
        self.assertEqual(cluster.nodes[1].http("PUT", self.path, b"b").status, 201)
        self.state = self.look()
        self.context = self.state[2]

    def look(self):
        get = node.http("GET", self.path + "?r=3", headers={"Accept": "application/json"})
        body = get.json()
        return get.status, get.header("X-Version"), get.header("X-Context"), str(body["values"])

    def each_way(self, context):
        """Every way in which a context can come."""
        yield node.http("PUT", self.path, b"x", {"X-Context": context})
        yield node.http("DELETE", self.path, headers={"X-Context": context})
        yield node.http("PUT", self.path, b"x", {"If-Match": f'"{context}"'})
        yield node.http("DELETE", self.path, headers={"If-Match": f'"{context}"'})
        yield node.http("PUT", "/v1" + self.path, {"value": "eA==", "context": context})
        yield node.http("DELETE", "/v1" + self.path, {"context": context})

    def test_of_another_key_or_bucket(self):
        bucket = fresh("b")
        node.http("PUT", f"/v1/buckets/{bucket}", {"n": 3})
        foreign = [node.http("PUT", "/kv/" + fresh(), b"x").header("X-Context"),
                   node.http("PUT", f"/buckets/{bucket}/kv/{self.key}", b"x").header("X-Context")]
        node.http("PUT", f"/v1/buckets/{bucket}2", {"conflict": "lww"})
        foreign.append(node.http("PUT", f"/buckets/{bucket}2/kv/{self.key}", b"x")
                       .header("X-Context"))
        for context in foreign:
            for reply in self.each_way(context):
                self.refused(reply)
        self.assertEqual(self.look(), self.state)

    def test_truncated_and_extended(self):
        for length in range(1, len(self.context)):
            self.refused(node.http("PUT", self.path, b"x", {"X-Context": self.context[:length]}))
        for context in (self.context + "A", self.context + self.context, "A" * 5000, "?", "=",
                        self.context[::-1]):
            for reply in self.each_way(context):
                self.refused(reply)
        self.assertEqual(self.look(), self.state)

    def test_every_bit_flipped(self):
        raw = base64.b64decode(self.context)
        for bit in range(8 * len(raw)):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            context = base64.b64encode(flipped).decode()
            self.refused(node.http("PUT", self.path, b"x", {"X-Context": context}))
            if bit % 37 == 0:
                for reply in self.each_way(context):
                    self.refused(reply)
        self.assertEqual(self.look(), self.state)


class Consistency(Test):
    def test_impossible_quorums(self):
        path = "/kv/" + fresh()
        node.http("PUT", path, b"x")
        single = fresh("one")
        node.http("PUT", f"/v1/buckets/{single}", {"n": 1})
        started = time.monotonic()
        for query in ("r=4", "r=0", "r=-1", "pr=4", "pr=0", "r=x", "r=", "r=1.5", "r=2x",
                      "r=99999999999999999999", "timeout_ms=0", "timeout_ms=x", "sloppy=maybe",
                      "unknown=1", "r=1&r=2", "timeout_ms=9999999999"):
            self.refused(node.http("GET", f"{path}?{query}"))
        for query in ("w=4", "w=0", "pw=4", "pw=-2", "w=18446744073709551617", "w=%00"):
            self.refused(node.http("PUT", f"{path}?{query}", b"y"))
            self.refused(node.http("DELETE", f"{path}?{query}"))
        for level in ("TWO", "THREE"):
            self.refused(node.http("GET", f"/buckets/{single}/kv/a",
                                   headers={"Consistency": level}))
        for level in ("ANY", "SERIAL", "FOUR", "", "ONE,TWO"):
            self.refused(node.http("GET", path, headers={"Consistency": level}))
        self.refused(node.http("PUT", path, b"y", {"Consistency": "SERIAL"}))
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(node.http("GET", path).body, b"x")

    def test_contradicting_headers(self):
        path = "/kv/" + fresh()
        names = ("Consistency", "X-Consistency-Level", "X-Consistency")
        for one in names:
            for other in names:
                if one == other:
                    continue
                self.refused(node.http("PUT", path, b"x", {one: "ONE", other: "ALL"}))
                self.refused(node.http("GET", path, headers={one: "ONE", other: "ALL"}))
                self.assertEqual(node.http("GET", path, headers={one: "one", other: "ONE"}).status,
                                 404)
        self.raw_refused(f"GET {path} HTTP/1.1\r\nHost: x\r\nConsistency: ONE\r\n"
                         "Consistency: ALL\r\nConnection: close\r\n\r\n".encode())


# Guards M41.
class Http11(Test):
    """What two parsers could read differently is refused and the connection ends."""

    def test_ambiguous_and_malformed(self):
        path = "/kv/" + fresh()
        put = f"PUT {path} HTTP/1.1\r\nHost: x\r\n".encode()
        smuggled = f"\r\n\r\nPUT {path} HTTP/1.1\r\nContent-Length: 1\r\n\r\nx".encode()
        for sent in (put + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
                     put + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
                     put + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
                     put + b"Content-Length: 1, 1\r\n\r\nx",
                     put + b"Content-Length: -1\r\n\r\n", put + b"Content-Length: +1\r\n\r\nx",
                     put + b"Content-Length: 0x1\r\n\r\nx", put + b"Content-Length: \r\n\r\n",
                     put + b"Transfer-Encoding: gzip\r\n\r\n",
                     put + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
                     put + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                     put + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
                     put + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
                     put + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
                     put + b"Bad Name: x\r\n\r\n", put + b"No-Colon\r\n\r\n",
                     put + b"A: \0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
                     b"GET /kv/\xff HTTP/1.1\r\nHost: x\r\n\x00\r\n\r\n"):
            answer = self.raw_refused(sent + smuggled, 400, 413, 501, 505)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)
        self.assertEqual(node.http("GET", path).status, 404)
        self.still_serves()

    def test_no_length(self):
        self.raw_refused(b"PUT /kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 411)

    def test_endless_headers(self):
        head = b"GET /kv/a HTTP/1.1\r\nHost: x\r\n"
        self.raw_refused(head + b"A: " + b"a" * 100_000, 431)
        self.raw_refused(head + b"A: b\r\n" * 20_000, 431)
        self.raw_refused(b"GET /" + b"k" * 100_000, 414, 431)
        self.raw_refused(b"G" * 100_000, 400, 414, 431)
        self.still_serves()

    def test_methods_and_paths(self):
        for method, path, status in (("POST", "/kv/a", 405), ("PATCH", "/v1/kv/a", 405),
                                     ("DELETE", "/livez", 405), ("PUT", "/metrics", 405),
                                     ("GET", "/console", 404), ("GET", "/v2/kv/a", 404),
                                     ("GET", "/kv/a/b", 404), ("GET", "/kv?prefix=a", 400),
                                     ("GET", "/v1/kv/range?start=a", 400)):
            body = b"" if method in ("POST", "PATCH", "PUT") else None
            reply = node.http(method, path, body)
            self.refused(reply, status)
            self.assertEqual(status == 405, reply.header("Allow") is not None)

    def test_pipelined_requests_are_answered_in_order(self):
        requests = b"".join(b"PUT /kv/pipe%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n%02d"
                            b"GET /kv/pipe%d HTTP/1.1\r\nHost: x\r\n\r\n" % (i, i, i)
                            for i in range(40))
        answer = raw_exchange(node.http_port, requests + b"GET /livez HTTP/1.1\r\nHost: x\r\n"
                              b"Connection: close\r\n\r\n")
        self.assertEqual(answer.count(b"HTTP/1.1 201"), 40)
        self.assertEqual(answer.count(b"HTTP/1.1 20"), 81)
        self.assertEqual(self.keys_in_order(answer), [b"pipe%d" % i for i in range(40)])

    def keys_in_order(self, answer):
        return [line.split(b'"')[3] for line in answer.split(b"\n") if line.startswith(b'{"key"')]

    def test_random_bytes(self):
        random_source = random.Random(7)
        good = (b"PUT /kv/fuzz HTTP/1.1\r\nHost: x\r\nX-TTL: 5\r\nX-Context: AQEB\r\n"
                b"Content-Length: 4\r\n\r\nbody")
        for number in range(200):
            sent = bytearray(random_source.randbytes(random_source.randrange(1, 300))
                             if number % 4 == 0 else good)
            for _ in range(random_source.randrange(1, 6)):
                sent[random_source.randrange(len(sent))] = random_source.randrange(256)
            answer = raw_exchange(node.http_port, bytes(sent), timeout=3, half_close=True)
            self.assertFalse(answer.startswith(b"HTTP/1.1 500"), (bytes(sent), answer))
        self.still_serves()


class SlowClients(Test):
    def dribble(self, sent, seconds=8.0):
        """Sends a byte now and then until the server ends it; (what it said, how long it took)."""
        started = time.monotonic()
        answer = b""
        with socket.create_connection(("127.0.0.1", node.http_port)) as connection:
            connection.settimeout(0.1)
            for byte in sent:
                try:
                    connection.send(bytes([byte]))
                    chunk = connection.recv(4096)
                    answer += chunk
                    if not chunk:
                        break
                except TimeoutError:
                    pass
                except ConnectionError:
                    break
                if time.monotonic() - started > seconds:
                    break
        return answer, time.monotonic() - started

    # Guards M41.
    def test_slow_head_and_body(self):
        head = b"PUT /kv/slow HTTP/1.1\r\nHost: x\r\n" + b"X" * 200
        body = b"PUT /kv/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
        answer, took = self.dribble(head)
        self.assertLess(took, 4)
        self.assertTrue(answer == b"" or b" 408 " in answer[:20], answer)
        with socket.create_connection(("127.0.0.1", node.http_port)) as connection:
            connection.sendall(body + b"only this")
            connection.settimeout(5)
            self.assertIn(b" 408 ", connection.recv(4096)[:20])
            self.assertEqual(connection.recv(4096), b"")
        self.assertEqual(node.http("GET", "/kv/slow").status, 404)

    def test_others_are_not_held_up(self):
        stuck = []
        for number in range(300):
            connection = socket.create_connection(("127.0.0.1", node.http_port))
            connection.sendall(b"GET /kv/a HTTP/1.1\r\nHo" if number % 2 else b"")
            stuck.append(connection)
        slowest = 0.0
        client = Http(node.http_port)
        deadline = time.monotonic() + 1.5 * HEADER_TIMEOUT_S
        while time.monotonic() < deadline:
            started = time.monotonic()
            self.assertIn(client.request("GET", "/kv/a").status, (200, 404))
            slowest = max(slowest, time.monotonic() - started)
        client.close()
        self.assertLess(slowest, 1.0)
        for connection in stuck[1::2]:  # those that began a request
            connection.settimeout(5)
            while connection.recv(4096):
                pass
        for connection in stuck:
            connection.close()
        wait_until(lambda: node.metric("lariat_http_connections") < 20, what="closed connections")

    # Guards M41.
    def test_who_does_not_read_his_replies(self):
        path = "/kv/" + fresh()
        self.assertEqual(node.http("PUT", path, b"v" * MIB).status, 201)
        with socket.create_connection(("127.0.0.1", node.http_port)) as connection:
            connection.settimeout(1)
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            try:
                connection.sendall(request * 20_000)  # 20 GB of replies, if all were made
            except TimeoutError:
                pass
            self.still_serves()
            self.assertLess(resident_bytes(node.pid), 600 * MIB)


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class PeerPort(Test):
    def counted(self, sent, reasons, wait_for_close=4.0):
        before = self.refusals(reasons)
        answer = raw_exchange(node.peer_port, sent, timeout=wait_for_close)
        wait_until(lambda: self.refusals(reasons) > before, what=f"refusal counted: {reasons}")
        return answer

    def refusals(self, reasons):
        text = node.http("GET", "/metrics").body.decode()
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.startswith("lariat_peer_refused_total")
                   and any(f'reason="{reason}"' in line for reason in reasons))

    # Guards M41, M42.
    def test_strangers(self):
        random_source = random.Random(11)
        self.counted(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ["bad_magic"])
        self.counted(b"LRT1\x02" + bytes(200), ["bad_version"])
        self.counted(b"LRT1\x01\0\0\0" + b"\xff\xff\xff\x7f" + bytes(200), ["too_large"])
        self.counted(b"LRT1\x01\0\0\0" + b"\x08\0\0\0" + b"abcd" + bytes(8), ["bad_checksum"])
        for _ in range(100):
            sent = random_source.randbytes(random_source.randrange(16, 5000))
            self.counted(sent, ["bad_magic"])
        started = time.monotonic()
        self.assertEqual(self.counted(b"", ["handshake"]), b"")  # says nothing
        self.counted(b"LRT1\x01\0\0\0", ["handshake"])           # half a frame
        self.assertLess(time.monotonic() - started, 4)
        self.still_serves()
        for other in cluster.nodes:
            self.assertTrue(all(member["alive"] for member in
                                other.http("GET", "/v1/cluster/status").json()["nodes"]))

    # Guards M42.
    def test_another_clusters_node(self):
        """A node turns up where a node of another cluster used to be."""
        with Cluster(nodes=2) as one, Cluster(nodes=2) as other:
            for both in (one, other):
                both.wait_ready()
                self.assertEqual(both.nodes[0].http("PUT", "/kv/a", both.dir.encode()).status, 201)
            one.nodes[1].terminate()
            other.nodes[1].terminate()
            stranger, caller = one.nodes[1], other.nodes[0]
            stranger.peer_port = other.nodes[1].peer_port
            stranger.start()

            def refused():
                return any('reason="other_cluster"' in line and not line.endswith(" 0")
                           for n in (stranger, caller)
                           for line in n.http("GET", "/metrics").body.decode().splitlines())

            stranger.wait_ready()
            wait_until(refused, what="the stranger is refused and counted")
            # Its own cluster finds it at the new address; the other one keeps its hands off.
            wait_until(lambda: one.nodes[0].http("GET", "/kv/a?r=2").status == 200)
            self.assertEqual(stranger.http("GET", "/kv/a").body, one.dir.encode())
            alive = {n["name"]: n["alive"] for n in
                     caller.http("GET", "/v1/cluster/status").json()["nodes"]}
            self.assertEqual(alive, {"node1": True, "node2": False})
            self.refused(caller.http("GET", "/kv/a"), 503)
            self.assertEqual(caller.http("GET", "/kv/a?r=1").body, other.dir.encode())


class Starting(Test):
    def setUp(self):
        self.own = Cluster(nodes=1, start=False)
        self.addCleanup(self.own.close)
        self.node = self.own.nodes[0]

    def run_node(self, *args, env=None, timeout=20):
        return subprocess.run(self.node.command() + list(args), capture_output=True, text=True,
                              timeout=timeout, check=False, env={**os.environ, **(env or {})})

    def exits(self, code, words, *args, env=None):
        done = self.run_node(*args, env=env)
        self.assertEqual(done.returncode, code, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_unknown_keys_and_bad_values(self):
        path = os.path.join(self.own.dir, "lariat.toml")
        for line, text, words in ((3, "[storage]\n\nblok_cache_bytes = 5\n", ["blok_cache_bytes"]),
                                  (2, "[request]\ntimeout_ms = 'soon'\n", ["request.timeout_ms"]),
                                  (2, "[request]\ntimeout_ms = 0\n", ["request.timeout_ms"]),
                                  (1, "[nonsense]\nx = 1\n", ["nonsense"]),
                                  (2, "[log]\nlevel = 'loud'\n", ["log.level", "debug"]),
                                  (2, "[log]\nlevel 'info'\n", [])):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            done = self.run_node("--config", path)
            self.assertEqual(done.returncode, 2, done.stderr)
            where = [f"{path}:{number}" for number in (line, line + 1)]
            self.assertTrue(any(place in done.stderr for place in where), done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
        self.exits(2, ["request.timeot_ms", "request.timeout_ms"], "--set", "request.timeot_ms=5")
        self.exits(2, ["request.timeout_ms"], "--set", "request.timeout_ms=x")
        self.exits(2, ["LARIAT_REQUEST__TIMEOT_MS"], env={"LARIAT_REQUEST__TIMEOT_MS": "5"})
        self.exits(2, ["no-such-flag"], "--no-such-flag")
        self.exits(2, ["absent.toml"], "--config", os.path.join(self.own.dir, "absent.toml"))

    def test_print_config(self):
        path = os.path.join(self.own.dir, "lariat.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[request]\ntimeout_ms = 111\nhedge_ms = 11\n[log]\nlevel = 'warn'\n")
        done = self.run_node("--config", path, "--set", "request.hedge_ms=12", "--print-config",
                             env={"LARIAT_REQUEST__HEDGE_MS": "13", "LARIAT_LOG__LEVEL": "error"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        shown = tomllib.loads(done.stdout)
        self.assertEqual(shown["request"], {"timeout_ms": 111, "hedge_ms": 12})
        self.assertEqual(shown["log"]["level"], "error")  # environment before file
        self.assertEqual(shown["node"]["name"], "node1")  # flag
        self.assertEqual(shown["listen"]["http"], self.node.http_address)
        for setting in ("storage.durability", "storage.block_cache_bytes", "limits.value_bytes",
                        "limits.siblings", "limits.in_flight_requests", "request.timeout_ms",
                        "membership.gossip_period_ms"):
            section, key = setting.split(".")
            self.assertIn(key, shown[section])
        # What is printed is a configuration.
        with open(path, "w", encoding="utf-8") as file:
            file.write(done.stdout)
        again = subprocess.run([program("lariatd"), "--config", path, "--print-config"],
                               capture_output=True, text=True, timeout=20, check=True)
        self.assertEqual(tomllib.loads(again.stdout), shown)

    def test_directory_of_another_node_or_in_use(self):
        self.node.start()
        self.node.wait_ready()
        in_use = self.own.add_node(start=False)
        in_use.data_dir, in_use.join = self.node.data_dir, []
        done = subprocess.run(in_use.command(), capture_output=True, text=True, timeout=20,
                              check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(self.node.data_dir, done.stderr)
        self.assertTrue(self.node.ready())
        self.node.terminate()
        done = subprocess.run(in_use.command(), capture_output=True, text=True, timeout=20,
                              check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("node1", done.stderr)
        self.node.start()  # nothing was harmed
        self.node.wait_ready()

    def test_port_in_use(self):
        for port in (self.node.http_port, self.node.peer_port):
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", port))
                taken.listen()
                self.exits(1, [str(port), "in use"])
        self.node.start()
        self.node.wait_ready()

    # Guards M42.
    def test_only_loopback_without_authentication(self):
        for key in ("listen.http", "listen.resp", "listen.peer"):
            for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.org:80"):
                done = subprocess.run([program("lariatd"), "--data-dir", self.node.data_dir,
                                       "--set", f"{key}={address}"], capture_output=True,
                                      text=True, timeout=20, check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                for word in (key, "security.insecure", address):
                    self.assertIn(word, done.stderr)
        self.assertFalse(os.path.exists(self.node.data_dir))

    def test_bad_directory(self):
        path = os.path.join(self.own.dir, "a-file")
        with open(path, "wb"):
            pass
        self.node.data_dir = path
        self.exits(1, [path])
        self.node.data_dir = "/proc/nothing/here"
        self.exits(1, ["/proc/nothing"])

    def test_full_disk_at_start(self):
        with small_disk(self, 24 * MIB) as disk:
            self.node.data_dir = os.path.join(disk, "data")
            self.node.settings = {"storage.disk_reserve_bytes": MIB}
            filler = os.path.join(disk, "filler")
            fill(filler)
            # No room at all: it says so and ends.
            done = self.run_node()
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr.lower(), "space|full|0 bytes free")
            os.remove(filler)
            self.node.start()
            self.node.wait_ready()
            node1 = self.node
            self.assertEqual(node1.http("PUT", "/v1/buckets/one", {"n": 1}).status, 201)
            self.assertEqual(node1.http("PUT", "/buckets/one/kv/a", b"kept").status, 201)
            node1.kill9()
            fill(filler)
            # With data and no room it may end with the reason or serve reads; it never loses data.
            node1.start()
            wait_until(lambda: not node1.running() or node1.ready(), what="ends or serves")
            if node1.running():
                self.assertEqual(node1.http("GET", "/buckets/one/kv/a").body, b"kept")
                self.refused(node1.http("PUT", "/buckets/one/kv/b", b"x"), 503)
                node1.kill9()
            else:
                self.assertRegex(node1.log_tail().lower(), "space|full|0 bytes free")
            os.remove(filler)
            node1.restart()
            self.assertEqual(node1.http("GET", "/buckets/one/kv/a").body, b"kept")
            self.assertEqual(node1.http("PUT", "/buckets/one/kv/b", b"x").status, 201)


def fill(path):
    """Until not a byte fits."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


class Signals(Test):
    def test_bad_configuration_on_hup_changes_nothing(self):
        with Cluster(nodes=1, start=False) as own:
            path = os.path.join(own.dir, "lariat.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write("[limits]\nvalue_bytes = 100\n")
            own.nodes[0].args = ["--config", path]
            own.nodes[0].start()
            own.wait_ready()
            with open(path, "w", encoding="utf-8") as file:
                file.write("[limits]\nvalue_bytes = 'big'\n")
            own.nodes[0].process.send_signal(1)
            wait_until(lambda: "not applied" in own.nodes[0].log_tail(), what="the complaint")
            self.assertIn("limits.value_bytes", own.nodes[0].log_tail())
            own.nodes[0].http("PUT", "/v1/buckets/one", {"n": 1})
            self.refused(own.nodes[0].http("PUT", "/buckets/one/kv/a", b"x" * 101), 413)
            self.assertEqual(own.nodes[0].http("PUT", "/buckets/one/kv/a", b"x" * 100).status, 201)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
