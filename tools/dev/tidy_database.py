# SPDX-License-Identifier: Apache-2.0
"""tidy_database.py FROM TO FILE...: writes TO/compile_commands.json, the database of the build
directory FROM without g++'s precompiled header, and prints those FILEs that are in it."""

import json
import os
import re
import sys

PRECOMPILED = re.compile(r" -fpch-preprocess\b| -Winvalid-pch\b| -include \S*cmake_pch\S*"
                         r"| -Wno-(?:stringop-\w+|restrict|maybe-uninitialized)\b")


def main():
    source, target, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(os.path.join(source, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    for entry in entries:
        entry["command"] = PRECOMPILED.sub("", entry["command"])
    os.makedirs(target, exist_ok=True)
    with open(os.path.join(target, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file)
    known = {os.path.realpath(entry["file"]) for entry in entries}
    print("\n".join(name for name in files if os.path.realpath(name) in known))


main()
