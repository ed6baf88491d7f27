# SPDX-License-Identifier: Apache-2.0
"""./dev demo on the first 2,000 records. Where apt has no lists, dpkg's own file stands in."""

import glob
import os
import subprocess
import sys
import tempfile
import unittest

import demo
import lariat_e2e


class Demo(unittest.TestCase):
    def run_demo(self, *args):
        # Its temporary directory goes here, so that what it leaves behind shows.
        with tempfile.TemporaryDirectory(prefix="lariat-demo-test-") as scratch:
            process = lariat_e2e.start_process(
                [sys.executable, demo.__file__, *args], text=True, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "TMPDIR": scratch, "LARIAT_BIN": lariat_e2e.BIN})
            try:
                out, err = process.communicate(timeout=120)
            finally:
                lariat_e2e.kill_group(process)
            self.assertEqual(os.listdir(scratch), [])
            self.assertEqual(processes_in(scratch), [])
        return process.returncode, out, err

    def test_slice(self):
        there = glob.glob(demo.APT_LISTS + "/*_Packages*")
        lists = [] if there else ["--list", "/var/lib/dpkg/status"]
        code, out, err = self.run_demo("--records", "2000", *lists)
        self.assertEqual(code, 0, out + err)
        records = int(out.split("records", 1)[1].split()[0].replace(",", ""))
        self.assertLessEqual(records, 2000)
        shown = f"{records:,} of {records:,} equal"
        self.assertEqual(out.count(shown), 4, out)  # R=2, and R=1 from each node
        self.assertIn("node3 killed with -9", out)
        self.assertIn("node3 started again", out)
        self.assertLess(out.count("\n"), 24, "one screen")

    def test_failure_is_not_success(self):
        code, out, err = self.run_demo("--list", "/dev/null")
        self.assertEqual(code, 1, out + err)
        self.assertIn("FAILED", err)


def processes_in(folder):
    """Processes that were started for the folder and still run."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                if folder.encode() in file.read():
                    found.append(path)
        except OSError:
            pass  # gone
    return found


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
