# SPDX-License-Identifier: Apache-2.0
"""What the checks share: finding sources, and blanking what is no code."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CODE_ROOTS = ("src", "apps", "sim", "bench", "fuzz", "client", "examples")
CXX = (".h", ".cc")
SKIPPED_DIRS = {"build", ".git", ".cache", "__pycache__", "testdata", "corpus", "node_modules"}

# One alternative for each thing that is not code. Raw strings come before plain strings.
_NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])*\'',
    re.S)


def blank(text, keep_strings=False):
    """The text with comments and literals turned into spaces; every line keeps its number."""
    def spaces(match):
        found = match.group(0)
        if keep_strings and not found.startswith(("//", "/*")):
            return found
        return re.sub(r"[^\n]", " ", found)
    return _NOT_CODE.sub(spaces, text)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def files(root, tops, endings):
    """Paths below root, sorted, of the files under `tops` that end in one of `endings`."""
    found = []
    for top in tops:
        for folder, dirs, names in os.walk(os.path.join(root, top)):
            dirs[:] = [d for d in dirs if d not in SKIPPED_DIRS]
            found += [os.path.relpath(os.path.join(folder, name), root)
                      for name in names if name.endswith(endings)]
    return sorted(found)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def below(path, folder):
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def finish(name, problems, summary):
    """Prints the problems and one closing line; the exit code says whether there were any."""
    for problem in problems:
        print(problem)
    print(f"{name}: {summary}, {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    sys.exit(1 if problems else 0)
