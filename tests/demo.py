#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev demo: this machine's own Debian package index in a cluster that loses a node.

Loads every *_Packages list of apt through `lariat import` with W=2 into three nodes, kills one of
them with -9 half-way, starts it again while the import goes on, and afterwards compares every
record byte for byte, at R=2 and at R=1 from each node. Exit code 0 means that all were equal.

  --records N   only the first N records
  --list FILE   this file (deb822) in place of apt's lists; repeatable
"""

import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from lariat_e2e import Http, free_ports, program, wait_until

APT_LISTS = "/var/lib/apt/lists"
CAT_FILE = "/usr/lib/apt/apt-helper"
KILL_AT, START_AT = 0.5, 0.75
# A read at R=1 asks the node's own replica. Without this it might ask another one as well when the
# machine is busy, and the comparison would say less.
NO_HEDGE = ["--set", "request.hedge_ms=60000"]


class Failure(Exception):
    """Something did not go as it has to; the text says what."""


def say(topic, text):
    print(f"  {topic:<13} {text}", flush=True)


def count(number):
    return f"{number:,}"


def mib(number):
    return f"{number / (1 << 20):.1f} MiB"


# --- the records -----------------------------------------------------------------------------


def apt_lists():
    """apt's package lists; they are fetched only when there are none."""
    def found():
        return sorted(path for path in glob.glob(f"{APT_LISTS}/*_Packages*")
                      if os.path.isfile(path))
    if not found():
        say("apt", "no package lists here yet: running apt-get update")
        subprocess.run(["apt-get", "update", "-qq"], check=False)
    if not found():
        raise Failure(f"no *_Packages lists in {APT_LISTS}: run 'apt-get update' as root first")
    return found()


def records_of(path):
    """The text of a list as one record after the other, each without its blank line."""
    if path.startswith(APT_LISTS):  # may be compressed
        text = subprocess.run([CAT_FILE, "cat-file", path], stdout=subprocess.PIPE,
                              check=True).stdout
    else:
        with open(path, "rb") as file:
            text = file.read()
    return [record + b"\n" for record in re.split(rb"\n(?:[ \t]*\n)+", text.strip(b"\n")) if record]


class Source:
    """One list as a plain file, and the bucket that it goes to: the same version of a package may
    stand in two lists, with another path."""

    def __init__(self, path, records, folder):
        name = re.sub(r"_Packages.*$", "", os.path.basename(path))
        name = re.sub(r"^.*_dists_", "", name)
        self.bucket = re.sub(r"[^A-Za-z0-9.-]+", "-", name)[-64:]
        self.records = len(records)
        self.bytes = sum(map(len, records))
        self.largest = max(map(len, records))
        self.file = os.path.join(folder, f"{self.bucket}_Packages")
        with open(self.file, "wb") as file:
            file.write(b"\n".join(records))


def sources(options, folder):
    left = options.records if options.records else sys.maxsize
    made = []
    for path in options.list or apt_lists():
        records = records_of(path)[:left]
        left -= len(records)
        if records:
            made.append(Source(path, records, folder))
    if not made:
        raise Failure("the lists hold no record")
    return made


# --- the cluster -----------------------------------------------------------------------------


class Demo:
    def __init__(self, folder):
        self.folder = folder
        self.data = os.path.join(folder, "cluster")
        self.nodes = []        # as `lariat up --json` tells of them
        self.restarted = None  # the process that took the victim's place
        self.counted_before = 0

    def lariat(self, *args):
        """Runs a command of lariat; gives its JSON, or its failure in words."""
        done = subprocess.run([program("lariat"), *args, "--json"], capture_output=True, text=True,
                              check=False, env={**os.environ, "LARIAT_NODE": self.addresses()})
        if done.returncode != 0:
            raise Failure(f"lariat {' '.join(args)}: exit {done.returncode}\n{done.stdout}"
                          f"{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def addresses(self):
        return ",".join(node["http"] for node in self.nodes)

    def up(self):
        port = free_ports(30, consecutive=True)[0]
        told = self.lariat("up", "--nodes", "3", "--dir", self.data, "--detach", "--base-port",
                           str(port), *NO_HEDGE)[0]
        self.nodes = told["nodes"]
        say("cluster", f"three nodes on {self.addresses()}, up in {told['seconds']:.1f} s; "
            "N=3, every acknowledged write synced on two")

    def down(self):
        """Whatever happened: nothing is left running."""
        if self.restarted is not None and self.restarted.poll() is None:
            self.restarted.terminate()
            self.restarted.wait(30)
        if os.path.exists(os.path.join(self.data, "cluster.json")):
            subprocess.run([program("lariat"), "down", "--dir", self.data], check=False,
                           stdout=subprocess.DEVNULL)

    def kill(self, node):
        with open(f"/proc/{node['pid']}/cmdline", "rb") as file:
            node["command"] = file.read().decode().split("\0")[:-1]
        os.kill(node["pid"], signal.SIGKILL)

    def start_again(self, node):
        with open(node["log"], "ab") as log:
            self.restarted = subprocess.Popen(node["command"], stdin=subprocess.DEVNULL,
                                              stdout=log, stderr=log, start_new_session=True)

    def metric(self, name, of=None):
        """The sum of one metric over the nodes that answer."""
        total = 0
        for node in of or self.nodes:
            try:
                client = Http(int(node["http"].rpartition(":")[2]), timeout=5)
                text = client.request("GET", "/metrics").body.decode()
                client.close()
            except OSError:
                continue
            total += sum(int(line.split()[-1]) for line in text.splitlines()
                         if line.startswith(name))
        return total

    def written(self, of=None):
        return self.metric('lariat_requests_total{op="put",outcome="ok"}', of)


class Import(threading.Thread):
    """All lists, one after the other."""

    def __init__(self, demo, lists):
        super().__init__(daemon=True)
        self.demo, self.lists = demo, lists
        self.results, self.error = [], None

    def run(self):
        try:
            for source in self.lists:
                self.demo.lariat("bucket", "create", source.bucket)
                self.results += self.demo.lariat("import", source.file, "--format", "deb822",
                                                 "--bucket", source.bucket, "--w", "2")
        except Failure as failure:
            self.error = failure

    def wait_for(self, reached):
        """Driven by progress, not by time; an import that ends earlier has failed."""
        wait_until(lambda: reached() or not self.is_alive(), 3600, "progress of the import")
        if not self.is_alive():
            raise self.error or Failure("the import was over before the node was back")

    def sum(self, member):
        return sum(result[member] for result in self.results)


# --- what happens ----------------------------------------------------------------------------


def load(demo, lists):
    total = sum(source.records for source in lists)
    victim, others = demo.nodes[2], demo.nodes[:2]
    started = time.monotonic()
    run = Import(demo, lists)
    run.start()
    run.wait_for(lambda: demo.written() >= KILL_AT * total)
    of_victim = demo.written([victim])
    at = demo.written()
    demo.kill(victim)
    say("import", f"{count(at)} records in: {victim['name']} killed with -9")
    run.wait_for(lambda: demo.written(others) + of_victim >= START_AT * total)
    at = demo.written(others) + of_victim
    demo.start_again(victim)
    say("", f"{count(at)} records in: {victim['name']} started again, the import goes on")
    run.join()
    if run.error:
        raise run.error
    took = time.monotonic() - started
    if run.sum("imported") != total or run.sum("failed") != 0:
        raise Failure(f"{run.sum('imported')} of {total} records were imported: {run.results}")
    say("", f"{count(total)} records acknowledged at W=2 in {took:.1f} s "
        f"({count(round(total / took))}/s), {count(run.sum('retries'))} retries, 0 failed")


def verify(demo, lists, r, nodes):
    """Compares every record through the nodes given; returns how many were equal."""
    equal = 0
    for source in lists:
        for node in nodes:
            result = demo.lariat("import", source.file, "--format", "deb822", "--bucket",
                                 source.bucket, "--verify", "--r", str(r), "--node", node["http"])
            equal += result[0]["verified"]
    return equal


def missing_on(demo, lists, node):
    """How many records a node's own replica does not have yet."""
    missing = 0
    for source in lists:
        done = subprocess.run([program("lariat"), "import", source.file, "--format", "deb822",
                               "--bucket", source.bucket, "--verify", "--r", "1", "--node",
                               node["http"], "--json"], capture_output=True, text=True, check=False)
        reasons = json.loads(done.stdout)["reasons"]
        if set(reasons) - {"missing"}:
            raise Failure(f"{node['name']} shows what was never written: {reasons}")
        missing += reasons.get("missing", 0)
    return missing


def compare(demo, lists):
    total = sum(source.records for source in lists)
    victim = demo.nodes[2]
    demo.lariat("status", "--wait", "30")
    # A node that comes back first asks the others whether it is still a member.
    client = Http(int(victim["http"].rpartition(":")[2]))
    wait_until(lambda: client.request("GET", "/readyz").status == 200, 30,
               f"{victim['name']} serves")
    client.close()
    say("convergence", f"{victim['name']} lacks {count(missing_on(demo, lists, victim))} records; "
        "a replica that was away gets them when they are read")
    before = demo.metric("lariat_read_repairs_total")
    started = time.monotonic()
    verify(demo, lists, 3, demo.nodes[:1])
    say("", f"every record read once at R=3 in {time.monotonic() - started:.1f} s: "
        f"{count(demo.metric('lariat_read_repairs_total') - before)} repaired")
    for r, nodes in ((2, demo.nodes[1:2]), (1, demo.nodes[:1]), (1, demo.nodes[1:2]),
                     (1, demo.nodes[2:])):
        started = time.monotonic()
        equal = verify(demo, lists, r, nodes)
        took = time.monotonic() - started
        if equal != total:
            raise Failure(f"R={r} through {nodes[0]['name']}: {equal} of {total} are equal")
        what = f"R={r} from {nodes[0]['name']}"
        say("compared" if r == 2 else "", f"{what}: {count(equal)} of {count(total)} equal, byte "
            f"for byte, in {took:.1f} s")


def run_demo(options, folder):
    print("Lariat: the Debian package index of this machine in a cluster that loses a node")
    lists = sources(options, folder)
    say("records", f"{count(sum(s.records for s in lists))} in {len(lists)} list(s), "
        f"{mib(sum(s.bytes for s in lists))}, the largest {count(max(s.largest for s in lists))} "
        "bytes")
    demo = Demo(folder)
    try:
        demo.up()
        load(demo, lists)
        compare(demo, lists)
        told = demo.lariat("status")[0]
        say("result", f"all equal on all {len(told['nodes'])} nodes; nothing acknowledged was lost")
    finally:
        demo.down()


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, metavar="N", help="only the first N records")
    parser.add_argument("--list", action="append", metavar="FILE",
                        help="this file (deb822) in place of apt's lists; repeatable")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="lariat-demo-")
    try:
        run_demo(options, folder)
        return 0
    except (Failure, AssertionError) as failure:
        print(f"demo: FAILED: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
