# SPDX-License-Identifier: Apache-2.0
"""The checks are trusted only because they fail on planted violations. Run: python3 FILE"""

import os
import subprocess
import sys
import tempfile
import unittest

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
LAYERS = """
[src/base]
level = 0
holds = bytes
may =

[src/env]
level = 1
holds = interfaces
may = base

[src/ring]
level = 2
holds = tokens
may = base
never env = placement is a pure function

[src/causal]
level = 2
holds = dots
may = base

[src/coordinator]
level = 5
holds = quorum
may = base env ring

[src/frontend/http]
level = 6
holds = HTTP
may = base coordinator/kv_service.h

[header rocksdb/]
only = src/storage
why = the engine is behind an interface

[call clock]
pattern = \\bsteady_clock\\b
only = apps
why = time is passed in

[call threads]
pattern = \\bstd::thread\\b
only = apps
tests = yes
why = a shard is one thread
"""


class Tree(unittest.TestCase):
    """A small clean tree in a temporary directory; each test plants one violation in it."""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.write("tools/layers.txt", LAYERS)
        self.library("base", "")
        self.library("env", "base")
        self.library("ring", "base")
        self.library("causal", "base")
        self.library("coordinator", "base env ring")
        self.library("frontend/http", "base coordinator", name="frontend_http")
        self.write("src/base/bytes.h", SPDX + "#pragma once\n")
        self.write("src/env/env.h", SPDX + '#pragma once\n#include "base/bytes.h"\n')
        self.write("src/ring/ring.h", SPDX + '#pragma once\n#include "base/bytes.h"\n')
        self.write("src/causal/dot.h", SPDX + '#pragma once\n#include <vector>\n')
        self.write("src/coordinator/kv_service.h", SPDX + '#pragma once\n#include "ring/ring.h"\n'
                   "base::Bytes Get(env::Clock& clock);\n")
        self.write("src/frontend/http/routes.h",
                   SPDX + '#pragma once\n#include "coordinator/kv_service.h"\n')
        for folder in ("ring", "causal", "frontend/http"):  # what a test plants leaves these alone
            self.write(f"src/{folder}/edges.h", SPDX + '#pragma once\n#include "base/bytes.h"\n')
        self.write("src/frontend/http/service.h",
                   SPDX + '#pragma once\n#include "coordinator/kv_service.h"\n')
        self.write("src/base/base_test.cc", SPDX + "std::thread helper;\n")
        self.run_tool("check_layers", "--write-table")

    def write(self, path, text):
        full = os.path.join(self.dir.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def library(self, folder, deps, name=None):
        deps = f"  DEPS {deps}\n" if deps else ""
        self.write(f"src/{folder}/CMakeLists.txt", "# SPDX-License-Identifier: Apache-2.0\n"
                   f"lariat_library({name or folder}\n  SOURCES a.cc\n{deps}  SYSTEM z)\n")
        self.write(f"src/{folder}/README.md", f"# {folder}\n")

    def run_tool(self, tool, *args):
        command = [sys.executable, os.path.join(TOOLS, tool), "--root", self.dir.name, *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def accepts(self, tool):
        result = self.run_tool(tool)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def refuses(self, tool, *words):
        """The tool finds exactly one problem, and the line that says so has all the words."""
        result = self.run_tool(tool)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn(", 1 problem\n", result.stdout)
        for word in words:
            self.assertIn(word, result.stdout.splitlines()[0])


class CheckLayers(Tree):
    def test_clean_tree(self):
        self.accepts("check_layers")

    def test_upward_include(self):
        self.write("src/base/bytes.h", SPDX + '#pragma once\n\n#include "ring/ring.h"\n')
        self.refuses("check_layers", "src/base/bytes.h:4:", "upward")

    def test_same_level_include(self):
        self.write("src/causal/dot.h", SPDX + '#pragma once\n#include "ring/ring.h"\n')
        self.refuses("check_layers", "src/causal/dot.h:3:", "level 2")

    def test_lower_but_not_named(self):
        self.write("src/ring/ring.h", SPDX + '#pragma once\n#include "env/env.h"\n')
        self.refuses("check_layers", "placement is a pure function")

    def test_one_header_of_a_folder(self):
        self.write("src/coordinator/get.h", SPDX + "#pragma once\n")
        self.write("src/frontend/http/routes.h",
                   SPDX + '#pragma once\n#include "coordinator/get.h"\n')
        self.refuses("check_layers", "may not include coordinator")

    def test_internal_header(self):
        self.write("src/ring/internal/x.h", SPDX + "#pragma once\n")
        self.write("src/coordinator/get.h", SPDX + '#pragma once\n#include "ring/internal/x.h"\n')
        self.refuses("check_layers", "internal/ is for src/ring alone")

    def test_pure_core(self):
        self.write("src/coordinator/get_core.h", SPDX + '#pragma once\n#include "env/env.h"\n')
        self.refuses("check_layers", "a *_core file is pure")

    def test_include_that_cmake_does_not_list(self):
        self.library("coordinator", "base env")
        self.refuses("check_layers", "does not list ring in DEPS")

    def test_cmake_lists_what_may_not_be_included(self):
        self.library("ring", "base env")
        self.refuses("check_layers", "src/ring/CMakeLists.txt", "(DEPS) env")

    def test_outside_header(self):
        self.write("src/ring/ring.h", SPDX + "#pragma once\n#include <rocksdb/db.h>\n")
        self.refuses("check_layers", "the engine is behind an interface")

    def test_outside_header_in_a_comment_is_nothing(self):
        self.write("src/ring/ring.h", SPDX + "#pragma once\n// #include <rocksdb/db.h>\n")
        self.accepts("check_layers")

    def test_clock_below_the_edge(self):
        self.write("src/ring/a.cc", SPDX + "auto t = std::chrono::steady_clock::now();\n")
        self.refuses("check_layers", "src/ring/a.cc:2:", "time is passed in")

    def test_clock_in_text_is_nothing(self):
        self.write("src/ring/a.cc", SPDX + '// steady_clock\nauto t = "steady_clock";\n')
        self.accepts("check_layers")

    def test_threads_are_for_tests_only(self):
        self.write("src/ring/a.cc", SPDX + "std::thread t;\n")
        self.refuses("check_layers", "a shard is one thread")

    def test_relative_include(self):
        self.write("src/ring/a.cc", SPDX + '#include "ring.h"\n')
        self.refuses("check_layers", "write the path from src/")

    def test_header_that_only_sounds_like_a_clock(self):
        self.write("src/ring/a.cc", SPDX + "#include <other/steady_clock.h>\n")
        self.accepts("check_layers")

    def test_generated_header_belongs_to_its_proto(self):
        self.write("src/coordinator/messages.proto", SPDX)
        self.write("src/ring/a.cc", SPDX + '#include "messages.pb.h"\n')
        self.refuses("check_layers", "may not include coordinator")

    def test_folder_without_a_section(self):
        self.write("src/utils/a.cc", SPDX)
        self.refuses("check_layers", "src/utils has no section")

    def test_table_that_names_a_higher_folder(self):
        self.write("tools/layers.txt", LAYERS.replace("holds = tokens\nmay = base",
                                                      "holds = tokens\nmay = base coordinator"))
        self.run_tool("check_layers", "--write-table")
        self.refuses("check_layers", "no folder of a lower level")

    def circle(self):
        """a.cc needs b.h, b.h needs c.h, and c.cc needs a.h."""
        for name, needs in (("a", ""), ("b", '#include "ring/c.h"\n'), ("c", "")):
            self.write(f"src/ring/{name}.h", SPDX + "#pragma once\n" + needs)
        self.write("src/ring/a.cc", SPDX + '#include "ring/b.h"\n')
        self.write("src/ring/c.cc", SPDX + '#include "ring/a.h"\n')

    def allow(self, units):
        with open(os.path.join(self.dir.name, "tools/layers.txt"), "a", encoding="utf-8") as file:
            file.write(f"\n[circle {units}]\nwhy = reasons\n")

    def test_include_circle_in_a_folder(self):
        self.circle()
        self.refuses("check_layers", "src/ring/a.cc:2:", "circle: ring/a, ring/b, ring/c:")

    def test_a_chain_is_no_circle(self):
        self.circle()
        self.write("src/ring/c.cc", SPDX + '#include "ring/c.h"\n')
        self.accepts("check_layers")

    def test_circle_with_a_reason(self):
        self.circle()
        self.allow("ring/c ring/b ring/a")
        self.accepts("check_layers")

    def test_circle_that_has_grown(self):
        self.circle()
        self.allow("ring/a ring/b ring/c")
        self.write("src/ring/c.cc", SPDX + '#include "ring/d.h"\n')
        self.write("src/ring/d.h", SPDX + '#pragma once\n#include "ring/a.h"\n')
        result = self.run_tool("check_layers")
        self.assertIn("ring/a, ring/b, ring/c, ring/d:", result.stdout)

    def test_reason_for_no_circle(self):
        self.allow("ring/ring ring/edges")
        self.refuses("check_layers", "ring/edges ring/ring are no circle")

    def test_edge_that_nobody_needs(self):
        self.write("src/causal/edges.h", SPDX + "#pragma once\n// base::Bytes\n")
        self.write("src/causal/dot_test.cc", SPDX + '#include "base/bytes.h"\n')
        self.refuses("check_layers", "src/causal may include base, and none of its code needs it")

    def test_header_that_nobody_needs(self):
        for name in ("routes.h", "service.h"):
            self.write(f"src/frontend/http/{name}", SPDX + "#pragma once\n")
        self.refuses("check_layers", "may include coordinator/kv_service.h, and none")

    def test_stale_table(self):
        self.write("src/README.md", "# The folders\n")
        self.refuses("check_layers", "src/README.md", "stale")


class CheckStyle(Tree):
    def plant(self, *lines):
        self.write("src/ring/a.cc", SPDX + "\n".join(lines) + "\n")

    def test_clean_tree(self):
        self.accepts("check_style")

    def test_no_spdx(self):
        self.write("src/ring/a.cc", "int a;\n")
        self.refuses("check_style", "src/ring/a.cc:1:", "SPDX")

    def test_no_pragma_once(self):
        self.write("src/ring/a.h", SPDX)
        self.refuses("check_style", "#pragma once")

    def test_long_line(self):
        self.plant("int " + "a" * 100 + ";")
        self.refuses("check_style", "src/ring/a.cc:2:", "105 columns")

    def test_tab(self):
        self.plant("\tint a;")
        self.refuses("check_style", "tab")

    def test_not_ascii(self):
        self.plant("// caf\u00e9")
        self.refuses("check_style", "ASCII")

    def test_leftover(self):
        self.plant("// TO" "DO: later")
        self.refuses("check_style", "leaves work behind")

    def test_bans_name_the_replacement(self):
        for code, instead in (
                ("using namespace std;", "alias"), ("assert(x);", "LARIAT_CHECK"),
                ('printf("x");', "telemetry/log.h"), ("enum Kind { kA };", "enum class"),
                ("strcpy(a, b);", "std::string"), ("delete x;", "unique_ptr"),
                ("TEST(A, DISABLED_B) {}", "mend")):
            with self.subTest(code):
                self.plant(code)
                self.refuses("check_style", "src/ring/a.cc:2:", instead)

    def test_what_only_looks_banned(self):
        self.plant("static_assert(true);", "A(const A&) = delete;", 'auto a = "assert(x)";',
                   "// printf(x)", "enum class Kind { kA };")
        self.accepts("check_style")

    def test_long_file(self):
        self.plant(*["int a;"] * 800)
        self.refuses("check_style", "801 lines; 800")

    def test_long_header(self):
        self.write("src/ring/a.h", SPDX + "#pragma once\n" + "int F();\n" * 299)
        self.refuses("check_style", "301 lines; 300")

    def test_long_function(self):
        self.plant("int Thing::Run(int a) const {", *["  a += 1;"] * 69, "}")
        self.refuses("check_style", "src/ring/a.cc:Thing::Run", "71 lines; 70")

    def test_function_of_just_the_limit(self):
        self.plant("int Thing::Run(int a) const {", *["  a += 1;"] * 68, "}")
        self.accepts("check_style")

    def test_long_constructor_and_lambda(self):
        self.plant("Thing::Thing(int a)", "    : a_{a}, b_(2) {", "  auto f = [this] {",
                   *["    a_ += 1;"] * 69, "  };", "}")
        self.refuses("check_style", "Thing::Thing", "74 lines; 70")

    def test_long_class_is_no_function(self):
        self.plant("template <typename R, typename... A>", "class Call<R(A...)> {",
                   *["  int a;"] * 80, "};")
        self.accepts("check_style")

    def test_crowded_folder(self):
        for number in range(23):  # and ring.h, edges.h
            self.write(f"src/ring/f{number}.cc", SPDX)
        self.refuses("check_style", "25 files; 24")

    def test_no_readme(self):
        os.remove(os.path.join(self.dir.name, "src/ring/README.md"))
        self.refuses("check_style", "no README.md")

    def test_no_readme_in_a_folder_of_another(self):
        self.write("src/ring/internal/a.cc", SPDX)
        self.write("src/ring/test_util/a.cc", SPDX)
        self.accepts("check_style")
        self.write("src/ring/inner/a.cc", SPDX)
        self.refuses("check_style", "src/ring/inner", "no README.md")

    def test_setting_that_nobody_reads(self):
        rows = [f'LARIAT_SETTING(node, {name}, Text, "")\n' for name in ("name", "rack")]
        self.write("src/config/settings.def", SPDX + "".join(rows))
        self.write("src/config/parser.cc", SPDX + "auto b = settings.node_rack;\n")
        self.write("src/config/README.md", "# config\n")
        self.write("src/ring/a.cc", SPDX + "auto a = settings.node_name;  // settings.node_rack\n")
        self.refuses("check_style", "src/config/settings.def:3:", "`node.rack` is read nowhere")

    def test_metric_that_nobody_writes(self):
        self.write("src/telemetry/metrics.def",
                   SPDX + 'LARIAT_COUNTER(acks, "a", "A.")\nLARIAT_GAUGE(peers, "b", "B.")\n')
        self.write("src/telemetry/figures.def", SPDX + 'LARIAT_FIGURE(kDisk, "c", "gauge", "")\n')
        self.write("src/ring/a.cc",
                   SPDX + "void f() { metrics_.acks.Add(); }\nauto x = Figure::kDisk;\n")
        self.refuses("check_style", "src/telemetry/metrics.def:3:", "`peers` is written nowhere")
        self.write("src/ring/b.cc", SPDX + "void g() { links_.metrics().peers.Set(1); }\n")
        self.accepts("check_style")

    def test_reply_that_nobody_fills(self):
        self.write("src/coordinator/admin_replies.def",
                   SPDX + 'LARIAT_FIELD(std::optional<double>, left_s, kOrNull, "", "")\n'
                   'LARIAT_FIELD(bool, alive, kAlways, "", "")\n')
        self.write("src/coordinator/README.md", "# coordinator\n")
        self.write("src/ring/a.cc", SPDX + "void f() { node->left_s = 1; }\n")
        self.refuses("check_style", "src/coordinator/admin_replies.def:3:", "`alive` of a reply")
        self.write("src/ring/b.cc", SPDX + "void g() { node.alive = true; }\n")
        self.accepts("check_style")

    def test_member_that_no_reply_has(self):
        self.write("docs/openapi.json", '{"properties": {"state": {"type": "string"}}}\n')
        self.write("apps/lariat/README.md", "# lariat\n")
        self.write("apps/lariat/a.cc", SPDX + 'auto a = {{"task", 1}};\n'
                   'auto b = TextOf(a, "state") + TextOf(last(a.b()), "task");\n')
        self.accepts("check_style")
        self.write("apps/lariat/b.cc", SPDX + 'auto c = f(NumberOf(Of(a, "state"), "stat"));\n')
        self.refuses("check_style", "apps/lariat/b.cc:2:", "`stat` is in no reply")

    def test_ratchet_may_not_grow(self):
        self.write("tools/style_ratchet.txt", "# why\nfile 801 src/ring/a.cc\n")
        self.plant(*["int a;"] * 800)
        self.accepts("check_style")
        self.plant(*["int a;"] * 801)
        self.refuses("check_style", "802 lines; 801")

    def test_ratchet_must_shrink(self):
        self.write("tools/style_ratchet.txt", "# why\nfile 900 src/ring/a.cc\n")
        self.plant(*["int a;"] * 800)
        self.refuses("check_style", "--tighten")
        self.run_tool("check_style", "--tighten")
        self.accepts("check_style")
        self.plant("int a;")
        self.refuses("check_style", "--tighten")
        self.run_tool("check_style", "--tighten")
        self.accepts("check_style")


GUARANTEES = """
#! How to read it.
[M1]
title = Laws
says = It obeys
  them.
state = held
[M2]
title = Dots
says = One value each.
state = not yet
missing = There are none.
"""


class CheckGuarantees(Tree):
    TEST = "src/ring/ring_test.cc"

    def setUp(self):
        super().setUp()
        self.write("tools/guarantees.txt", GUARANTEES)
        self.tests("// Guards M1: 40 seeds.", "// Why it matters.", "TEST(Ring, Obeys) {}")
        self.fresh()

    def tests(self, *lines):
        self.write(self.TEST, SPDX + "\n".join(lines) + "\n")

    def fresh(self):
        os.makedirs(os.path.join(self.dir.name, "docs"), exist_ok=True)
        self.run_tool("check_guarantees", "--write-page")

    def page(self):
        with open(os.path.join(self.dir.name, "docs/guarantees.md"), encoding="utf-8") as file:
            return file.read()

    def test_clean_tree(self):
        self.accepts("check_guarantees")
        for words in ("How to read it.", "## M1 Laws", "It obeys them.", "`Ring.Obeys` (40 seeds)",
                      "**Not yet.** There are none.", "| [M2](#m2-dots) | Dots | not yet |"):
            self.assertIn(words, self.page())

    def test_mark_in_a_name(self):
        self.tests("TEST_F(RingTest, M1_Obeys) {}")
        self.fresh()
        self.accepts("check_guarantees")
        self.assertIn("`RingTest.Obeys`", self.page())

    def test_marks_of_other_kinds(self):
        self.write("tests/ring_test.py", "# Guards M1.\nclass Rings(Test):\n"
                   "    # Guards M1: 3 kills.\n    def test_it(self):\n        pass\n")
        self.write("sim/scenarios/calm.txt", "# No faults.\n# Guards M1.\nnodes = 3\n")
        self.write("sim/sim_test.cc", SPDX + "// Guards M1.\n    {Bug::kNoSync, 5},\n")
        self.write("fuzz/fuzz_ring.cc", SPDX + "// Guards M1.\n"
                   'extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {}\n')
        self.fresh()
        self.accepts("check_guarantees")
        for words in ("`Rings`", "`Rings.test_it` (3 kills)", "`calm`", "`no_sync`", "`fuzz_ring`"):
            self.assertIn(words, self.page())

    def test_held_without_a_mark(self):
        self.tests("TEST(Ring, Obeys) {}")
        self.fresh()
        self.refuses("check_guarantees", "M1 is held, and no test is marked")

    def test_mark_for_what_is_not_there(self):
        self.tests("// Guards M1, M2.", "TEST(Ring, Obeys) {}")
        self.fresh()
        self.refuses("check_guarantees", "M2 has a marked test")

    def test_missing_has_to_be_said(self):
        self.write("tools/guarantees.txt", GUARANTEES.replace("missing", "#"))
        self.fresh()
        self.refuses("check_guarantees", "M2 is 'not yet': say in `missing`")

    def test_unknown_rows(self):
        for lines in (("// So it is (M3).", "// Guards M1.", "TEST(A, B) {}"),
                      ("// Guards M1, M3.", "TEST(A, B) {}"), ("TEST(A, M1_M3_B) {}",)):
            with self.subTest(lines):
                self.tests(*lines)
                self.fresh()
                self.refuses("check_guarantees", self.TEST + ":", "M3 is no row")

    def test_mark_without_a_test(self):
        self.tests("// Guards M1.", "TEST(A, B) {}", "// Guards M1.", "int a;", "TEST(A, C) {}")
        self.fresh()
        self.refuses("check_guarantees", self.TEST + ":4:", "guards nothing")

    def test_what_only_looks_like_a_mark(self):
        self.tests("// Guards M1.", "TEST(A, B) {}", "// guards M1 and more", "TEST(A, C) {}")
        self.fresh()
        self.refuses("check_guarantees", self.TEST + ":4:", "is no mark")

    def test_stale_page(self):
        self.tests("// Guards M1: 50 seeds.", "TEST(Ring, Obeys) {}")
        self.refuses("check_guarantees", "docs/guarantees.md", "stale")


if __name__ == "__main__":
    unittest.main()
