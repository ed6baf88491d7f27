# SPDX-License-Identifier: Apache-2.0
"""What operators use: health, metrics, status, ring, explain, live settings, the lariat program."""

import base64
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import unittest
import uuid

from lariat_e2e import Cluster, free_ports, fresh_get, program, run_cli, wait_until

FIXED_METRICS = {
    "lariat_requests_total": "counter", "lariat_request_seconds": "histogram",
    "lariat_siblings_max": "gauge", "lariat_read_repairs_total": "counter",
    "lariat_incarnations_total": "counter",
}
SERIES = re.compile(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*\})? '
                    r'(-?[0-9.]+([eE][-+]?[0-9]+)?|[-+]Inf|NaN)$')


def setUpModule():
    global cluster, node
    cluster = Cluster(nodes=3, settings={"membership.gossip_period_ms": 100})
    cluster.wait_ready()
    node = cluster.nodes[0]
    wait_until(lambda: cluster.cli("status").returncode == 0, what="a healthy cluster")


def tearDownModule():
    cluster.close()


def fresh(prefix="k"):
    return f"{prefix}-{uuid.uuid4()}"


class Test(unittest.TestCase):
    maxDiff = None

    def cli(self, code, *args, stdin=None, on=None, timeout=60):
        done = (on or cluster).cli(*args, stdin=stdin, timeout=timeout)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done.stdout

    def get(self, path, status=200):
        reply = node.http("GET", path)
        self.assertEqual(reply.status, status, reply.body)
        return reply


class Watching(Test):
    def test_top_shows_the_rates_of_every_node(self):
        told = json.loads(self.cli(0, "top", "--json", "--times", "1", "--interval", "0.2"))
        self.assertEqual({line["name"] for line in told["nodes"]}, {"node1", "node2", "node3"})
        self.assertTrue(all(line["disk_bytes"] >= 0 for line in told["nodes"]))

    def test_doctor_finds_the_node_that_is_down(self):
        with Cluster(nodes=2) as small:
            small.wait_ready()
            self.cli(0, "doctor", "--dir", "/var/tmp", on=small)
            small.nodes[1].kill9()
            wait_until(lambda: small.cli("doctor", "--dir", "/var/tmp").returncode == 6,
                       what="a bad node is told of")
            told = json.loads(self.cli(6, "doctor", "--dir", "/var/tmp", "--json", on=small))
            bad = [line for line in told["findings"] if line["grade"] == "bad"]
            self.assertEqual([line["about"] for line in bad], ["node2"])


class Health(Test):
    def test_probes(self):
        self.assertEqual(self.get("/livez").json(), {"live": True})
        self.assertEqual(self.get("/readyz").json(), {"ready": True, "reasons": []})
        health = self.get("/healthz").json()
        self.assertEqual((health["status"], health["node"], health["storage"]),
                         ("ok", "node1", "ok"))
        self.assertEqual((health["nodes_alive"], health["nodes_total"]), (3, 3))

    def test_not_ready_says_why(self):
        with Cluster(nodes=3, start=False) as own:
            lonely = own.nodes[0]
            lonely.start()
            wait_until(lambda: not lonely.ready() and lonely.client, what="it listens")
            reply = wait_until(lambda: answered(lonely, "/readyz"))
            self.assertEqual(reply.status, 503)
            self.assertTrue(reply.json()["reasons"])
            self.assertEqual(lonely.http("GET", "/livez").status, 200)
            refused = lonely.http("PUT", "/kv/a", b"x")
            self.assertEqual((refused.status, refused.json()["error"]["code"]),
                             (503, "unavailable"))
            self.cli(6, "status", on=own)
            self.assertNotIn("lariatd ready", lonely.log_tail())
            for other in own.nodes[1:]:
                other.start()
            own.wait_ready()
            wait_until(lambda: "lariatd ready" in lonely.log_tail())
            self.assertRegex(lonely.log_tail(), f"lariatd ready: .*{lonely.http_port}.*"
                             f"{lonely.resp_port}.*{lonely.peer_port}.*{lonely.data_dir}")

    def test_openapi(self):
        document = self.get("/openapi.json").json()
        self.assertTrue(document["openapi"].startswith("3."))
        for path in ("/kv/{key}", "/v1/kv/{key}", "/buckets/{bucket}/kv/{key}",
                     "/v1/buckets/{bucket}/kv/{key}", "/v1/buckets", "/v1/buckets/{bucket}",
                     "/v1/cluster/status", "/v1/cluster/ring", "/v1/debug/explain", "/livez",
                     "/readyz", "/healthz", "/metrics"):
            self.assertIn(path, document["paths"])


def answered(asked, path):
    try:
        return asked.http("GET", path)
    except OSError:
        return None


class Metrics(Test):
    def test_text_format(self):
        node.http("PUT", "/kv/" + fresh(), b"x")
        reply = self.get("/metrics")
        self.assertTrue(reply.header("Content-Type").startswith("text/plain"))
        kinds, helped, current = {}, set(), None
        for line in reply.body.decode().splitlines():
            if line.startswith("# HELP "):
                helped.add(line.split()[2])
            elif line.startswith("# TYPE "):
                current, kind = line.split()[2:4]
                self.assertNotIn(current, kinds, "each metric once")
                kinds[current] = kind
            else:
                self.assertRegex(line, SERIES)
                name = re.split(r"[{ ]", line)[0]
                if kinds[current] == "histogram":
                    name = re.sub("_(bucket|sum|count)$", "", name)
                self.assertEqual(name, current)
                self.assertTrue(name.startswith("lariat_"))
        self.assertEqual(helped, set(kinds))
        for name, kind in FIXED_METRICS.items():
            self.assertEqual(kinds.get(name), kind, name)

    def test_requests_are_counted(self):
        def count(op, outcome):
            return node.metric(f'lariat_requests_total{{op="{op}",outcome="{outcome}"}}')
        before = count("put", "ok"), count("get", "not_found"), count("put", "refused")
        node.http("PUT", "/kv/" + fresh(), b"x")
        node.http("GET", "/kv/" + fresh())
        node.http("PUT", "/kv/a?w=9", b"x")
        after = count("put", "ok"), count("get", "not_found"), count("put", "refused")
        self.assertEqual(after, tuple(value + 1 for value in before))
        self.assertGreater(node.metric('lariat_request_seconds_count{op="put"}'), 0)

    # Guards M4.
    def test_incarnations(self):
        """Each start draws a new one for each shard."""
        shards = node.metric("lariat_incarnations_total")
        self.assertGreaterEqual(shards, 1)


class ClusterState(Test):
    def test_status(self):
        tokens = {"node1": 16, "node2": 16, "node3": 16}
        answers = [n.http("GET", "/v1/cluster/status").json() for n in cluster.nodes]
        for asked, status in zip(cluster.nodes, answers):
            self.assertEqual(status["answered_by"], asked.name)
            self.assertIsNone(status["operation"])
            self.assertIsInstance(status["epoch"], int)
            uuid.UUID(status["cluster_id"])
            self.assertEqual({n["name"]: n["tokens"] for n in status["nodes"]}, tokens)
            self.assertAlmostEqual(sum(n["owns"] for n in status["nodes"]), 1.0)
            for shown, real in zip(status["nodes"], cluster.nodes):
                uuid.UUID(shown["id"])
                self.assertEqual((shown["http"], shown["resp"], shown["peer"]),
                                 (real.http_address, f"127.0.0.1:{real.resp_port}",
                                  real.peer_address))
                self.assertEqual((shown["state"], shown["alive"], shown["dc"], shown["rack"],
                                  shown["weight"], shown["hints_pending_bytes"]),
                                 ("normal", True, "dc1", "rack1", 1, 0))
        self.assertEqual(len({answer["cluster_id"] for answer in answers}), 1)

    def test_ring(self):
        answers = [n.http("GET", "/v1/cluster/ring").json() for n in cluster.nodes]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])
        ranges = answers[0]["ranges"]
        self.assertEqual(len(ranges), 48)
        for one, following in zip(ranges, ranges[1:] + ranges[:1]):
            self.assertEqual(one["to"], following["from"])
            self.assertEqual(sorted(one["owners"]), ["node1", "node2", "node3"])
        self.assertEqual(len(self.get("/v1/cluster/ring?n=1").json()["ranges"][0]["owners"]), 1)
        for wrong in ("n=0", "n=x", "n=1000", "x=1"):
            self.get("/v1/cluster/ring?" + wrong, status=400)

    def test_explain(self):
        key = fresh("{tag}")
        told = self.get("/v1/debug/explain?key=" + key).json()
        self.assertEqual({r["state"] for r in told["replicas"]}, {"absent"})
        node.http("PUT", f"/kv/{key}?w=3", b"x")
        told = self.get(f"/v1/debug/explain?bucket=default&key={key}").json()
        self.assertEqual((told["key"], told["bucket"], told["partition_key"]),
                         (key, "default", "tag"))
        self.assertEqual((told["n"], told["r"], told["w"], told["agree"]), (3, 2, 2, True))
        int(told["token"])
        self.assertEqual(sorted(r["node"] for r in told["replicas"]), ["node1", "node2", "node3"])
        for replica in told["replicas"]:
            self.assertEqual((replica["state"], replica["siblings"], replica["version"]),
                             ("found", 1, {"node1": 1}))
            self.assertGreater(replica["bytes"], 0)
        for query, status in (("key=" + "k" * 257, 400), ("", 400), ("key=a&bucket=none", 404)):
            self.get("/v1/debug/explain?" + query, status=status)

    def test_dead_node_shows(self):
        with Cluster(nodes=3, settings={"membership.gossip_period_ms": 100}) as own:
            own.wait_ready()
            self.cli(0, "status", "--wait", "20", on=own)
            own.nodes[2].kill9()
            wait_until(lambda: own.cli("status").returncode == 6, what="exit code 6")
            self.assertRegex(own.cli("status").stdout, r"node3 +normal +NO")
            shown = json.loads(own.cli("status", "--json").stdout)
            self.assertEqual({n["name"]: n["alive"] for n in shown["nodes"]},
                             {"node1": True, "node2": True, "node3": False})
            told = own.nodes[0].http("GET", "/v1/debug/explain?key=a").json()
            self.assertEqual([r["state"] for r in told["replicas"] if r["node"] == "node3"],
                             ["unreachable"])
            own.nodes[2].restart()
            self.cli(0, "status", "--wait", "20", on=own)


class LiveSettings(Test):
    def test_hang_up_reads_again(self):
        with Cluster(nodes=1, start=False) as own:
            path = os.path.join(own.dir, "lariat.toml")
            one = own.nodes[0]
            one.args = ["--config", path]

            def write(text):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)

            write("[limits]\nvalue_bytes = 100\n")
            one.start()
            own.wait_ready()
            self.assertEqual(one.http("PUT", "/v1/buckets/one", {"n": 1}).status, 201)
            big = "/buckets/one/kv/big"
            self.assertEqual(one.http("PUT", big, b"x" * 101).status, 413)
            write("[limits]\nvalue_bytes = 200\n[storage]\nio_threads = 2\n")
            one.process.send_signal(signal.SIGHUP)
            wait_until(lambda: one.http("PUT", big, b"x" * 101).status == 201,
                       what="the new limit")
            wait_until(lambda: "storage.io_threads" in one.log_tail(), what="the warning")
            self.assertIn("needs a restart", one.log_tail())
            self.assertEqual(one.http("PUT", big, b"x" * 201).status, 413)
            self.assertEqual(one.terminate(), 0)


class CommandLine(Test):
    def test_put_get_del(self):
        key = fresh()
        self.cli(0, "put", key, "a value")
        self.assertEqual(self.cli(0, "get", key), "a value")
        shown = json.loads(self.cli(0, "get", key, "--json"))
        self.assertEqual(base64.b64decode(shown["value"]), b"a value")
        self.cli(5, "put", key, "again", "--if-none-match")
        self.cli(0, "put", key, "-", "--context", shown["context"], stdin="from stdin")
        self.cli(5, "put", key, "x", "--if-match", shown["context"])
        self.assertEqual(self.cli(0, "get", key, "--r", "3"), "from stdin")
        self.cli(0, "del", key)
        self.cli(5, "get", key)
        self.cli(2, "get", "k" * 257)
        self.cli(2, "put", key)
        self.cli(2, "no-such-command")
        self.cli(2, "get", key, "--r", "9")
        self.cli(5, "get", key, "--bucket", "no-such-bucket")

    def test_siblings_need_a_decision(self):
        key = fresh()
        self.cli(0, "put", key, "one")
        self.cli(0, "put", key, "two")
        self.cli(7, "get", key)
        context = json.loads(cluster.cli("get", key, "--json").stdout)["context"]
        self.cli(0, "put", key, "both", "--context", context)
        self.assertEqual(self.cli(0, "get", key), "both")

    def test_replace_takes_the_place_of_what_is_there(self):
        key = fresh()
        self.cli(0, "put", key, "first", "--replace")
        self.cli(0, "put", key, "two")
        self.cli(7, "get", key)
        self.cli(0, "put", key, "both", "--replace")
        self.assertEqual(self.cli(0, "get", key), "both")
        self.cli(0, "del", key)
        self.cli(0, "put", key, "again", "--replace")
        self.assertEqual(self.cli(0, "get", key), "again")

    def test_a_terminal_is_told_of_siblings_and_shown_no_control_bytes(self):
        key = fresh()
        self.cli(0, "put", key, "one")
        said = self.on_terminal("put", key, "two")
        self.assertIn("stored beside 1 other value; --replace", said)
        self.cli(0, "put", key, "-", "--replace", stdin="\x1b[31mred")
        self.assertIn("\\x1b[31mred", self.on_terminal("get", key))
        self.assertEqual(self.cli(0, "get", key), "\x1b[31mred")

    def on_terminal(self, *args):
        """What the command shows where standard output and error are a terminal."""
        ours, its = pty.openpty()
        with open(ours, "rb", buffering=0) as screen:
            command = [program("lariat"), *args, "--node", node.http_address]
            with subprocess.Popen(command, stdout=its, stderr=its) as running:
                os.close(its)
                shown = b""
                try:
                    while piece := screen.read(4096):
                        shown += piece
                except OSError:
                    pass  # the other end is closed
                self.assertEqual(running.wait(), 0, shown)
        return shown.decode()

    def test_an_unknown_write_names_the_line_that_repeats_it(self):
        with Cluster() as own:
            own.wait_ready()
            key = fresh()
            self.assertEqual(own.cli("put", key, "before").returncode, 0)
            for other in own.nodes[1:]:
                other.pause()
            done = own.cli("put", key, "after", "--timeout-ms", "300", "--timeout", "3")
            for other in own.nodes[1:]:
                other.resume()
            self.assertEqual(done.returncode, 1, done.stderr)
            line = re.search(r"To repeat it.*?:  lariat (put .*)", done.stderr)
            self.assertIsNotNone(line, done.stderr)
            repeat = shlex.split(line.group(1))
            self.assertIn("--idempotency-key", repeat)
            wait_until(lambda: own.cli(*repeat).returncode == 0, 30, "the repeat is answered")
            siblings = fresh_get(own.nodes[0], f"/v1/kv/{key}").json()["siblings"]
            # A try that a node took up after all this may be a second, equal event.
            values = {base64.b64decode(sibling["value"]) for sibling in siblings}
            self.assertEqual(values, {b"before", b"after"})

    def test_no_node(self):
        port = free_ports(1)[0]
        done = run_cli("get", "a", "--node", f"127.0.0.1:{port}")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(str(port), done.stderr)
        # The next one is tried.
        key = fresh()
        self.cli(0, "put", key, "x")
        done = run_cli("get", key, "--node", f"127.0.0.1:{port}", "--node", node.http_address)
        self.assertEqual((done.returncode, done.stdout), (0, "x"))

    def test_buckets(self):
        name = fresh("b")
        self.cli(0, "bucket", "create", name, "conflict=lww", "ttl=3600")
        self.assertIn(name, self.cli(0, "bucket", "list"))
        self.assertEqual(json.loads(self.cli(0, "bucket", "show", name, "--json"))["ttl"], 3600)
        self.cli(0, "bucket", "set", name, "ttl=60")
        self.assertEqual(json.loads(self.cli(0, "bucket", "show", name, "--json"))["ttl"], 60)
        self.cli(5, "bucket", "show", fresh())

    def test_ring_and_explain(self):
        key = fresh()
        self.cli(0, "put", key, "x", "--w", "3")
        self.assertIn("node3", self.cli(0, "ring"))
        self.assertEqual(len(json.loads(self.cli(0, "ring", "--json"))["ranges"]), 48)
        self.assertIn("agree", self.cli(0, "explain", key))

    def test_bench(self):
        told = json.loads(self.cli(0, "bench", "--duration", "1", "--warmup", "0", "--keys", "100",
                                   "--connections", "4", "--json"))
        self.assertGreater(told["all"]["operations"], 0)
        self.assertEqual(told["failed"], 0)
        self.assertIn("P99", self.cli(0, "bench", "--duration", "0.5", "--warmup", "0", "--keys",
                                      "100", "--connections", "4", "--workload", "put"))

    def test_plan(self):
        self.assertIn("nodes", self.cli(0, "plan", "--records", "1e9", "--value-bytes", "500",
                                        "--ops", "50000"))
        json.loads(self.cli(0, "plan", "--records", "1e6", "--json"))
        self.cli(1, "plan", "--records", "1e9", "--nodes", "3", "--disk", "100G")
        self.cli(2, "plan")


class Transfer(Test):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="lariat-transfer-")
        self.addCleanup(self.folder.cleanup)
        self.bucket = fresh("import")
        self.cli(0, "bucket", "create", self.bucket)

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return path

    def done(self, text):
        return json.loads(text)

    def test_import_verify_export(self):
        lines = [{"key": f"k{number}", "value": f"value {number}"} for number in range(500)]
        lines.append({"key_base64": "AP8=", "value_base64": "/wD/"})
        path = self.file("a.ndjson", "".join(json.dumps(line) + "\n" for line in lines))
        told = self.done(self.cli(0, "import", path, "--bucket", self.bucket, "--json"))
        self.assertEqual((told["imported"], told["failed"], told["already"]), (501, 0, 0))
        self.cli(0, "import", path, "--bucket", self.bucket, "--verify", "--r", "3")
        again = self.done(self.cli(0, "import", path, "--bucket", self.bucket, "--json"))
        self.assertEqual((again["imported"], again["already"]), (501, 501))
        self.cli(0, "import", path, "--bucket", self.bucket, "--verify")  # still no siblings
        keys = self.file("keys", "".join(f"k{number}\n" for number in range(500)))
        out = os.path.join(self.folder.name, "out.ndjson")
        self.cli(0, "export", "--keys", keys, "--bucket", self.bucket, "--out", out)
        with open(out, encoding="utf-8") as file:
            exported = {line["key"]: line["value"] for line in map(json.loads, file)}
        self.assertEqual(exported, {line["key"]: line["value"] for line in lines[:500]})

    def test_verify_finds_differences(self):
        path = self.file("a.ndjson", '{"key":"a","value":"1"}\n{"key":"b","value":"2"}\n'
                         '{"key":"c","value":"3"}\n')
        self.cli(0, "import", path, "--bucket", self.bucket)
        context = json.loads(self.cli(0, "get", "a", "--bucket", self.bucket, "--json"))["context"]
        self.cli(0, "put", "a", "other", "--bucket", self.bucket, "--context", context)
        self.cli(0, "put", "b", "sibling", "--bucket", self.bucket)
        self.cli(0, "del", "c", "--bucket", self.bucket)
        told = self.done(self.cli(1, "import", path, "--bucket", self.bucket, "--verify", "--json"))
        self.assertEqual(told["reasons"], {"different": 1, "siblings": 1, "missing": 1})

    def test_bad_records_are_counted(self):
        path = self.file("a.ndjson", '{"key":"good","value":"1"}\nnot json\n{"value":"x"}\n'
                         '{"key":"","value":"x"}\n{"key":"good2","value":"2"}\n')
        told = self.done(self.cli(1, "import", path, "--bucket", self.bucket, "--json"))
        self.assertEqual((told["imported"], told["failed"]), (2, 3))
        self.cli(5, "import", path, "--bucket", fresh())
        self.cli(2, "import", os.path.join(self.folder.name, "absent.ndjson"), "--bucket",
                 self.bucket)

    def test_csv_and_deb822(self):
        table = self.file("t.csv", 'key,value\na,1\n"b,c","two\nlines"\n')
        self.cli(0, "import", table, "--bucket", self.bucket)
        self.assertEqual(self.cli(0, "get", "b,c", "--bucket", self.bucket), "two\nlines")
        packages = self.file("Packages", "Package: p\nVersion: 1\nArchitecture: all\n more\n\n"
                             "Package: q\nVersion: 2\nArchitecture: all\n")
        self.cli(0, "import", packages, "--bucket", self.bucket)
        self.assertEqual(self.cli(0, "get", "p_1_all", "--bucket", self.bucket),
                         "Package: p\nVersion: 1\nArchitecture: all\n more\n")

    def test_keys_of_any_bytes(self):
        keys = [b"batch", b"range", b"..", b".", b"a/b%2F c?", b"l\nf\r", b"\xff\x00", b"\x00"]
        coded = [base64.b64encode(key).decode() for key in keys]
        for key in coded:
            self.cli(0, "put", key, "", "--key-base64", "--bucket", self.bucket)
            self.cli(0, "put", key, "of " + key, "--key-base64", "--bucket", self.bucket,
                     "--context", json.loads(self.cli(0, "get", key, "--key-base64", "--bucket",
                                                      self.bucket, "--json"))["context"])
            self.assertEqual(self.cli(0, "get", key, "--key-base64", "--bucket", self.bucket),
                             "of " + key)
        named = self.file("keys.ndjson", "".join(f'{{"base64":"{key}"}}\n' for key in coded))
        out = os.path.join(self.folder.name, "out.ndjson")
        self.cli(0, "export", "--keys", named, "--bucket", self.bucket, "--out", out)
        other = fresh("import")
        self.cli(0, "bucket", "create", other)
        told = self.done(self.cli(0, "import", out, "--bucket", other, "--json"))
        self.assertEqual((told["imported"], told["failed"]), (len(keys), 0))
        self.cli(0, "import", out, "--bucket", other, "--verify", "--r", "3")
        for key in coded:
            self.assertEqual(self.cli(0, "get", key, "--key-base64", "--bucket", other),
                             "of " + key)
            self.assertIn("agree", self.cli(0, "explain", key, "--key-base64", "--bucket", other))
            self.cli(0, "del", key, "--key-base64", "--bucket", other)

    def test_the_source_text_is_kept(self):
        digits = "12345678901234567890123"
        path = self.file("a.ndjson", f'\ufeff{{"key":1.0,"value":19.99}}\r'
                         f'{{"key":1,"value":{digits}}}\n{{"key":"n","value":{{"a": 1.50}} }}')
        self.cli(0, "import", path, "--bucket", self.bucket)
        for key, value in (("1.0", "19.99"), ("1", digits), ("n", '{"a": 1.50}')):
            self.assertEqual(self.cli(0, "get", key, "--bucket", self.bucket), value)
        self.cli(0, "import", path, "--bucket", self.bucket, "--verify")
        self.cli(0, "put", "e", "x", "--ttl", "3600", "--bucket", self.bucket)
        out = os.path.join(self.folder.name, "out.ndjson")
        keys = self.file("keys", "e\n")
        self.cli(0, "export", "--keys", keys, "--bucket", self.bucket, "--out", out)
        with open(out, encoding="utf-8") as file:
            expires = json.load(file)["expires"]
        other = fresh("import")
        self.cli(0, "bucket", "create", other)
        self.cli(0, "import", out, "--bucket", other)
        again = json.loads(self.cli(0, "get", "e", "--bucket", other, "--json"))["expires"]
        self.assertLess(abs(again - expires), 5000)

    def test_resume_after_kill(self):
        """An import that is killed goes on where it was, and nothing is written twice."""
        path = self.file("a.ndjson", "".join(
            json.dumps({"key": f"k{n}", "value": "v" * 300}) + "\n" for n in range(20000)))
        state = os.path.join(self.folder.name, "state")
        command = ["import", path, "--bucket", self.bucket, "--resume", state, "--json"]
        process = subprocess.Popen([program("lariat"), *command, "--concurrency", "8"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "LARIAT_NODE": node.http_address})
        wait_until(lambda: os.path.exists(state) or process.poll() is not None, what="a state",
                   every=0.005)
        process.kill()
        process.wait()
        told = self.done(self.cli(0, *command))
        self.assertGreater(told["skipped"], 0)
        self.assertEqual(told["skipped"] + told["imported"], 20000)
        self.cli(0, "import", path, "--bucket", self.bucket, "--verify")


class LocalCluster(Test):
    def full(self, *args):
        """A command whose standard output is full: it ends with 1 and says why."""
        with open("/dev/full", "w", encoding="utf-8") as out:
            done = subprocess.run([program("lariat"), *args], stdout=out, stderr=subprocess.PIPE,
                                  text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("cannot write to standard output: No space left", done.stderr)

    def test_up_and_down(self):
        port = free_ports(30, consecutive=True)[0]
        with tempfile.TemporaryDirectory(prefix="lariat-up-") as folder:
            up = ("up", "--nodes", "3", "--dir", folder, "--detach", "--base-port", str(port))
            started = run_cli(*up, timeout=60)
            try:
                self.assertEqual(started.returncode, 0, started.stderr)
                for number in range(3):
                    for offset in range(3):
                        self.assertIn(f"127.0.0.1:{port + 10 * number + offset}", started.stdout)
                env = {"LARIAT_NODE": f"127.0.0.1:{port + 10}"}
                self.assertEqual(run_cli("put", "a", "kept", env=env).returncode, 0)
                self.assertEqual(run_cli(*up).returncode, 1)  # it runs already
                self.assertEqual(run_cli("down", "--dir", folder).returncode, 0)
                self.assertEqual(run_cli("get", "a", env=env).returncode, 3)
                # Where the table cannot be printed the cluster is up all the same, and down too.
                self.full("up", "--dir", folder, "--detach")
                self.assertEqual(run_cli("get", "a", env=env).stdout, "kept")
                self.full("down", "--dir", folder)
                self.assertEqual(run_cli("get", "a", env=env).returncode, 3)
            finally:
                run_cli("down", "--dir", folder)
        self.assertEqual(run_cli("up", "--detach").returncode, 2)

    def test_foreground_ends_with_its_starter(self):
        port = free_ports(20, consecutive=True)[0]
        process = subprocess.Popen([program("lariat"), "up", "--nodes", "2", "--base-port",
                                    str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True)
        try:
            env = {"LARIAT_NODE": f"127.0.0.1:{port}"}
            first_line = process.stdout.readline()  # comes when all nodes serve
            folder = re.search(r"data: (\S+) \(temporary", first_line).group(1)
            self.assertEqual(run_cli("status", "--wait", "10", env=env).returncode, 0)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0, out)
            self.assertEqual(run_cli("status", env=env).returncode, 3)
            self.assertFalse(os.path.exists(folder))
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
