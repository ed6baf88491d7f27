# SPDX-License-Identifier: Apache-2.0
"""tidy_database.py FROM TO FILE...: writes TO/compile_commands.json, the database of the build
directory FROM without g++'s precompiled header and with each source of a group by itself, and
prints those FILEs that are in it."""

import json
import os
import re
import sys

PRECOMPILED = re.compile(r" -fpch-preprocess\b| -Winvalid-pch\b| -include \S*cmake_pch\S*"
                         r"| -Wno-(?:stringop-\w+|restrict|maybe-uninitialized|subobject-linkage)"
                         r"\b")
MEMBER = re.compile(r'^#include "(.*)"$', re.MULTILINE)


def each_source(entry):
    """The entry, or, of a group of sources, one for each of them."""
    command, group = PRECOMPILED.sub("", entry["command"]), entry["file"]
    members = [group]
    if "/Unity/unity_" in group:
        with open(group, encoding="utf-8") as file:
            members = MEMBER.findall(file.read())
    return [{**entry, "file": member, "command": command.replace(group, member)}
            for member in members]


def main():
    source, target, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(os.path.join(source, "compile_commands.json"), encoding="utf-8") as file:
        entries = [each for entry in json.load(file) for each in each_source(entry)]
    os.makedirs(target, exist_ok=True)
    with open(os.path.join(target, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file)
    known = {os.path.realpath(entry["file"]) for entry in entries}
    print("\n".join(name for name in files if os.path.realpath(name) in known))


main()
