# SPDX-License-Identifier: Apache-2.0
"""What users install: the Debian package in a root of its own, the tarball where it is unpacked;
and that manifests, alert rules and dashboards name what there is."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

import lariat_e2e
from lariat_e2e import Cluster, free_ports, start_process, wait_until

REPO = lariat_e2e.REPO
PRESET = os.path.basename(os.path.dirname(lariat_e2e.BIN))
MISSING = [tool for tool in ("cpack", "dpkg-deb", "dpkg-shlibdeps", "help2man")
           if shutil.which(tool) is None]
DATA = "/var/lib/lariat"


def run(*command, check=True, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False,
                          **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}\n{done.stdout}{done.stderr}")
    return done


def setUpModule():
    global packages
    if MISSING:
        raise unittest.SkipTest(f"not here: {', '.join(MISSING)}")
    packages = tempfile.mkdtemp(prefix="lariat-packages-")
    unittest.addModuleCleanup(shutil.rmtree, packages, ignore_errors=True)
    script = "for part in tools/dev/*.sh; do . $part; done; make_packages " + shlex.join(
        [PRESET, packages])
    run("bash", "-euc", script, cwd=REPO)


def made(ending):
    found = [name for name in os.listdir(packages) if name.endswith(ending)]
    if len(found) != 1:
        raise AssertionError(f"{os.listdir(packages)}")
    return os.path.join(packages, found[0])


class Root:
    """This machine's files with a layer of its own above them, in namespaces of its own: what is
    installed there is gone with it."""

    def __init__(self, test):
        # Not below /tmp: the root has a /tmp of its own.
        self.base = tempfile.mkdtemp(prefix="lariat-root-", dir="/var/tmp")
        test.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(self.base, name))
        if not self.run("true", check=False):
            raise unittest.SkipTest("mounts in a namespace of one's own are not allowed here")

    def enter(self, script):
        root = os.path.join(self.base, "root")
        mount = (f"mount -t overlay overlay -o lowerdir=/,upperdir={self.base}/upper,"
                 f"workdir={self.base}/work {root} && mount --rbind /proc {root}/proc && "
                 f"mount --rbind /dev {root}/dev && mount -t tmpfs tmpfs {root}/run && "
                 f"exec chroot {root} bash -euc ")
        return ["unshare", "--mount", "bash", "-euc", mount + shlex.quote(script)]

    def run(self, script, check=True):
        done = run(*self.enter(script), check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{script}\n{done.stdout}{done.stderr}")
        return done.returncode == 0

    def start(self, script):
        return start_process(self.enter(script), stdout=subprocess.DEVNULL)


def configurations(ports):
    """The file of docs/deploy.md for each of three nodes, on loopback."""
    with open(os.path.join(REPO, "docs/deploy.md"), encoding="utf-8") as page:
        block = re.search(r"^```toml\n(.*?)^```", page.read(), re.M | re.S).group(1)
    for i in range(3):
        text = block.replace(DATA, f"{DATA}/{i}").replace('name = "node1"', f'name = "node{i + 1}"')
        text = re.sub(r'^(http|resp|peer) = "node1', rf'\1 = "node{i + 1}', text, flags=re.M)
        for j in range(3):
            for k, port in enumerate((7480, 7481, 7482)):
                text = text.replace(f"node{j + 1}:{port}", f"127.0.0.1:{ports[3 * j + k]}")
        yield text


class DebianPackage(unittest.TestCase):
    def test_installed_it_is_a_node_and_three_of_them_are_a_cluster(self):
        if os.geteuid() != 0:
            self.skipTest("to install needs root")
        root = Root(self)
        ports = free_ports(9)
        root.run(f"dpkg -i {made('.deb')} && getent passwd lariat && "
                 f"test \"$(stat -c %U:%a {DATA})\" = lariat:700 && "
                 "test \"$(stat -c %G:%a /etc/lariat/lariat.toml)\" = lariat:640 && "
                 "lariat --version && man -w lariat 2>/dev/null || test -s "
                 "/usr/share/man/man1/lariat.1")
        nodes = []
        for i, text in enumerate(configurations(ports)):
            root.run(f"install -d -o lariat {DATA}/{i} && printf %s {shlex.quote(text)} "
                     f">/etc/lariat/{i}.toml && chgrp lariat /etc/lariat/{i}.toml")
        for i in range(3):
            nodes.append(root.start("exec setpriv --reuid lariat --regid lariat --clear-groups "
                                    f"/usr/bin/lariatd --config /etc/lariat/{i}.toml"))
        self.addCleanup(self.stop, nodes)
        first = f"127.0.0.1:{ports[0]}"
        wait_until(lambda: root.run(f"lariat --node {first} status", check=False), 60,
                   "the three nodes are a cluster")
        root.run(f"lariat --node {first} put greeting hello && "
                 f"test \"$(lariat --node 127.0.0.1:{ports[6]} get greeting)\" = hello")
        for node in nodes:
            os.killpg(node.pid, signal.SIGTERM)
        for node in nodes:
            self.assertEqual(node.wait(60), 0)
        root.run(f"dpkg -r lariat && ! command -v lariatd && test -d {DATA}/0")
        root.run(f"dpkg -P lariat && ! test -e /etc/lariat/lariat.toml && test -d {DATA}/0")

    @staticmethod
    def stop(nodes):
        for node in nodes:
            lariat_e2e.kill_group(node)

    def test_the_unit_is_one_that_systemd_takes(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("no systemd here")
        with tempfile.TemporaryDirectory() as root:
            run("dpkg-deb", "-x", made(".deb"), root)
            unit = os.path.join(root, "lib/systemd/system/lariatd.service")
            with open(unit, encoding="utf-8") as source:
                text = source.read()
            # Its programs and pages are not installed here.
            text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
            with open(unit, "w", encoding="utf-8") as out:
                out.write(text.replace("/usr/bin/lariatd", os.path.join(root, "usr/bin/lariatd")))
            done = run("systemd-analyze", "verify", unit, check=False)
            self.assertNotIn("lariatd.service", done.stdout + done.stderr)


class Tarball(unittest.TestCase):
    def test_it_runs_where_it_is_unpacked(self):
        with tempfile.TemporaryDirectory(prefix="lariat moved ") as directory:
            run("tar", "-xf", made(".tar.gz"), "-C", directory)
            (top,) = os.listdir(directory)
            programs = os.path.join(directory, top, "bin")
            linked = run("ldd", os.path.join(programs, "lariatd")).stdout
            for library in re.findall(r"(lib\S+) => (.*) \(0x", linked):
                if not re.match(r"lib(c|m)\.so", library[0]):
                    self.assertTrue(library[1].startswith(directory), library)
            port = free_ports(9, consecutive=True)[0]
            data = os.path.join(directory, "data")
            cli = os.path.join(programs, "lariat")
            run(cli, "up", "--nodes", "1", "--dir", data, "--base-port", str(port), "--detach")
            try:
                run(cli, "--node", f"127.0.0.1:{port}", "put", "greeting", "hello")
                got = run(cli, "--node", f"127.0.0.1:{port}", "get", "greeting").stdout
                self.assertEqual(got.strip(), "hello")
            finally:
                run(cli, "down", "--dir", data)


class Deployment(unittest.TestCase):
    def read(self, path):
        with open(os.path.join(REPO, "packaging", path), encoding="utf-8") as source:
            return source.read()

    @staticmethod
    def series(node):
        return set(re.findall(r"^(\w+)", node.http("GET", "/metrics").body.decode(), re.M))

    def test_manifests_use_flags_paths_and_settings_that_there_are(self):
        text = self.read("deploy/kubernetes.yaml")
        help_text = run(lariat_e2e.program("lariatd"), "--help").stdout
        for flag in re.findall(r"^ +- (--[a-z-]+)=", text, re.M):
            self.assertIn(f"  {flag} ", help_text)
        with open(os.path.join(REPO, "docs/openapi.json"), encoding="utf-8") as document:
            paths = json.load(document)["paths"]
        probes = re.findall(r"httpGet: \{path: (\S+),", text)
        self.assertEqual(len(probes), 3)
        for path in probes:
            self.assertIn(path, paths)

    def test_every_expression_names_metrics_and_labels_of_a_node(self):
        run(os.path.join(REPO, "packaging/monitoring/dashboards"), "--check")
        expressions = re.findall(r"^ +expr: (.*)$", self.read("monitoring/alerts.yaml"), re.M)
        self.assertGreater(len(expressions), 10)
        for name in ("cluster", "node", "storage"):
            for panel in json.loads(self.read(f"monitoring/{name}.json"))["panels"]:
                expressions += [target["expr"] for target in panel["targets"]]
        with Cluster(nodes=3) as cluster:
            cluster.wait_ready()
            self.assertEqual(cluster.nodes[0].http("PUT", "/kv/a", b"1").status, 201)
            wanted = set(re.findall(r"\blariat_\w+", " ".join(expressions)))
            wait_until(lambda: wanted <= self.series(cluster.nodes[0]), 60,
                       f"a node shows all of {sorted(wanted)}", every=0.2)
            text = cluster.nodes[0].http("GET", "/metrics").body.decode()
        labels = set(re.findall(r'[{,](\w+)="', text)) | {"instance", "job"}
        with open(os.path.join(REPO, "docs/metrics.md"), encoding="utf-8") as page:
            values = set(re.findall(r"\w+", page.read()))  # what a label may say stands there
        for expression in expressions:
            for label, given in re.findall(r'(\w+)=~?"([^"]*)"', expression):
                self.assertIn(label, labels, expression)
                if label in ("instance", "job"):
                    continue
                self.assertLessEqual(set(given.split("|")), values, expression)
            for by in re.findall(r"by \(([^)]*)\)", expression):
                self.assertLessEqual(set(by.split(", ")), labels, expression)


if __name__ == "__main__":
    unittest.main()
