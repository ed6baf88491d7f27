#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TLS with real processes: clients, peers, certificates that change while nodes run, and what is
refused."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from lariat_e2e import (FAST, Cluster, Http, cert_settings, fresh_get, free_ports, kill_group,
                        members, program, raw_exchange, run_cli, start_process, wait_settled,
                        wait_until)

SECURE = {**FAST, "node.shards": 2}


def context(certs, user=None, ca=None):
    made = ssl.create_default_context(cafile=ca or os.path.join(certs, "ca.crt"))
    if user:
        made.load_cert_chain(os.path.join(certs, user + ".crt"),
                             os.path.join(certs, user + ".key"))
    return made


def dial(port, tls, session=None):
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return tls.wrap_socket(plain, server_hostname="127.0.0.1", session=session)


def read_file(path):
    with open(path, "rb") as source:
        return source.read()


def write_files(texts):
    for path, text in texts.items():
        with open(path, "wb") as out:
            out.write(text)


def serial_of(port, tls):
    with dial(port, tls) as connection:
        return connection.getpeercert()["serialNumber"]


def refuses(port, tls, data=b"\0" * 64):
    """Whether the connection ends without an answer, in the handshake or after it."""
    try:
        with dial(port, tls) as connection:
            connection.sendall(data)
            return connection.recv(1) == b""
    except OSError:
        return True


class SecureTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(nodes=3, settings=SECURE, secure=True)
        self.addCleanup(self.cluster.close)
        self.cluster.wait_ready()
        self.certs = self.cluster.certs

    def test_clients_of_all_kinds(self):
        first, _, third = self.cluster.nodes
        self.assertEqual(first.http("PUT", "/kv/a?w=3", b"one").status, 201)
        self.assertEqual(third.http("GET", "/kv/a").body, b"one")
        large = os.urandom(1 << 20)
        self.assertEqual(first.http("PUT", "/kv/large", large).status, 201)
        self.assertEqual(third.http("GET", "/kv/large").body, large)
        self.assertEqual(self.cluster.cli("get", "a").stdout, "one")
        told = self.cluster.cli("get", "a", "--node", f"https://{third.http_address}")
        self.assertEqual((told.returncode, told.stdout), (0, "one"))
        if shutil.which("redis-cli"):
            told = subprocess.run(
                ["redis-cli", "--tls", "--cacert", os.path.join(self.certs, "ca.crt"), "-p",
                 str(first.resp_port)], input="SET k v\nGET k\n", capture_output=True, text=True,
                timeout=20, check=True)
            self.assertEqual(told.stdout.split(), ["OK", "v"])
        told = subprocess.run([program("example-coroutines"), first.http_address], text=True,
                              capture_output=True, timeout=30, check=False,
                              env={**os.environ, "LARIAT_CA": os.path.join(self.certs, "ca.crt")})
        self.assertEqual((told.returncode, told.stdout), (0, "100 copied\n"), told.stderr)
        for node in self.cluster.nodes:
            self.assertGreater(node.metric("lariat_tls_handshakes_total"), 2)
            self.assertGreater(node.metric("lariat_tls_certificate_seconds_left"), 86400 * 700)

    def test_a_session_is_taken_up_on_any_shard(self):
        node = self.cluster.nodes[0]
        tls = context(self.certs)
        with dial(node.http_port, tls) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: n\r\n\r\n")
            connection.recv(1000)   # the ticket comes with it
            session = connection.session
        reused = []
        for _ in range(6):
            with dial(node.http_port, tls, session) as connection:
                reused.append(connection.session_reused)
        self.assertEqual(reused, [True] * 6)

    # Guards M42.
    def test_who_is_refused(self):
        node = self.cluster.nodes[0]
        run_cli("cert", "client", self.certs, "ann")
        for port in (node.http_port, node.resp_port, node.peer_port):
            for data in (b"GET /kv/a HTTP/1.1\r\nHost: n\r\n\r\n", b"*1\r\n$4\r\nPING\r\n"):
                answer = raw_exchange(port, data)
                self.assertNotIn(b"PONG", answer)
                told = data.startswith(b"GET") and port != node.peer_port
                self.assertEqual(answer.startswith(b"HTTP/1.1 400"), told, answer)
        self.assertTrue(refuses(node.peer_port, context(self.certs)))
        self.assertTrue(refuses(node.peer_port, context(self.certs, "ann")))
        with tempfile.TemporaryDirectory() as other:
            for words in (["ca", other], ["node", other, "node1"], ["client", other, "ann"]):
                self.assertEqual(run_cli("cert", *words).returncode, 0)
            ours = os.path.join(self.certs, "ca.crt")
            self.assertTrue(refuses(node.peer_port, context(other, "node1", ours)))
            self.assertTrue(refuses(node.http_port, context(other, "ann", ours)))
            told = run_cli("get", "a", "--node", node.http_address, "--ca", f"{other}/ca.crt")
            self.assertEqual(told.returncode, 3)
            self.assertIn("certificate verify failed", told.stderr)
        told = run_cli("get", "a", "--node", node.http_address)
        self.assertIn("--ca", told.stderr)
        self.assertGreaterEqual(node.metric("lariat_tls_handshakes_failed_total"), 9)
        # A line in a second at most.
        wait_until(lambda: refuses(node.peer_port, context(self.certs, "ann"))
                   and "names no node" in node.log_tail(200), what="the log says why")

    # Guards M42.
    def test_a_revoked_certificate_is_refused(self):
        node = self.cluster.nodes[0]
        for user in ("ann", "bob"):
            self.assertEqual(run_cli("cert", "client", self.certs, user).returncode, 0)
        self.assertEqual(run_cli("cert", "revoke", self.certs, "ann").returncode, 0)
        node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: node.metric("lariat_tls_reloads_total") == 1, what="the list")
        live = b"GET /livez HTTP/1.1\r\nHost: n\r\n\r\n"
        self.assertTrue(refuses(node.http_port, context(self.certs, "ann"), live))
        self.assertFalse(refuses(node.http_port, context(self.certs, "bob"), live))

    # Guards M42.
    def test_a_node_of_another_authority_does_not_come_in(self):
        stranger = self.cluster.add_node("node4", start=False)
        other = os.path.join(self.cluster.dir, "other")
        for words in (["ca", other], ["node", other, "node4"]):
            self.assertEqual(run_cli("cert", *words).returncode, 0)
        stranger.settings = {**SECURE, **cert_settings(other, "node4")}
        stranger.start()
        wait_until(lambda: "certificate" in stranger.log_tail(200).split("good until")[-1],
                   what="it hears why")
        self.assertNotIn("node4", members(self.cluster.nodes[0]))
        stranger.kill9()
        stranger.settings = {**SECURE, **cert_settings(self.certs, "node4")}
        stranger.start()
        wait_settled(self.cluster)

    def test_new_certificates_come_into_use_under_traffic(self):
        stop, failures, done = threading.Event(), [], []

        def traffic(node, kept):
            client = node.connect()
            count = 0
            while not stop.is_set():
                try:
                    if not kept:
                        client.close()
                        client = node.connect()
                    reply = client.request("PUT", f"/kv/t{count % 50}?w=2", b"x")
                    if reply.status not in (200, 201, 204, 300):
                        failures.append(reply.status)
                except Exception as error:
                    failures.append(error)
                count += 1
            client.close()
            done.append(count)

        threads = [threading.Thread(target=traffic, args=(node, kept))
                   for node in self.cluster.nodes[:2] for kept in (True, False)]
        for thread in threads:
            thread.start()
        tls = context(self.certs)
        try:
            for node in self.cluster.nodes:
                before = serial_of(node.http_port, tls)
                self.cluster.make_cert("node", node.name, "--force")
                node.process.send_signal(signal.SIGHUP)
                wait_until(lambda: serial_of(node.http_port, tls) != before, what="the new one")
                self.assertEqual(serial_of(node.resp_port, tls), serial_of(node.http_port, tls))
                self.assertEqual(node.metric("lariat_tls_reloads_total"), 1)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(min(done), 10)

    def test_bad_new_files_change_nothing_but_the_log(self):
        node = self.cluster.nodes[0]
        tls = context(self.certs)
        before = serial_of(node.http_port, tls)
        cert, key = (os.path.join(self.certs, "node1" + end) for end in (".crt", ".key"))
        good = {path: read_file(path) for path in (cert, key)}
        second = {path: read_file(path.replace("node1", "node2")) for path in good}
        for wrong, words in (
                ({cert: b"-----BEGIN CERT"}, "holds no certificate"),
                ({cert: second[cert]}, "is not the key of"),
                ({cert: second[cert], key: second[key]}, "is that of the node 'node2'")):
            write_files({**good, **wrong})
            node.process.send_signal(signal.SIGHUP)
            wait_until(lambda: words in node.log_tail(200), what=words)
            wait_until(lambda: node.metric("lariat_tls_reload_failing") == 1, what="the alarm")
            self.assertEqual(serial_of(node.http_port, tls), before)
        os.chmod(key, 0o640)
        node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "chmod 600" in node.log_tail(200), what="the mode")
        os.chmod(key, 0o600)
        write_files(good)
        node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: node.metric("lariat_tls_reload_failing") == 0, what="all is well")
        self.assertEqual(serial_of(node.http_port, tls), before)


class OneNodeTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lariat-tls-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.certs = os.path.join(self.dir, "certs")
        for words in (["ca", self.certs], ["node", self.certs, "n1"], ["node", self.certs, "n2"]):
            self.assertEqual(run_cli("cert", *words).returncode, 0)

    def start_error(self, settings):
        ports = free_ports(3)
        command = [program("lariatd"), "--name", "n1", "--data-dir", os.path.join(self.dir, "d")]
        for flag, port in zip(("--http", "--resp", "--peer"), ports):
            command += [flag, f"127.0.0.1:{port}"]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(told.returncode, 2, told.stderr)
        return told.stderr

    # Guards M42.
    def test_bad_files_end_the_start(self):
        good = cert_settings(self.certs, "n1")
        for missing in good:
            told = self.start_error({k: v for k, v in good.items() if k != missing})
            self.assertIn(f"{missing} is not set", told)
            told = self.start_error({**good, missing: "/nowhere/x"})
            self.assertIn(missing + ":", told)
            self.assertIn("/nowhere/x", told)
        other = cert_settings(self.certs, "n2")
        told = self.start_error({**good, "security.key_file": other["security.key_file"]})
        self.assertIn("is not the key of", told)
        self.assertIn("is that of the node 'n2', and this node is 'n1'", self.start_error(other))
        os.chmod(good["security.key_file"], 0o644)
        told = self.start_error(good)
        self.assertIn("security.key_file", told)
        self.assertIn("chmod 600", told)

    def test_certs_are_private_and_not_overwritten(self):
        for name in ("ca", "n1"):
            self.assertEqual(os.stat(f"{self.certs}/{name}.key").st_mode & 0o777, 0o600)
        for words in (["ca", self.certs], ["node", self.certs, "n1"]):
            told = run_cli("cert", *words)
            self.assertEqual(told.returncode, 1)
            self.assertIn("--force", told.stderr)
        for name in ("ca", "../x", ""):
            self.assertEqual(run_cli("cert", "node", self.certs, name).returncode, 2, name)
        self.assertEqual(run_cli("cert", "client", f"{self.dir}/none", "ann").returncode, 1)
        self.assertFalse([name for name in os.listdir(self.certs) if name.endswith(".new")])

    def test_changed_files_are_found_without_a_signal(self):
        with Cluster(nodes=1, settings={**SECURE, "security.check_files_s": 1},
                     secure=True) as cluster:
            cluster.wait_ready()
            node = cluster.nodes[0]
            tls = context(cluster.certs)
            before = serial_of(node.http_port, tls)
            cluster.make_cert("node", "node1", "--force")
            wait_until(lambda: serial_of(node.http_port, tls) != before, what="the new one")

    def test_a_running_cluster_goes_over_to_tls(self):
        with Cluster(nodes=3, settings=SECURE, secure=True, start=False) as cluster:
            certs = {node.name: (node.settings, node.tls) for node in cluster.nodes}

            def restart(node, settings, tls):
                if node.running():
                    node.terminate()
                node.drop_client()
                node.settings, node.tls = settings, tls
                node.start()

            for node in cluster.nodes:
                restart(node, SECURE, None)
            wait_settled(cluster)
            put = cluster.nodes[0].http("PUT", "/kv/a?w=3", b"one")
            self.assertEqual(put.status, 201)
            for node in cluster.nodes:
                restart(node, {**certs[node.name][0], "security.transition": "true"}, None)
                wait_settled(cluster)
                self.assertEqual(node.http("GET", "/kv/a?r=3").body, b"one")
                node.tls = certs[node.name][1]
                self.assertEqual(fresh_get(node, "/kv/a?r=3").body, b"one")
            for node in cluster.nodes:
                restart(node, *certs[node.name])
                wait_settled(cluster)
                self.assertEqual(fresh_get(node, "/kv/a?r=3").body, b"one")

    def test_an_end_that_comes_soon_is_told(self):
        with Cluster(nodes=1, settings=SECURE, secure=True, start=False) as cluster:
            cluster.make_cert("node", "node1", "--force", "--days", "10")
            cluster.nodes[0].start()
            cluster.wait_ready()
            wait_until(lambda: "a certificate in use expires on" in cluster.nodes[0].log_tail(),
                       what="the warning")
            health = cluster.nodes[0].http("GET", "/healthz").json()
            self.assertIn(health["certificate_days"], (9, 10))

    def test_up_secure(self):
        where = os.path.join(self.dir, "up")
        base = free_ports(21, consecutive=True)[0]
        up = start_process([program("lariat"), "up", "--secure", "--nodes", "2", "--dir", where,
                            "--base-port", str(base), "--shards", "1"], stdout=subprocess.PIPE,
                           text=True)
        try:
            told = ""
            while "Ctrl-C" not in told:
                line = up.stdout.readline()
                self.assertNotEqual(line, "", told)
                told += line
            ca = os.path.join(where, "certs", "ca.crt")
            self.assertIn(f"export LARIAT_CA={ca}", told)
            self.assertIn("https://", told)
            env = {"LARIAT_CA": ca, "LARIAT_NODE": f"127.0.0.1:{base}", "HOME": self.dir,
                   "XDG_CONFIG_HOME": self.dir}
            self.assertEqual(run_cli("status", env=env).returncode, 4, "nobody has logged in")
            secret = os.path.join(where, "admin.password")
            self.assertEqual(os.stat(secret).st_mode & 0o077, 0)
            login = run_cli("login", "--user", "admin", "--password-file", secret, env=env)
            self.assertEqual(login.returncode, 0, login.stderr)
            self.assertEqual(run_cli("put", "a", "b", env=env).returncode, 0)
            self.assertEqual(run_cli("status", env=env).returncode, 0)
        finally:
            up.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                up.wait(30)
            kill_group(up)
            up.stdout.close()


if __name__ == "__main__":
    unittest.main()
