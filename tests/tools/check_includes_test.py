"""tools/check_includes.py, by which tools/lint holds every #include to tools/folders.txt."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CHECK = REPOSITORY / "tools/check_includes.py"


class CheckIncludesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.write("tools/folders.txt", (REPOSITORY / "tools/folders.txt").read_text())

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def check(self, *arguments):
        return subprocess.run([sys.executable, "-B", CHECK, *arguments], capture_output=True, text=True)

    def faults(self, path, include):
        """What is said about a file that includes one other."""
        self.write(path, f"#pragma once\n\n#include {include}\n")
        done = self.check(self.root, path)
        self.assertEqual(done.returncode, 1 if done.stderr else 0)
        return done.stderr.strip()

    def test_an_include_of_a_higher_folder_points_up(self):
        for path, target, there, here in [
                ("worker/flux/planted.cc", "worker/pipeline/engine.h", "worker/pipeline", "worker/flux"),
                ("server/loop/planted.h", "server/jobs/job.h", "server/jobs", "server/loop"),
                ("common/base/planted.h", "common/wire/planted.h", "common/wire", "common/base"),
                ("server/core/planted.h", "server/server_flags.h", "server", "server/core")]:
            self.assertEqual(self.faults(path, f'"{target}"'),
                             f"{path}:3: {target}: points up: {there} is above {here} in tools/folders.txt")

    def test_programs_never_include_each_other(self):
        for program, other in [("server", "worker"), ("server", "client"), ("client", "server"),
                               ("worker", "server"), ("worker", "client"), ("common", "server"), ("common", "worker"),
                               ("server", "tests")]:
            path = {"worker": "worker/link", "common": "common/base", "server": "server/rpc"}.get(program, program)
            self.assertIn(f"{program} never includes {other}",
                          self.faults(f"{path}/planted.cc", f'"{other}/planted.h"'))

    def test_torch_stays_in_the_engine(self):
        for path in ("common/base/planted.h", "server/planted.cc", "client/planted.cc"):
            for header in ("<ATen/ATen.h>", "<torch/csrc/x.h>", "<c10/util/x.h>"):
                self.assertIn("server, client and common know no torch", self.faults(path, header))
        self.assertEqual(self.faults("worker/flux/planted.cc", "<ATen/ATen.h>"), "")

    def test_grpc_stays_out_of_the_engine_and_of_common(self):
        self.assertIn("the engine knows no gRPC", self.faults("worker/flux/planted.cc", "<grpcpp/channel.h>"))
        self.assertIn("common makes no gRPC calls", self.faults("common/wire/planted.cc", "<grpcpp/channel.h>"))
        self.assertEqual(self.faults("worker/link/planted.cc", "<grpcpp/channel.h>"), "")
        self.assertEqual(self.faults("server/rpc/planted.cc", "<grpcpp/channel.h>"), "")

    def test_includes_of_the_same_and_of_lower_folders_are_in_order(self):
        for path, target in [("worker/flux/planted.cc", "worker/flux/planted.h"),
                             ("worker/pipeline/planted.cc", "worker/flux/planted.h"),
                             ("server/main.cc", "common/base/file.h"), ("tests/unit/planted.cc", "server/rpc/planted.h")]:
            self.assertEqual(self.faults(path, f'"{target}"'), "")

    def test_a_folder_that_is_not_listed_is_named(self):
        self.assertIn("common/planted.h: its folder is not in tools/folders.txt",
                      self.faults("common/planted.h", "<string>"))

    def test_the_table_of_the_design_page_is_the_list(self):
        self.write("docs/design.md", "before\n<!-- folders -->\n| old | table |\n<!-- /folders -->\nafter\n")
        self.assertIn("its table differs", self.check(self.root).stderr)
        self.assertEqual(self.check("--fix", self.root).returncode, 0)
        self.assertEqual(self.check(self.root).stderr, "")
        page = (self.root / "docs/design.md").read_text()
        self.assertIn("| `common/base/` |", page)
        self.assertTrue(page.startswith("before\n") and page.endswith("\nafter\n"))


if __name__ == "__main__":
    unittest.main()
