# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of README.md and docs/*.md, so that they stay true.

A block is run when a line `<!-- run -->` stands above its fence:

    <!-- run -->
    ```console
    $ lariat put greeting hello
    $ lariat get greeting
    hello
    $ lariat get nobody   # exit 5
    ...
    ```

Lines that start with `$ ` are commands; a `\\` at the end continues one. A command must exit 0, or
with what its comment `# exit N` says. Other lines are expected output: each must appear as part
of the output, apart from those with an ellipsis (... or the one character).

All blocks of one document run in order in one shell, in a scratch directory, with this build's
programs in PATH. Ports 7480 to 7509 stand for a free range: they are moved in commands and
expected output, `lariat up` is told with --base-port, and LARIAT_NODE names the first node.
What a document started and did not stop is killed.
"""

import glob
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from dataclasses import dataclass, field

import lariat_e2e

BLOCK = re.compile(r"^<!-- run -->\s*\n```console\n(.*?)^```", re.M | re.S)
EXIT = re.compile(r"\s+#\s*exit (\d+)\s*$")
PORT = re.compile(r"\b(74[89]\d|750\d)\b")
FIRST_PORT, PORTS = 7480, 30
DOCUMENT_TIMEOUT_S = 240


@dataclass
class Command:
    line: int
    text: str
    code: int = 0
    expected: list = field(default_factory=list)


def parse(document):
    """The commands of all blocks marked to be run."""
    commands = []
    for block in BLOCK.finditer(document):
        line = document.count("\n", 0, block.start(1))
        pending = None  # a command that its line continues
        for text in block.group(1).splitlines():
            line += 1
            if pending is not None:
                pending.text += "\n" + text
            elif text.startswith("$ "):
                pending = Command(line, text[2:])
                commands.append(pending)
            elif commands and text.strip():
                commands[-1].expected.append(text.strip())
            if pending is not None and not text.endswith("\\"):
                pending = None
    for command in commands:
        match = EXIT.search(command.text)
        if match:
            command.code = int(match.group(1))
            command.text = command.text[:match.start()]
    return commands


def move_ports(text, base):
    return PORT.sub(lambda match: str(int(match.group(1)) - FIRST_PORT + base), text)


def shell_text(command, base):
    text = move_ports(command.text, base)
    if "--base-port" not in text:
        text = re.sub(r"\blariat up\b", f"lariat up --base-port {base}", text)
    return text


def script(commands, base, out):
    """One bash script: each command in the same shell, its output and exit code in files."""
    parts = []
    for number, command in enumerate(commands):
        quoted = shlex.quote(os.path.join(out, str(number)))
        parts.append(f"{{\n{shell_text(command, base)}\n}} >{quoted}.out 2>&1 </dev/null\n"
                     f"echo $? >{quoted}.code\n")
    return "".join(parts)


def marked(mark):
    """The processes that inherited the mark in their environment: ours, however detached."""
    found = []
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{folder}/environ", "rb") as file:
                if mark.encode() in file.read():
                    found.append(int(os.path.basename(folder)))
        except OSError:
            pass  # gone, or another user's
    return found


def kill_marked(mark):
    """Until none is left, seen twice: a process may start another while the list is read, and the
    environment of one that is just running another program reads as empty."""
    unseen = 0
    while unseen < 2:
        pids = marked(mark)
        unseen = 0 if pids else unseen + 1
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def run_document(commands):
    """[(command, exit code or None, output, base port)]"""
    base = lariat_e2e.free_ports(PORTS, consecutive=True)[0]
    mark = f"LARIAT_README_TEST={uuid.uuid4()}"
    env = {**os.environ, "PATH": lariat_e2e.BIN + os.pathsep + os.environ["PATH"],
           "LARIAT_NODE": f"127.0.0.1:{base}", "LARIAT_BASE_PORT": str(base),
           **dict([mark.split("=")])}
    with tempfile.TemporaryDirectory(prefix="lariat-readme-") as scratch:
        work, out = os.path.join(scratch, "work"), os.path.join(scratch, "out")
        os.mkdir(work)
        os.mkdir(out)
        shell = lariat_e2e.start_process(["bash", "-c", script(commands, base, out)], cwd=work,
                                         env=env)
        try:
            shell.wait(DOCUMENT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            kill_marked(mark)
            shell.wait()
        return [(command, *outcome(os.path.join(out, str(number))), base)
                for number, command in enumerate(commands)]


def outcome(path):
    code = output = None
    if os.path.exists(path + ".code"):
        with open(path + ".code", encoding="utf-8") as file:
            code = int(file.read() or -1)
    if os.path.exists(path + ".out"):
        with open(path + ".out", encoding="utf-8", errors="replace") as file:
            output = file.read()
    return code, output or ""


def problems_of(commands):
    """What did not go as the document says, in words."""
    problems = []
    for command, code, output, base in run_document(commands):
        if code is None:
            problems.append(f"line {command.line}: did not finish: {command.text}\n{output}")
            break
        if code != command.code:
            problems.append(f"line {command.line}: exit {code}, not {command.code}: "
                            f"{command.text}\n{output}")
        for expected in command.expected:
            if "..." in expected or "\u2026" in expected:
                continue
            if squeeze(move_ports(expected, base)) not in squeeze(output):
                problems.append(f"line {command.line}: no {expected!r} in the output of "
                                f"{command.text}:\n{output}")
    return problems


def squeeze(text):
    """Runs of blanks are one: the width of a table's columns is no promise."""
    return re.sub(r"[ \t]+", " ", text)


class ThisTest(unittest.TestCase):
    """The test is trusted only because it notices what is wrong."""

    def check(self, block, *found):
        problems = problems_of(parse("text\n\n<!-- run -->\n```console\n" + block + "```\n"))
        self.assertEqual(len(problems), len(found), problems)
        for problem, words in zip(problems, found):
            self.assertIn(words, problem)

    def test_true_document(self):
        self.check("$ cd /\n$ X=7480 && pwd\n/\n$ test $X != 7400 \\\n    && echo a   b\na b\n"
                   "$ false   # exit 1\n$ echo 7481\n7481\nmore ...\n")

    def test_wrong_exit_code(self):
        self.check("$ false\n$ true  # exit 3\n", "line 5: exit 1, not 0", "line 6: exit 0, not 3")

    def test_wrong_output(self):
        self.check("$ echo hello\ngoodbye\n", "no 'goodbye'")

    def test_leaves_nothing_running(self):
        mark = f"sleep-{uuid.uuid4()}"
        self.check(f"$ MARK={mark} setsid sleep 600 &\n$ true\n")
        self.assertEqual(marked(mark), [])

    def test_only_marked_blocks(self):
        self.assertEqual(parse("```console\n$ false\n```\n"), [])


class Documents(unittest.TestCase):
    def test_readme_has_commands_that_are_run(self):
        with open(os.path.join(lariat_e2e.REPO, "README.md"), encoding="utf-8") as file:
            self.assertNotEqual(parse(file.read()), [])

    def test_documents(self):
        names = ["README.md"] + sorted(glob.glob("docs/**/*.md", root_dir=lariat_e2e.REPO,
                                                 recursive=True))
        for name in names:
            with open(os.path.join(lariat_e2e.REPO, name), encoding="utf-8") as file:
                commands = parse(file.read())
            if commands:
                with self.subTest(name):
                    self.assertEqual("\n".join(problems_of(commands)), "")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
