#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The measurements run from end to end and report every figure they promise. No figure is judged:
that would be a test of the machine."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

RUN = pathlib.Path(__file__).resolve().parent.parent / "bench" / "run"
FIGURES = ("operations", "per_second", "p50_us", "p99_us", "p999_us", "user_us_per_op",
           "system_us_per_op", "syscalls_per_op", "instructions_per_op")


class BenchTest(unittest.TestCase):
    def test_smoke_run_reports_all_figures(self):
        with tempfile.TemporaryDirectory() as directory:
            output = pathlib.Path(directory, "report.json")
            done = subprocess.run(
                [sys.executable, RUN, "--smoke", "--only", "engine,three", "--dir", directory,
                 "--json", output], capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([output], list(pathlib.Path(directory).iterdir()), "leaves nothing")
            report = json.loads(output.read_text())
        self.assertEqual(["put-sync", "get-hot", "put", "get"],
                         [r["case"].split(": ")[1].split(",")[0] for r in report["results"]])
        for result in report["results"]:
            for figure in FIGURES:
                self.assertIn(figure, result)
            self.assertGreater(result["operations"], 0, result["case"])
            self.assertIn(result["case"], done.stdout)

    def test_unknown_group_is_refused(self):
        done = subprocess.run([sys.executable, RUN, "--only", "everything"], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("everything", done.stderr)


if __name__ == "__main__":
    unittest.main()
