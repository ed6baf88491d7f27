# SPDX-License-Identifier: Apache-2.0
"""The console in headless Chromium, driven over its debugging pipe: what stands on the page is what
the API says, and each thing that is broken is named on it."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from lariat_e2e import REPO, Cluster, kill_group, wait_until

CHROMIUM = shutil.which("chromium")
NAMED_WITHIN_S = 20   # 10 s of the page, and what the members take to notice


class Browser:
    """One page. Messages of the DevTools protocol end in a NUL, on descriptors 3 and 4."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="lariat-browser-")
        commands, self.send_end = os.pipe()
        self.receive_end, events = os.pipe()
        self.process = subprocess.Popen(
            ["bash", "-c", 'exec "$0" "$@" 3<&' + str(commands) + " 4>&" + str(events), CHROMIUM,
             "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", f"--user-data-dir={self.profile}", "--remote-debugging-pipe"],
            pass_fds=(commands, events), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(commands)
        os.close(events)
        self.received, self.number, self.session = b"", 0, None
        self.problems = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Log.enable")

    def close(self):
        kill_group(self.process)
        os.close(self.send_end)
        os.close(self.receive_end)
        shutil.rmtree(self.profile, ignore_errors=True)

    def message(self):
        while b"\0" not in self.received:
            read = os.read(self.receive_end, 65536)
            if not read:
                raise AssertionError("the browser has ended")
            self.received += read
        text, self.received = self.received.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.send_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(json.dumps(answer["params"]))
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

    def js(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(json.dumps(result["exceptionDetails"])[:2000])
        return result["result"].get("value")

    def text(self, selector):
        return self.js(f"(document.querySelector({json.dumps(selector)}) || {{}}).innerText || ''")

    def rows(self, table):
        return self.js(f"[...document.querySelectorAll('#{table} tbody tr')]"
                       ".map((row) => [...row.cells].map((cell) => cell.innerText))")

    def resize(self, width):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=width < 600)

    def screenshot(self, path):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as out:
            out.write(base64.b64decode(shot))


@unittest.skipIf(CHROMIUM is None, "chromium is not here")
class Console(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(nodes=3, settings={"membership.gossip_period_ms": 100})
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.wait_ready()
        cls.node = cls.cluster.nodes[0]
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.browser.resize(1024)
        cls.browser.open(f"http://{cls.node.http_address}/")
        wait_until(lambda: cls.browser.rows("buckets"), 30, "the page shows the cluster")

    def says(self, selector, text):
        wait_until(lambda: text in self.browser.text(selector), NAMED_WITHIN_S,
                   f"{text!r} in {selector}", every=0.2)

    def api(self, path):
        reply = self.node.http("GET", path)
        self.assertEqual(reply.status, 200)
        return reply.json()

    def test_1_figures_are_those_of_the_api(self):
        self.assertEqual(self.node.http("PUT", "/kv/warm", b"x" * 100).status, 201)
        wait_until(lambda: self.browser.text("#verdict-says").startswith("All is well"), 30,
                   "all is well")
        status = self.api("/v1/cluster/status")
        shown = {row[0].split()[0]: row for row in self.browser.rows("nodes")}
        self.assertEqual(set(shown), {node["name"] for node in status["nodes"]})
        for node in status["nodes"]:
            row = shown[node["name"]]
            self.assertEqual(row[1:4], [node["state"], "yes", "yes"])
            self.assertEqual(row[4], f"{node['owns'] * 100:.1f} %")
            self.assertEqual(row[9], node["http"])
        buckets = {row[0]: row for row in self.browser.rows("buckets")}
        for bucket in self.api("/v1/buckets")["buckets"]:
            self.assertEqual(buckets[bucket["name"]][1:5],
                             [bucket["conflict"], str(bucket["n"]), str(bucket["r"]),
                              str(bucket["w"])])
        self.assertIn(self.api("/healthz")["version"], self.browser.text("#whoami"))
        self.assertIn(status["cluster_id"], self.browser.text("#whoami"))
        self.assertGreater(self.browser.js("document.querySelectorAll('#ring path').length"), 2)

    def test_2_siblings_stand_side_by_side_and_text_is_never_markup(self):
        hostile = "<img src=x onerror=\"document.title='owned'\">"
        for value in (hostile.encode(), b"pear", bytes(range(8))):
            self.assertEqual(self.node.http("PUT", "/kv/cart", value).status, 201)
        self.browser.js("document.getElementById('explore-key').value = 'cart';"
                        "document.getElementById('explore').requestSubmit()")
        wait_until(lambda: self.browser.js("document.querySelectorAll('.value').length") == 3, 20,
                   "three values", every=0.2)
        shown = self.browser.js("[...document.querySelectorAll('.value pre')]"
                                ".map((pre) => pre.textContent)")
        self.assertEqual(sorted(shown), sorted([hostile, "pear", "00 01 02 03 04 05 06 07"]))
        self.assertEqual(self.browser.js("document.querySelectorAll('img').length"), 0)
        self.assertEqual(len(self.browser.rows("replicas")), 3)
        self.says("#explored", "3 values that nobody has chosen between")

    def test_3_hot_keys_are_shown(self):
        for _ in range(400):
            self.assertEqual(self.node.http("GET", "/kv/warm").status, 200)
        wait_until(lambda: any("warm" in row for row in self.browser.rows("hot")), 30,
                   "the hot key is on the page", every=0.5)

    def test_4_it_fits_wide_and_narrow_windows(self):
        for width in (1024, 390):
            self.browser.resize(width)
            self.assertLessEqual(self.browser.js("document.documentElement.scrollWidth"), width)
        self.browser.resize(1024)
        self.assertEqual(self.browser.problems, [], "no error, nothing that the policy forbids")

    def test_5_what_is_broken_is_named_with_the_next_command(self):
        self.cluster.nodes[2].kill9()
        self.says("#verdict-causes", "node3 is not reached")
        self.says("#verdict-causes", "lariatd --replace node3")
        self.assertEqual(self.browser.js("document.getElementById('verdict').className"), "bad")
        rows = {row[0].split()[0]: row for row in self.browser.rows("nodes")}
        self.assertIn("no: bucket default needs 2 replicas", rows["node2"][3])
        self.assertEqual(self.cluster.cli("drain", "node2").returncode, 0)
        self.says("#verdict-causes", "node2 is out of service")
        self.assertEqual(self.cluster.cli("drain", "node2", "--undo").returncode, 0)
        self.node.kill9()
        self.says("#verdict-says", "This node does not answer")
        self.node.restart()
        self.cluster.nodes[2].restart()
        wait_until(lambda: self.browser.text("#verdict-says").startswith("All is well"), 60,
                   "all is well again", every=0.5)


with open(os.path.join(REPO, "tests/console_model.js"), encoding="utf-8") as script:
    MODEL = script.read()


@unittest.skipIf(CHROMIUM is None, "chromium is not here")
class Model(unittest.TestCase):
    def test_what_the_figures_mean(self):
        with Cluster(nodes=1) as cluster:
            cluster.wait_ready()
            browser = Browser()
            self.addCleanup(browser.close)
            browser.open(f"http://{cluster.nodes[0].http_address}/")
            asking = ("", "Asking\u2026")
            wait_until(lambda: browser.text("#verdict-says") not in asking, 30, "a page")
            self.assertEqual(json.loads(browser.js(MODEL)), [])
            shots = os.environ.get("LARIAT_SCREENSHOTS")
            if shots:
                browser.resize(1200)
                browser.screenshot(os.path.join(REPO, shots, "console.png"))


if __name__ == "__main__":
    unittest.main()
