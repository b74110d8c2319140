"""Facts about tools/check_docs.py, each on a small tree of its own."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "tools/check_docs.py"


class CheckDocsTest(unittest.TestCase):
    def check(self, files):
        """What the check says of a tree: {path: text}. Empty when nothing is wrong."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                file = pathlib.Path(root) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            run = subprocess.run([sys.executable, "-B", CHECK, root, *files], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode != 0, run.stderr != "")
        return run.stderr.strip()

    def test_accepts_links_names_and_headings_that_exist(self):
        said = self.check({"README.md": "See [the page](docs/a.md#two-words), [folder](docs) and `worker/b.h`.\n",
                           "docs/a.md": "# Two words\n\nBack to [README](../README.md). [Out](https://example.org/x.h).\n",
                           "worker/b.h": "// As worker/c.h, c.h and <ATen/ATen.h>.\n", "worker/c.h": ""})
        self.assertEqual(said, "")

    def test_finds_a_dead_link(self):
        said = self.check({"docs/a.md": "See [there](gone.md).\n"})
        self.assertEqual(said, "docs/a.md: links to gone.md, which is not there")

    def test_finds_a_dead_anchor(self):
        said = self.check({"docs/a.md": "See [there](b.md#other).\n", "docs/b.md": "# One\n"})
        self.assertEqual(said, "docs/a.md: links to b.md#other, and the page has no such heading")

    def test_finds_a_file_named_in_a_page_that_is_not_there(self):
        said = self.check({"README.md": "It is in `worker/gone.h`.\n"})
        self.assertEqual(said, "README.md: names worker/gone.h, which is not there")

    def test_finds_a_file_named_in_a_header_comment_that_is_not_there(self):
        said = self.check({"worker/b.h": '#include "worker/c.h"\n// As gone.h says.\n'})
        self.assertEqual(said, "worker/b.h: names gone.h, which is not there")

    def test_counts_the_words_of_a_sentence(self):
        words = " ".join(["word"] * 34)
        self.assertEqual(self.check({"docs/a.md": f"First {words}. Second {words}.\n"}), "")
        said = self.check({"docs/a.md": f"Far too {words}.\n"})
        self.assertEqual(said, "docs/a.md: a sentence of 36 words: Far too word word word word word word ...")

    def test_does_not_count_code(self):
        words = " ".join(["word"] * 50)
        self.assertEqual(self.check({"docs/a.md": f"A block:\n\n```\n{words}\n```\n\n    {words}\n"}), "")


if __name__ == "__main__":
    unittest.main()
