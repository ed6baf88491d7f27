#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The measurements run from end to end, report every figure they promise, and refuse to when
something failed or was lost. No figure is judged: that would be a test of the machine."""
import json
import os
import pathlib
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import types
import unittest

from lariat_e2e import start_process, wait_until

BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench"
sys.path.insert(0, str(BENCH))
from figures import TARGETS, Refused, judge, measured, medians, refuse_failed, refuse_lost
from growth import points
from plot import Curve, Panel, draw, nice_step
from stores import Load

RUN = BENCH / "run"
FIGURES = ("operations", "per_second", "p50_us", "p99_us", "p999_us", "user_us_per_op",
           "system_us_per_op", "syscalls_per_op", "instructions_per_op")


def run(*args, timeout=120):
    return subprocess.run([sys.executable, RUN, *map(str, args)], capture_output=True, text=True,
                          timeout=timeout, check=False)


class Directory(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="lariat-bench-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def report(self, *args, timeout=120):
        """What a run writes as JSON, and what it prints."""
        done = run("--dir", self.directory, "--json", self.path("report.json"), *args,
                   timeout=timeout)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(["report.json"], os.listdir(self.directory), "leaves nothing")
        with open(self.path("report.json"), encoding="utf-8") as report:
            return json.load(report), done.stdout


class RunTest(Directory):
    def test_smoke_run_reports_all_figures(self):
        report, shown = self.report("--smoke", "--only", "rocksdb,three,redis,redis3,etcd")
        cases = [result["case"] for result in report["results"]]
        for case in ("rocksdb.put-sync.50", "three.put.sync", "three.put.periodic", "three.get",
                     "three.json.put", "three.json.get", "redis.put.always", "redis.get",
                     "redis3.put.wait"):
            self.assertIn(case, cases)
        for result in report["results"]:
            for figure in FIGURES:
                self.assertIn(figure, result)
            self.assertGreater(result["operations"], 0, result["case"])
            self.assertIn(result["title"], shown)
        self.assertTrue({"sync", "periodic", "keys"} <= {v["bucket"] for v in report["verified"]})
        self.assertEqual({500}, {v["keys"] for v in report["verified"]})

    def test_quick_run_of_one_row(self):
        report, shown = self.report("--quick", "--only", "redis.put.always", "--keys", 1000,
                                    "--value", 100, "--connections", 10, "--duration", 0.3)
        self.assertEqual(["redis.put.always"], [r["case"] for r in report["results"]])
        self.assertEqual((1000, 100, 10), tuple(report[name] for name in (
            "keys", "value_bytes", "connections")))
        self.assertIn("no acknowledged write is missing", shown)

    def test_wrong_arguments_are_refused(self):
        for args, said in ((["--only", "everything"], "everything"), (["--value", 10], "30"),
                           (["--growth", "--series", "moons"], "moons")):
            done = run(*args)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)
        self.assertEqual(1, run("--smoke", "--only", "redis.nonsense").returncode)

    def test_an_interrupted_run_leaves_nothing(self):
        process = start_process([sys.executable, RUN, "--only", "redis3,three", "--keys", "500",
                                 "--dir", self.directory], stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        for line in process.stderr:
            if "round 1" in line:
                break
        children = servers_in(self.directory)
        self.assertEqual(6, len(children), children)
        process.send_signal(signal.SIGINT)
        self.assertEqual(130, process.wait(60), process.stderr.read())
        self.assertEqual([], os.listdir(self.directory))
        wait_until(lambda: not servers_in(self.directory), what="no server is left")

    def test_growth_goes_on_where_it_was(self):
        args = ("--growth", "--quick", "--series", "keys", "--max-keys", 10_000, "--duration", 0.2,
                "--dir", self.directory, "--state", self.path("state"), "--svg", self.path("svg"))
        late = run(*args, "--point-limit", 0.001)
        self.assertEqual(0, late.returncode, late.stderr)
        self.assertIn("not within", late.stderr)
        first = run(*args)
        self.assertIn("measuring keys 10000", first.stderr)
        again = run(*args)
        self.assertNotIn("measuring", again.stderr)
        self.assertEqual(first.stdout, again.stdout)
        with open(self.path("svg"), encoding="utf-8") as plot:
            self.assertEqual(4, plot.read().count("<polyline"))


def servers_in(directory):
    """Ids of the servers that keep data below a directory: by where they are (Redis), or by their
    command lines."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            told = process.joinpath("cmdline").read_text(), os.readlink(process / "cwd")
        except OSError:
            continue
        if re.match(r"\S*(redis-server|lariatd)\b", told[0]) and directory in "".join(told):
            found.append(int(process.name))
    return found


class FakeRedis(socketserver.ThreadingTCPServer):
    """Understands GET and SET; `fails` and `forgets` say at which SETs, by their number."""
    daemon_threads = allow_reuse_address = True

    def __init__(self, fails=lambda number: False, forgets=lambda number: False):
        super().__init__(("127.0.0.1", 0), FakeConnection)
        self.fails, self.forgets = fails, forgets
        self.values, self.sets, self.lock = {}, 0, threading.Lock()
        self.protocol, self.pids, self.name = "resp", [os.getpid()], "fake"
        self.addresses = ["127.0.0.1:%d" % self.server_address[1]]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def load_flags(self, bucket):
        return []

    def set(self, key, value):
        with self.lock:
            self.sets += 1
            if self.fails(self.sets):
                return b"-ERR planted\r\n"
            if not self.forgets(self.sets):
                self.values[key] = value
        return b"+OK\r\n"


class FakeConnection(socketserver.StreamRequestHandler):
    def handle(self):
        while count := self.rfile.readline():
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2]
                     for _ in range(int(count[1:]))]
            if words[0] == b"SET":
                self.wfile.write(self.server.set(*words[1:]))
            elif (value := self.server.values.get(words[1])) is None:
                self.wfile.write(b"$-1\r\n")
            else:
                self.wfile.write(b"$%d\r\n%b\r\n" % (len(value), value))


class PlantedTest(Directory):
    """Stores that are wrong on purpose."""

    def load(self, keys=200, **wrong):
        self.store = FakeRedis(**wrong)
        self.addCleanup(self.store.server_close)
        self.addCleanup(self.store.shutdown)
        return Load(types.SimpleNamespace(scratch=self.directory, keys=keys, value=100,
                                          connections=4), self.store)

    def test_a_right_store_passes(self):
        load = self.load()
        load.run("load")
        self.assertGreater(load.run("put", 0.2)["all"]["operations"], 0)
        self.assertEqual(200, load.run("verify")["all"]["operations"])

    def test_one_error_is_no_figure(self):
        with self.assertRaisesRegex(Refused, "1 operations failed .1 x 500; one said '-ERR pl"):
            self.load(fails=lambda number: number == 150).run("load")

    def test_a_key_that_is_missing_is_no_figure(self):
        load = self.load(forgets=lambda number: number == 7)
        load.run("load")
        with self.assertRaisesRegex(Refused, "[1-9][0-9]* operations failed .* x 404"):
            load.run("get", 0.3)

    def test_a_lost_first_write_is_found(self):
        load = self.load(forgets=lambda number: number == 7)
        load.run("load")
        with self.assertRaisesRegex(Refused, "1 lost an acknowledged write"):
            load.run("verify")

    def test_a_lost_overwrite_is_found(self):
        load = self.load(forgets=lambda number: number > 200)
        load.run("load")
        load.run("put", 0.2)
        with self.assertRaisesRegex(Refused, "[1-9][0-9]* lost an acknowledged write, 0 show"):
            load.run("verify")

    def test_a_value_of_another_key_is_found(self):
        load = self.load()
        load.run("load")
        self.store.values[b"k%012d" % 3] = self.store.values[b"k%012d" % 4]
        with self.assertRaisesRegex(Refused, "0 lost .* 1 show what nobody wrote.*k000000000003"):
            load.run("verify")

    def test_a_store_that_loses_its_last_writes_when_killed(self):
        load = self.load()
        load.run("load")
        on_disk = dict(self.store.values)

        def kill():
            self.store.fails = lambda number: True
            self.store.values = on_disk
        self.store.kill, self.store.start = kill, lambda: None
        with self.assertRaisesRegex(Refused, "lost an acknowledged write"):
            load.kill_and_verify()


def figures(user=0.0, rate=1.0, p99=1.0):
    return {"user_us_per_op": user, "system_us_per_op": user, "per_second": rate, "p99_us": p99}


class ArithmeticTest(unittest.TestCase):
    def test_median_of_each_figure(self):
        self.assertEqual({"a": 2, "b": 25}, medians([{"a": 1, "b": 20}, {"a": 2, "b": 30},
                                                    {"a": 9, "b": 25}]))

    def test_ratios_are_of_one_round_each(self):
        target = next(t for t in TARGETS if t.case == "three.get")
        # The machine is twice as slow in the second round; the ratio is not.
        rounds = {"three.get": [figures(20), figures(40), figures(30)],
                  "redis.get": [figures(5), figures(10), figures(5)]}
        self.assertEqual(4.0, measured(target, rounds))
        self.assertIsNone(measured(target, {"three.get": rounds["three.get"]}))
        self.assertIsNone(measured(target, {**rounds, "redis.get": [figures(0)] * 3}))

    def test_limits_and_aims(self):
        rounds = {"three.put.sync": [figures(60, rate=5000)], "etcd.put": [figures(200, rate=1000)],
                  "rocksdb.put-sync.50": [figures(8)], "three.put.sync.4": [figures(p99=1500)]}
        found = {(r["beside"], r["figure"]): r for r in judge(rounds)}
        self.assertEqual(4, len(found))
        three_times = found["rocksdb.put-sync.50", "cpu"]
        self.assertEqual((2.5, False), (three_times["measured"], three_times["met"]))
        cpu = found["etcd.put", "cpu"]
        self.assertEqual((0.3, True, False), (cpu["measured"], cpu["met"], cpu["aim_met"]))
        rate = found["etcd.put", "per_second"]
        self.assertEqual((5.0, True, False), (rate["measured"], rate["met"], rate["aim_met"]))
        self.assertEqual(1500, found["", "p99_us"]["measured"])

    def test_refusals(self):
        good = {"failed": 0, "failures": {}, "all": {"operations": 5}, "lost": 0, "wrong": 0}
        refuse_failed("x", good)
        refuse_lost("x", good)
        for bad in ({"failed": 1, "failures": {"503": 1}}, {"all": {"operations": 0}}):
            self.assertRaises(Refused, refuse_failed, "x", {**good, **bad})
            self.assertRaises(Refused, refuse_lost, "x", {**good, **bad, "example": ""})
        for name in ("lost", "wrong"):
            self.assertRaises(Refused, refuse_lost, "x", {**good, name: 1, "example": "k"})

    def test_points_of_growth_are_bounded(self):
        self.assertLessEqual(max(p.keys for p in points(50_000)), 50_000)
        self.assertEqual(10 ** 7, max(p.keys for p in points(10 ** 9)))
        for series in ("keys", "nodes", "value", "buckets"):
            self.assertEqual(sorted(xs := [p.x for p in points(10 ** 7) if p.series == series]), xs)

    def test_plot(self):
        self.assertEqual([1, 2, 5, 10, 20], [nice_step(top) for top in (5, 6, 25, 26, 100)])
        curve = Curve("put", [(10, 1.0), (1000, 3.0)])
        text = draw([Panel("cost", "keys", [curve]), Panel("none", "keys", [])], 2)
        self.assertEqual(1, text.count("<polyline"))
        self.assertIn(">1k<", text)


if __name__ == "__main__":
    unittest.main()
