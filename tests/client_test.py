# SPDX-License-Identifier: Apache-2.0
"""The C++ client against real clusters: its examples, load that checks itself while nodes die, hang
and join, and the installed library in a project of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import lariat_e2e
from lariat_e2e import ClusterTest, program, start_process, wait_until

EXAMPLES = os.path.join(lariat_e2e.REPO, "examples")
WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Werror"


class Soak:
    """The program of examples/soak.cc, from `with` to its end; then `report`."""

    def __init__(self, nodes):
        self.nodes, self.acknowledged, self.report = nodes, 0, None
        self.errors = tempfile.TemporaryFile("w+")
        self.process = start_process([program("example-soak"), *(n.http_address for n in nodes)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=self.errors, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self.reader.start()
        return self

    def __exit__(self, kind, error, trace):
        self.process.stdin.close()
        if error is not None:
            self.process.kill()
        self.process.wait(60)
        self.reader.join()
        self.process.stdout.close()
        self.errors.seek(0)
        found = self.errors.read()
        self.errors.close()
        assert error is not None or self.process.returncode == 0, found

    def _read(self):
        for line in self.process.stdout:
            word, _, number = line.partition(" ")
            if word == "acknowledged":
                self.acknowledged = int(number)
            else:
                self.report = json.loads(line)

    def wait_for(self, more, timeout=60):
        """Until so many more writes have been acknowledged."""
        goal = self.acknowledged + more
        wait_until(lambda: self.acknowledged >= goal or self.process.poll() is not None, timeout,
                   f"{more} more writes; {self.acknowledged} now")


class UnderLoad(ClusterTest):
    # Guards M3, M15, M17.
    def test_a_node_is_killed_and_comes_back(self):
        cluster = self.cluster()
        with Soak(cluster.nodes[:1]) as soak:
            soak.wait_for(400)
            cluster.nodes[1].kill9()
            soak.wait_for(600)
            cluster.nodes[1].restart()
            soak.wait_for(400)
            cluster.nodes[0].kill9()   # the only one that the client was told of
            soak.wait_for(400)
            cluster.nodes[0].restart()
        self.assertEqual(soak.report["problems"], 0)
        self.assertGreater(soak.report["retries"], 0)
        print(soak.report, end=" ", flush=True)

    def test_a_node_hangs(self):
        cluster = self.cluster()
        with Soak(cluster.nodes) as soak:
            soak.wait_for(400)
            cluster.nodes[2].pause()
            soak.wait_for(600)
            cluster.nodes[2].resume()
            soak.wait_for(200)
        self.assertEqual(soak.report["problems"], 0)
        print(soak.report, end=" ", flush=True)

    # Guards M20.
    def test_a_node_joins(self):
        cluster = self.cluster()
        with Soak(cluster.nodes) as soak:
            soak.wait_for(400)
            fourth = cluster.add_node()
            fourth.wait_ready(60)
            lariat_e2e.wait_settled(cluster, timeout=60)
            requests = fourth.metric("lariat_requests_total")
            soak.wait_for(400)
            wait_until(lambda: fourth.metric("lariat_requests_total") > requests, 30,
                       "the newcomer is asked")
        self.assertEqual(soak.report["problems"], 0)
        self.assertGreater(soak.report["topology_changes"], 1)


class Sessions(ClusterTest):
    def session(self, nodes):
        """say(line): what examples/session.cc answers, and how often it asked more than one."""
        process = start_process([program("example-session"), *(n.http_address for n in nodes)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def say(line):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            said, _, escalations = process.stdout.readline().strip().rpartition(" ")
            return said, int(escalations)

        def end():
            process.stdin.close()
            process.stdout.close()
            self.assertEqual(process.wait(60), 0)
        self.addCleanup(end)
        return say

    def test_an_old_state_is_never_shown(self):
        """The third node misses a write and a delete, and is then the only one that is left."""
        cluster = self.cluster(settings={"hints.enabled": "false", "repair.enabled": "false"})
        first, second, third = cluster.nodes
        say = self.session(cluster.nodes)
        self.assertEqual(say("put a old"), ("ok", 0))
        self.assertEqual(say("put b old"), ("ok", 0))
        self.assertEqual(say("get a"), ("old", 0))   # one replica is enough
        third.kill9()
        wait_until(lambda: say("put a new")[0] == "ok", what="the write without the third")
        wait_until(lambda: say("del b")[0] == "ok", what="the delete without the third")
        third.restart()
        first.kill9()
        second.kill9()
        for key in ("a", "b"):
            def covered(key=key):
                said, _ = say(f"get {key}")
                # It may take a moment until the client tries a node again that was down.
                self.assertIn(said, ("unreachable", "not_covered"))
                return said == "not_covered"
            wait_until(covered, 20, "the third node says what it lacks")
        first.restart()
        for key, wanted in (("a", "new"), ("b", "not_found")):
            wait_until(lambda key=key, wanted=wanted: say(f"get {key}")[0] == wanted, 30,
                       f"{key} is {wanted}")


class Examples(ClusterTest):
    def run_example(self, name, node, path=None):
        done = subprocess.run([path or program(f"example-{name}"), node.http_address],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_quickstart_and_coroutines(self):
        cluster = self.cluster()
        for number, node in enumerate(cluster.nodes):
            self.assertEqual(self.run_example("quickstart", node), f"visits: {number + 1}\n")
        self.assertEqual(self.run_example("coroutines", cluster.nodes[0]), "100 copied\n")

    def test_the_readme_shows_the_quickstart(self):
        with open(os.path.join(EXAMPLES, "quickstart.cc"), encoding="utf-8") as file:
            text = file.read().partition("\n")[2]
        with open(os.path.join(lariat_e2e.REPO, "README.md"), encoding="utf-8") as file:
            self.assertIn(f"```cpp\n{text}```", file.read())

    def test_an_installed_client_is_found_and_used(self):
        cluster = self.cluster()
        prefix = tempfile.mkdtemp(prefix="lariat-installed-")
        self.addCleanup(shutil.rmtree, prefix)
        self.run_tool("cmake", "--install", os.path.dirname(lariat_e2e.BIN), "--prefix", prefix,
                      "--component", "client")
        for standard, example in ((17, "quickstart"), (20, "coroutines")):
            with self.subTest(standard=standard):
                self.build_outside(prefix, standard, example)
                self.run_example(example, cluster.nodes[0],
                                 os.path.join(prefix, f"build-{standard}", "it"))
        self.build_with_pkg_config(prefix, cluster.nodes[0])

    def build_outside(self, prefix, standard, example):
        source = os.path.join(prefix, f"project-{standard}")
        os.mkdir(source)
        shutil.copy(os.path.join(EXAMPLES, f"{example}.cc"), os.path.join(source, "it.cc"))
        with open(os.path.join(source, "CMakeLists.txt"), "w", encoding="utf-8") as file:
            file.write("cmake_minimum_required(VERSION 3.16)\nproject(outside CXX)\n"
                       f"set(CMAKE_CXX_STANDARD {standard})\nset(CMAKE_CXX_EXTENSIONS OFF)\n"
                       "find_package(lariat-client 0.1 REQUIRED)\nadd_executable(it it.cc)\n"
                       "target_link_libraries(it PRIVATE lariat::client)\n")
        build = os.path.join(prefix, f"build-{standard}")
        self.run_tool("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
                      f"-DCMAKE_CXX_FLAGS={WARNINGS}")
        self.run_tool("cmake", "--build", build)

    def build_with_pkg_config(self, prefix, node):
        if shutil.which("pkg-config") is None:
            self.skipTest("there is no pkg-config")
        found = [os.path.join(folder, name) for folder, _, names in os.walk(prefix)
                 for name in names if name == "lariat-client.pc"]
        env = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(found[0])}
        flags = self.run_tool("pkg-config", "--cflags", "--libs", "lariat-client", env=env)
        output = os.path.join(prefix, "by-pkg-config")
        self.run_tool("c++", "-std=c++17", *WARNINGS.split(), "-o", output,
                      os.path.join(EXAMPLES, "quickstart.cc"), *flags.split())
        self.run_example("quickstart", node, output)

    def run_tool(self, *command, env=None):
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False,
                              env=env)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}\n{done.stderr}")
        return done.stdout


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
