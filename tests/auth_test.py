# SPDX-License-Identifier: Apache-2.0
"""Users, roles, logins and the audit on real processes: over HTTP, redis-cli and the command line.
What is not granted is refused, whichever way one comes; secrets are written nowhere."""

import base64
import json
import os
import shutil
import stat
import subprocess
import tempfile
import threading
import time
import unittest

from lariat_e2e import (FAST, Cluster, ClusterTest, Http, free_ports, program, run_cli, wait_until)

ADMIN_PASSWORD = "planted-secret-admin"
ADA_PASSWORD = "planted-secret-ada"


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


ADMIN = basic("admin", ADMIN_PASSWORD)


def private_file(test, text, mode=0o600):
    path = tempfile.mkdtemp(prefix="lariat-secret-")
    test.addCleanup(shutil.rmtree, path, ignore_errors=True)
    name = os.path.join(path, "password")
    with open(name, "w", encoding="utf-8") as out:
        out.write(text + "\n")
    os.chmod(name, mode)
    return name


class Auth(ClusterTest):
    def secured(self, nodes=3, **settings):
        """A cluster whose first administrator can log in everywhere."""
        self.password_file = private_file(self, ADMIN_PASSWORD)
        made = Cluster(nodes=nodes, settings={
            **FAST, "security.auth": "on", "security.audit_file": "audit.log",
            "security.bootstrap_password_file": self.password_file, **settings})
        self.addCleanup(made.close)
        made.wait_ready()
        for node in made.nodes:
            wait_until(lambda n=node: n.http("GET", "/healthz", headers=ADMIN).status == 200,
                       what=f"the administrator is known at {node.name}")
        return made

    def home(self):
        path = tempfile.mkdtemp(prefix="lariat-home-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def add_ada(self, node):
        """ada reads and writes keys that begin with "own" in "default"."""
        for method, path, body in (
                ("PUT", "/v1/admin/roles/editor", {}),
                ("POST", "/v1/admin/roles/editor/grants",
                 {"actions": ["read", "write"], "bucket": "default", "prefix": "own"}),
                ("PUT", "/v1/admin/users/ada", {"password": ADA_PASSWORD, "roles": ["editor"]})):
            reply = node.http(method, path, body, ADMIN)
            self.assertEqual(reply.status, 200, (path, reply.body))

    def token(self, node, user, password):
        reply = node.http("POST", "/v1/login", {"user": user, "password": password})
        self.assertEqual(reply.status, 200, reply.body)
        return {"Authorization": "Bearer " + reply.json()["token"]}

    def redis(self, node, *args, user=None, password=None):
        command = ["redis-cli", "-p", str(node.resp_port)]
        env = dict(os.environ)
        if user:
            command += ["--user", user]
            env["REDISCLI_AUTH"] = password
        done = subprocess.run([*command, *args], capture_output=True, text=True, timeout=30,
                              check=False, env=env)
        return (done.stdout + done.stderr).strip()

    def test_every_way_in_gives_what_was_granted(self):
        cluster = self.secured()
        first, second, third = cluster.nodes
        self.add_ada(first)
        token = self.token(second, "ada", ADA_PASSWORD)
        for node, headers in ((first, basic("ada", ADA_PASSWORD)), (second, token), (third, token)):
            def status(method, path, body=None, node=node, headers=headers):
                return node.http(method, path, body, headers).status
            own = f"/kv/own-{node.name}"
            self.assertEqual(status("PUT", own, b"v"), 201)
            self.assertEqual(status("GET", own), 200)
            self.assertEqual(status("GET", "/kv/alien"), 403)
            self.assertEqual(status("DELETE", "/kv/own1"), 403)
            self.assertEqual(status("GET", "/buckets/nowhere/kv/own1"), 403)
            self.assertEqual(status("GET", "/v1/debug/explain?key=own1"), 200)
            self.assertEqual(status("GET", "/v1/debug/explain?key=alien"), 403)
            self.assertEqual(status("PUT", "/v1/buckets/default", {"w": 2}), 403)
            self.assertEqual(status("POST", "/v1/admin/drain", {"on": True}), 403)
            self.assertEqual(status("GET", "/v1/admin/users"), 403)
            self.assertEqual(status("GET", "/v1/cluster/status"), 200)
        nobody = third.http("GET", "/kv/own1")
        self.assertEqual((nobody.status, nobody.json()["error"]["code"]), (401, "unauthenticated"))
        self.assertIn("Basic", nobody.header("WWW-Authenticate"))
        for path in ("/livez", "/readyz", "/openapi.json"):
            self.assertEqual(third.http("GET", path).status, 200, path)
        self.assertEqual(third.http("GET", "/metrics").status, 401)

    def test_the_client_logs_in(self):
        node = self.secured().nodes[0]
        self.add_ada(node)
        for user, password, protocol, code in (
                ("admin", ADMIN_PASSWORD, "http", 0), ("admin", ADMIN_PASSWORD, "redis", 0),
                ("admin", "wrong-secret", "http", 1), ("ada", ADA_PASSWORD, "redis", 1)):
            told = subprocess.run(
                [program("example-coroutines"), node.http_address, protocol], text=True,
                capture_output=True, timeout=60, check=False,
                env={**os.environ, "LARIAT_USER": user, "LARIAT_PASSWORD": password})
            self.assertEqual((told.returncode, told.stdout),
                             (code, "" if code else "100 copied\n"), (user, protocol, told.stderr))

    def test_batches_lists_and_operations_are_judged_key_by_key(self):
        cluster = self.secured(nodes=1)
        (node,) = cluster.nodes
        self.add_ada(node)
        ada = self.token(node, "ada", ADA_PASSWORD)
        self.assertEqual(node.http("PUT", "/v1/buckets/sums", {"conflict": "counter"},
                                   ADMIN).status, 201)
        batch = {"operations": [
            {"op": "put", "key": "own1", "value": "YQ=="},
            {"op": "put", "key": "alien", "value": "YQ=="},
            {"op": "get", "key": "alien"}, {"op": "delete", "key": "own1"},
            {"op": "get", "bucket": "none", "key": "x"},
            {"op": "update", "bucket": "sums", "key": "own1", "increment": 1},
            {"op": "update", "bucket": "none", "key": "own1", "increment": 1}]}
        results = node.http("POST", "/v1/kv/batch", batch, ada).json()["results"]
        self.assertEqual([r["status"] for r in results], [201, 403, 403, 403, 403, 403, 403])
        for method, path, body in (("GET", "/v1/buckets/default/keys", None),
                                   ("GET", "/v1/buckets/sums/keys", None),
                                   ("GET", "/v1/buckets/none/keys", None),
                                   ("GET", "/kv?prefix=%7Bow%7D", None),
                                   ("GET", "/v1/buckets/sums/stats", None),
                                   ("POST", "/v1/buckets/sums/kv/own1", {"increment": 1}),
                                   ("POST", "/v1/buckets/none/kv/own1", {"increment": 1}),
                                   ("DELETE", "/v1/buckets/sums", None),
                                   ("GET", "/v1/hot", None),
                                   ("POST", "/v1/admin/finalize-upgrade", {})):
            self.assertEqual(node.http(method, path, body, ada).status, 403, (method, path))
            self.assertEqual(node.http(method, path, body).status, 401, (method, path))
        self.assertEqual(node.http("GET", "/v1/buckets/default/keys", None, ADMIN).json()["keys"],
                         ["own1"])
        self.assertEqual(node.http("GET", "/").status, 200, "the console asks for the login itself")

    def test_redis(self):
        node, = self.secured(nodes=1).nodes
        self.add_ada(node)
        self.assertEqual(node.http("POST", "/v1/admin/roles/editor/grants",
                                   {"actions": ["read", "write"], "bucket": "redis-0",
                                    "prefix": "own"}, ADMIN).status, 200)
        ada = {"user": "ada", "password": ADA_PASSWORD}
        self.assertIn("NOAUTH", self.redis(node, "GET", "own1"))
        self.assertIn("WRONGPASS", self.redis(node, "GET", "own1", user="ada", password="wrong"))
        self.assertEqual(self.redis(node, "SET", "own1", "v", **ada), "OK")
        self.assertEqual(self.redis(node, "GET", "own1", **ada), "v")
        self.assertIn("NOPERM", self.redis(node, "GET", "alien", **ada))
        self.assertIn("NOPERM", self.redis(node, "DEL", "own1", **ada))
        self.assertIn("NOPERM", self.redis(node, "CONFIG", "GET", "*", **ada))
        self.assertEqual(self.redis(node, "-3", "GET", "own1", **ada), "v")

    def test_the_command_line(self):
        cluster = self.secured(nodes=1)
        node, = cluster.nodes
        home = self.home()
        env = {"LARIAT_NODE": node.http_address, "XDG_CONFIG_HOME": home}

        def cli(*args, expect=0, stdin=None, **more):
            done = run_cli(*args, stdin=stdin, env={**env, **more})
            self.assertEqual(done.returncode, expect, (args, done.stdout, done.stderr))
            return done
        cli("put", "own1", "v", expect=4)
        cli("login", "--user", "admin", "--password-file", self.password_file)
        kept = os.path.join(home, "lariat", "token")
        self.assertEqual(stat.S_IMODE(os.stat(kept).st_mode), 0o600)
        cli("role", "create", "editor")
        cli("role", "grant", "editor", "read,write", "--bucket", "default", "--prefix", "own")
        cli("user", "add", "ada", "--role", "editor", stdin=ADA_PASSWORD + "\n")
        cli("user", "add", "ada", stdin=ADA_PASSWORD + "\n", expect=5)
        self.assertIn("editor", cli("user", "list").stdout)
        self.assertIn("read,write", cli("role", "list").stdout)
        self.assertIn("node1", cli("status").stdout)
        ada = {"LARIAT_PASSWORD": ADA_PASSWORD}
        cli("--user", "ada", "put", "own1", "v", **ada)
        self.assertEqual(cli("get", "own1", "--user", "ada", **ada).stdout.strip(), "v")
        refused = cli("get", "alien", "--user", "ada", expect=4, **ada)
        self.assertIn("lariat role grant ROLE read --bucket default", refused.stderr)
        cli("get", "own1", "--user", "ada", expect=4, LARIAT_PASSWORD="wrong")
        token = self.token(node, "ada", ADA_PASSWORD)["Authorization"].split()[1]
        cli("get", "own1", LARIAT_TOKEN=token)
        cli("get", "alien", expect=4, LARIAT_TOKEN=token)
        cli("user", "set", "ada", "--role", "admin")
        cli("get", "alien", expect=5, LARIAT_TOKEN=token)
        cli("user", "passwd", "ada", stdin="another-planted-one\n")
        cli("get", "own1", expect=4, LARIAT_TOKEN=token)
        cli("user", "passwd", "nobody", stdin="another-planted-one\n", expect=5)
        cli("role", "revoke", "editor", "write", "--bucket", "default", "--prefix", "own")
        cli("role", "revoke", "editor", "write", "--bucket", "default", "--prefix", "own", expect=5)
        cli("user", "del", "ada")
        cli("role", "del", "editor")
        cli("user", "del", "admin", expect=1)
        os.chmod(kept, 0o644)
        self.assertIn("chmod 600", cli("get", "own1", expect=2).stderr)

    def test_a_change_is_in_force_everywhere_and_survives(self):
        cluster = self.secured()
        first, second, third = cluster.nodes
        self.add_ada(first)
        token = self.token(first, "ada", ADA_PASSWORD)
        kept = [(node, node.connect()) for node in cluster.nodes]
        for node, connection in kept:
            self.addCleanup(connection.close)
            self.assertEqual(connection.request("PUT", f"/kv/own-{node.name}", b"v", token).status,
                             201)
        self.assertEqual(first.http("PUT", "/v1/admin/users/ada",
                                    {"password": "another-planted-one"}, ADMIN).status, 200)
        for node, connection in kept:
            wait_until(lambda c=connection: c.request("GET", "/kv/own1", None, token).status == 401,
                       5, f"{node.name} refuses the old token on a kept connection")
        for node in cluster.nodes:
            node.kill9()
        for node in cluster.nodes:
            node.start()
        cluster.wait_ready()
        for node in cluster.nodes:
            self.assertEqual(node.http("GET", "/kv/own1", None, token).status, 401)
            self.assertEqual(node.http("GET", f"/kv/own-{node.name}", None,
                                       basic("ada", "another-planted-one")).status, 200)
        third.kill9()
        second.kill9()
        # Alone it knows who may come in, and cannot change it.
        self.assertEqual(first.http("GET", "/healthz", None, ADMIN).status, 200)
        self.assertEqual(first.http("DELETE", "/v1/admin/users/ada", None, ADMIN).status, 503)

    def test_secrets_are_nowhere_and_the_audit_has_the_rest(self):
        cluster = self.secured(nodes=1, **{"log.level": "trace", "security.audit_data": "true",
                                           "resp.slowlog_us": 0})
        node, = cluster.nodes
        self.add_ada(node)
        token = self.token(node, "ada", ADA_PASSWORD)
        node.http("PUT", "/kv/own1", b"planted-secret-value", token)
        node.http("GET", "/kv/alien", None, token)
        node.http("GET", "/kv/own1", None, basic("planted-secret-user", "x"))
        node.http("POST", "/v1/login", {"user": "ada", "password": "planted-secret-wrong"})
        node.http("PUT", "/v1/admin/users/ada", {"password": "planted-secret-x", "no": 1}, ADMIN)
        self.redis(node, "GET", "own1", user="ada", password="planted-secret-wrong")
        shown = node.http("GET", "/metrics", None, token).body.decode()
        shown += self.redis(node, "SLOWLOG", "GET", "100", user="admin", password=ADMIN_PASSWORD)
        shown += node.http("GET", "/v1/admin/users", None, ADMIN).body.decode()
        shown += subprocess.run([*node.command(), "--print-config"], capture_output=True, text=True,
                                timeout=20, check=False).stdout
        self.assertEqual(node.terminate(), 0)
        with open(node.log_path, encoding="utf-8") as log:
            shown += log.read()
        with open(os.path.join(node.data_dir, "audit.log"), encoding="utf-8") as audit:
            text = audit.read()
        self.assertNotIn("planted-secret", shown + text)
        self.assertNotIn("lariat1.", shown + text)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(node.data_dir, "audit.log")).st_mode),
                         0o600)
        lines = [json.loads(line) for line in text.splitlines()]

        def has(**fields):
            return any(all(line.get(k) == v for k, v in fields.items()) for line in lines)
        self.assertTrue(has(event="login", outcome="ok", user="ada", protocol="http"))
        self.assertTrue(has(event="login", outcome="unauthenticated", user="(unknown)"))
        self.assertTrue(has(event="refused", user="ada", action="read", bucket="default",
                            key="alien"))
        self.assertTrue(has(event="admin", user="admin", action="put_user", subject="ada"))
        self.assertTrue(has(event="data", user="ada", action="write", key="own1"))

    def test_turning_it_on_in_a_running_cluster(self):
        password = private_file(self, ADMIN_PASSWORD)
        cluster = self.cluster(nodes=3)
        self.assertEqual(cluster.nodes[0].http("PUT", "/kv/own1", b"v").status, 201)
        stop = threading.Event()
        wrong = []

        def client():
            connections = [node.connect(5) for node in cluster.nodes]
            while not stop.is_set():
                for connection in connections:
                    try:
                        status = connection.request("GET", "/kv/own1").status
                    except OSError:
                        continue
                    except Exception:  # pylint: disable=broad-except
                        continue
                    if status in (401, 403):
                        wrong.append(status)
                time.sleep(0.01)
            for connection in connections:
                connection.close()
        thread = threading.Thread(target=client)
        thread.start()
        for node in cluster.nodes:
            node.settings = {**node.settings, "security.auth": "permissive",
                             "security.bootstrap_password_file": password}
            node.terminate()
            node.restart()
            cluster.wait_ready()
        first = cluster.nodes[0]
        wait_until(lambda: first.http("POST", "/v1/login", {"user": "admin",
                   "password": ADMIN_PASSWORD}).status == 200, what="the administrator is there")
        stop.set()
        thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(first.http("GET", "/v1/admin/users").status, 401)
        self.add_ada(first)
        wait_until(lambda: first.metric('lariat_access_refused_total{reason="would_refuse"}') > 0,
                   what="it counts what it would refuse")
        for node in cluster.nodes:
            node.settings["security.auth"] = "on"
            node.terminate()
            node.restart()
            cluster.wait_ready()
            self.assertEqual(node.http("GET", "/kv/own1").status, 401)
            self.assertEqual(node.http("GET", "/kv/own1", None,
                                       basic("ada", ADA_PASSWORD)).status, 200)

    def test_a_login_storm_is_bounded_and_others_go_on(self):
        node, = self.secured(nodes=1).nodes
        token = self.token(node, "admin", ADMIN_PASSWORD)
        stop = threading.Event()
        seen = set()

        def storm(number):
            connection = Http(node.http_port)
            while not stop.is_set():
                for i in range(100):
                    headers = basic("admin", f"guess-{number}-{i}")
                    seen.add(connection.request("GET", "/kv/k", None, headers).status)
            connection.close()
        threads = [threading.Thread(target=storm, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        try:
            slow = 0
            for _ in range(200):
                began = time.monotonic()
                self.assertEqual(node.http("GET", "/kv/k", None, token).status, 404)
                slow += time.monotonic() - began > 1
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertLess(slow, 20)
        self.assertIn(401, seen)
        self.assertIn(429, seen)
        self.assertLessEqual(seen, {401, 429, 503})


class Start(unittest.TestCase):
    def start(self, *sets):
        data = tempfile.mkdtemp(prefix="lariat-start-")
        self.addCleanup(shutil.rmtree, data, ignore_errors=True)
        ports = free_ports(3)
        command = [program("lariatd"), "--data-dir", data, "--http", f"127.0.0.1:{ports[0]}",
                   "--resp", f"127.0.0.1:{ports[1]}", "--peer", f"127.0.0.1:{ports[2]}"]
        for each in sets:
            command += ["--set", each]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertNotIn("planted-secret", done.stderr)
        return done.stderr

    def test_secrets_that_others_can_read_are_refused(self):
        for mode in (0o644, 0o640, 0o604):
            path = private_file(self, "planted-secret-1", mode)
            told = self.start("security.auth=on", f"security.bootstrap_password_file={path}")
            self.assertIn(f"chmod 600 {path}", told)

    def test_what_cannot_be_is_said(self):
        path = private_file(self, "short")
        told = self.start("security.auth=on", f"security.bootstrap_password_file={path}")
        self.assertIn("8 to 512", told)
        self.assertIn("/nonexistent", self.start(
            "security.auth=on", "security.bootstrap_password_file=/nonexistent/x"))
        self.assertIn("/nonexistent", self.start(
            "security.auth=true", "security.audit_file=/nonexistent/audit"))
        self.assertIn("off|permissive|on", self.start("security.auth=maybe"))

    # Guards M42.
    def test_beyond_loopback_it_says_what_is_missing(self):
        told = self.start("listen.http=0.0.0.0:0")
        for word in ("security.cert_file", "lariat cert", "security.auth",
                     "security.bootstrap_password_file", "security.insecure"):
            self.assertIn(word, told)
        path = private_file(self, "planted-secret-1")
        told = self.start("listen.http=0.0.0.0:0", "security.auth=on",
                          f"security.bootstrap_password_file={path}")
        self.assertIn("security.cert_file", told)
        self.assertNotIn("no authentication", told)
        self.assertIn("no authentication",
                      self.start("listen.http=0.0.0.0:0", "security.auth=permissive"))


if __name__ == "__main__":
    unittest.main()
