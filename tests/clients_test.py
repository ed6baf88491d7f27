# SPDX-License-Identifier: Apache-2.0
"""Clients that are many, that do not read, and that are told that a node goes; output that nobody
reads."""

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import unittest

from lariat_e2e import Cluster, ClusterTest, fresh_get, start_process, wait_until

ALLOWED = 400   # open files of a node
MIB = 1 << 20


def limited(hard, soft=None):
    """A prefix for a command: it may have so many files open."""
    limits = f"ulimit -Sn {soft or hard} && ulimit -Hn {hard}"
    return ["sh", "-c", limits + ' && exec "$@"', "sh"]


def dial(node, data=b""):
    client = socket.create_connection(("127.0.0.1", node.http_port), timeout=10)
    if data:
        client.sendall(data)
    return client


ALONE = {"node.shards": 1, "cluster.default_n": 1}   # settings of a cluster of one


def gets(key, count):
    return f"GET /kv/{key} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * count


class Many(ClusterTest):
    def crowded(self):
        """Three nodes, of which the first may open few files."""
        cluster = Cluster(nodes=3, settings={"node.shards": 1, "membership.gossip_period_ms": 100,
                                             "resp.connections_max": 10}, start=False)
        self.addCleanup(cluster.close)
        cluster.nodes[0].prefix = limited(ALLOWED, soft=ALLOWED // 4)
        for node in cluster.nodes:
            node.start()
        cluster.wait_ready()
        return cluster

    def holding(self, node, count, data=b""):
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(dial(node, data))
            self.addCleanup(stack.pop_all().close)

    def test_idle_clients_make_room_and_cost_the_node_nothing(self):
        cluster = self.crowded()
        first, second = cluster.nodes[:2]
        self.assertIn(f"{ALLOWED} open files are allowed", first.log_tail())
        most = int(first.metric("lariat_http_connections_max"))
        self.assertTrue(100 < most < ALLOWED, most)
        self.holding(first, ALLOWED + 100)
        first.drop_client()   # it was idle for longest
        for number in range(20):
            reply = first.http("PUT", f"/kv/k{number}?w=3", b"x" * 10000)
            self.assertEqual(reply.status, 201)
        self.assertGreaterEqual(first.metric("lariat_http_connections_shed_total"),
                                ALLOWED + 100 - most)
        self.assertLessEqual(len(os.listdir(f"/proc/{first.pid}/fd")), ALLOWED)
        wait_until(lambda: "idle connections were closed for new ones" in first.log_tail(),
                   what="it is said in the log")
        # All are in the middle of a request: the next client is told so, and other nodes still
        # reach this one.
        self.holding(first, most, b"GET /kv/")

        def is_refused():
            client = dial(first, b"GET /kv/")
            self.addCleanup(client.close)
            client.settimeout(0.2)
            try:
                return client.recv(4096).startswith(b"HTTP/1.1 503 ")
            except TimeoutError:
                return False   # one of the others had not been heard yet; now there is one more
        wait_until(is_refused, what="a client finds no room")
        self.assertEqual(second.http("PUT", "/kv/late?w=3", b"x").status, 201)
        self.assertTrue(first.running())

    def test_too_few_files_are_refused_with_advice(self):
        cluster = Cluster(nodes=1, start=False)
        self.addCleanup(cluster.close)
        node = cluster.nodes[0]
        done = subprocess.run(limited(100) + node.command(), capture_output=True, text=True,
                              timeout=30, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("may open 100 files", done.stderr)
        self.assertIn("LimitNOFILE", done.stderr)


class Deaf(ClusterTest):
    def memory(self, node):
        """The most that the process ever had, in bytes."""
        with open(f"/proc/{node.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def test_clients_that_do_not_read_hold_little(self):
        total = 64 * MIB
        cluster = self.cluster(1, {**ALONE, "http.output_total_bytes_max": total})
        node = cluster.nodes[0]
        self.assertEqual(node.http("PUT", "/kv/big", os.urandom(MIB)).status, 201)
        self.assertEqual(node.http("GET", "/kv/big").status, 200)
        before = self.memory(node)
        asked, each = gets("big", 128), 128 * MIB
        deaf = [dial(node, asked) for _ in range(40)]
        for client in deaf:
            self.addCleanup(client.close)
        # What the kernel takes for them is not the node's.
        held = wait_until(lambda: node.metric("lariat_http_output_waits_total") >= 40 and
                          node.metric("lariat_http_output_bytes"), what="all are held back")
        self.assertLessEqual(held, total + 2 * MIB)
        self.assertLess(self.memory(node) - before, 3 * total)
        # Nothing is dropped: who begins to read gets all that was asked for.
        received = 0
        buffer = bytearray(MIB)
        while received < each:
            got = deaf[0].recv_into(buffer)
            self.assertGreater(got, 0, f"{received} bytes came")
            received += got
        self.assertLess(self.memory(node) - before, 3 * total)
        self.assertTrue(all(not closed(client) for client in deaf))

    def test_who_reads_nothing_for_long_is_closed(self):
        cluster = self.cluster(1, {**ALONE, "http.write_stall_ms": 300})
        node = cluster.nodes[0]
        self.assertEqual(node.http("PUT", "/kv/big", os.urandom(MIB)).status, 201)
        with dial(node, gets("big", 64)):
            wait_until(lambda: node.metric("lariat_http_connections_stalled_total") == 1,
                       what="the client is given up")
        self.assertEqual(node.metric("lariat_http_output_bytes"), 0)


def closed(client):
    """The other side has ended the connection; bytes that wait to be read do not say so."""
    state = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return state[0] != 1  # established


class Output(ClusterTest):
    def test_a_log_that_nobody_reads_holds_up_nothing(self):
        cluster = Cluster(nodes=1, settings={**ALONE, "log.queue_bytes": 4096}, start=False)
        self.addCleanup(cluster.close)
        node = cluster.nodes[0]
        config = os.path.join(cluster.dir, "config.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write("")
        node.args = ["--config", config]
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"#" * 4096)
        fcntl.fcntl(writer, fcntl.F_SETFL, 0)
        node.process = start_process(node.command(), stdin=subprocess.DEVNULL, stdout=writer,
                                     stderr=writer)
        os.close(writer)
        with open(node.log_path, "w", encoding="ascii"):
            node.wait_ready()
        with open(config, "w", encoding="ascii") as file:
            file.write("[nonsense]\n")

        def complains():
            node.process.send_signal(signal.SIGHUP)
            self.assertEqual(node.http("PUT", "/kv/a", b"x").status, 201)
            return node.metric("lariat_log_dropped_total") > 0
        wait_until(complains, what="lines are dropped")
        os.set_blocking(reader, False)
        text = b""

        def said():
            nonlocal text
            with contextlib.suppress(BlockingIOError):
                text += os.read(reader, 65536)
            return b"lines were dropped here" in text
        wait_until(said, what="the log says that lines are missing")
        self.assertIn(b"lariatd ready", text)
        self.assertEqual(node.terminate(), 0)

    def test_an_end_does_not_wait_for_a_reader(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"#" * 4096)
        fcntl.fcntl(writer, fcntl.F_SETFL, 0)
        cluster = Cluster(nodes=1, start=False)
        self.addCleanup(cluster.close)
        node = cluster.nodes[0]
        node.process = start_process(node.command(), stdin=subprocess.DEVNULL, stdout=writer,
                                     stderr=writer)
        os.close(writer)
        with open(node.log_path, "w", encoding="ascii"):
            node.wait_ready()
        self.assertEqual(node.terminate(timeout=20), 0)

    def test_closed_standard_descriptors_do_not_get_into_files(self):
        cluster = Cluster(nodes=1, start=False)
        self.addCleanup(cluster.close)
        node = cluster.nodes[0]
        node.prefix = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
        node.start()
        node.wait_ready()
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{node.pid}/fd/{fd}"), "/dev/null")
        with open(os.path.join(node.data_dir, "LOCK"), encoding="ascii") as lock:
            self.assertEqual(lock.read(), str(node.pid))


class Going(ClusterTest):
    def started(self, linger_ms):
        cluster = self.cluster(1, {**ALONE, "shutdown.linger_ms": linger_ms})
        return cluster.nodes[0]

    def test_a_node_that_goes_says_so_and_serves_on(self):
        node = self.started(60000)
        node.process.terminate()
        reply = wait_until(lambda: not_ready(node), what="it says that it goes")
        self.assertIn("draining", "; ".join(reply.json()["reasons"]))
        self.assertEqual(fresh_get(node, "/livez").status, 200)
        self.assertEqual(node.http("PUT", "/kv/a", b"x").status, 201)
        # A second signal does not wait.
        self.assertEqual(node.terminate(20), 1)

    def test_then_it_ends(self):
        node = self.started(300)
        node.process.terminate()
        said = []

        def gone():
            try:
                said.append(fresh_get(node, "/readyz").status)
                return False
            except (OSError, http.client.HTTPException):
                return True
        wait_until(gone, what="it listens no more", every=0.01)
        self.assertIn(503, said)
        self.assertEqual(node.process.wait(20), 0)

    def test_who_presses_a_key_does_not_wait(self):
        node = self.started(60000)
        node.process.send_signal(signal.SIGINT)
        self.assertEqual(node.process.wait(20), 0)


def not_ready(node):
    reply = fresh_get(node, "/readyz")
    return reply if reply.status == 503 else None


if __name__ == "__main__":
    unittest.main()
