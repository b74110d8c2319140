"""What the images hold, as they lie there (run by tools/test_deploy)."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

from images import read_images

FOLDER = pathlib.Path(os.environ["TESSERA_DEPLOY_DIR"])
IMAGES = read_images(FOLDER)


class ImageTest(unittest.TestCase):
    def inside(self, name, command):  # without any mounts
        root = FOLDER / "root"
        layers = ":".join(map(str, IMAGES[name].layers))
        script = f'mount -t overlay overlay -o "lowerdir={layers}" "{root}" && exec chroot "{root}" sh -c "$0"'
        return subprocess.check_output(["unshare", "--mount", "sh", "-c", script, command], text=True)

    def test_no_library_is_missing(self):
        for name in IMAGES:
            loaded = self.inside(name, "ldd /usr/local/bin/* $(find /usr/local/lib -path '*/torch/*.so')")
            self.assertIn("libc.so.6", loaded)
            missing = set(re.findall(r"(\S+) => not found", loaded))
            self.assertLessEqual(missing, {"libcuda.so.1"} if name == "worker-cuda" else set(), name)  # comes with the GPU

    def test_no_compiler_and_no_python(self):
        for name in IMAGES:
            found = self.inside(name, "which cc gcc g++ clang cmake ninja git python3 pip || true")
            self.assertEqual(found, "", name)

    def test_server_has_no_torch(self):
        self.assertEqual(self.inside("server", "find / -xdev -name '*torch*' -o -xdev -name 'libc10*'"), "")

    def test_none_runs_as_root(self):
        for name, image in IMAGES.items():
            self.assertEqual(image.user, "10001:10001", name)
            self.assertEqual(self.inside(name, "id -u tessera; id -g tessera").split(), ["10001", "10001"])

    def test_sizes_are_printed(self):
        for name, image in IMAGES.items():
            sizes = [int(subprocess.check_output(["du", "-sm", layer]).split()[0]) for layer in image.layers]
            print(f"\n  {name}: {sum(sizes)} MB, of which Debian's base {sizes[-1]} MB", end="", file=sys.stderr)
            self.assertLess(sum(sizes[:-1]), {"server": 100, "worker-cpu": 600, "worker-cuda": 4000}[name])
