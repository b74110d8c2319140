"""What the images hold, and what the services of deploy/compose.cpu.yaml do as separate hosts (run by tools/test_deploy)."""

import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import unittest

import compose
from images import REPOSITORY, read_images

FOLDER = pathlib.Path(os.environ["TESSERA_DEPLOY_DIR"])
RELEASE = REPOSITORY / "build/release"
TINY_FLUX = REPOSITORY / "tests/reference/tiny-flux"
IMAGES = read_images(FOLDER)
WORKERS = 3
LIMIT_S = 120
FOX = ["--prompt", "a red fox", "--width", "112", "--height", "80", "--steps", "8", "--seed", "7", "--max-text-tokens", "50"]
LONG = ["--prompt", "a red fox", "--width", "512", "--height", "512", "--steps", "30", "--seed", "7", "--max-text-tokens", "50"]


def wait_for(condition, what):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"{what}: not within {LIMIT_S} s")
        time.sleep(0.05)


def local_picture(path):
    """FOX without any container; the port is free, in this network namespace."""
    server = subprocess.Popen([RELEASE / "server/tessera-server", "--model", TINY_FLUX, "--spawn-workers", str(WORKERS),
                               "--threads", "1", "--log-level", "warning"])
    try:
        subprocess.run([RELEASE / "client/tessera", "generate", *FOX, "--output", path], check=True, capture_output=True)
    finally:
        server.terminate()
        server.wait(LIMIT_S)
    return path.read_bytes()


class ImageTest(unittest.TestCase):
    """In the images as they lie there, without any mounts."""

    def inside(self, name, command):
        root = FOLDER / "root"
        layers = ":".join(map(str, IMAGES[name].layers))
        script = f'mount -t overlay overlay -o "lowerdir={layers}" "{root}" && exec chroot "{root}" sh -c "$0"'
        return subprocess.run(["unshare", "--mount", "sh", "-c", script, command], capture_output=True, text=True, check=True).stdout

    def test_no_library_is_missing(self):
        for name in IMAGES:
            loaded = self.inside(name, "ldd /usr/local/bin/* $(find /usr/local/lib -name '*.so*')")
            self.assertIn("libc.so.6", loaded)
            self.assertNotIn("not found", loaded, name)

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
            self.assertLess(sum(sizes[:-1]), {"server": 100, "worker-cpu": 600}[name])


class ServicesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.out = FOLDER / "out"
        cls.out.mkdir(exist_ok=True)
        os.chown(cls.out, 10001, 10001)
        token = FOLDER / "worker-token"
        token.unlink(missing_ok=True)
        token.write_text("a token of the tests\n")
        token.chmod(0o400)
        os.chown(token, 10001, 10001)
        cls.config = compose.read(REPOSITORY / "deploy/compose.cpu.yaml", {
            "TESSERA_MODEL_DIR": str(TINY_FLUX), "TESSERA_WORKERS": str(WORKERS), "TESSERA_TOKEN_FILE": str(token)})
        cls.local = local_picture(cls.out / "local.png")

    def setUp(self):
        folder = FOLDER / "hosts" / self._testMethodName  # each host's log stays there
        self.deployment = self.enterContext(compose.Deployment(self.config, IMAGES, folder))
        self.server, = self.deployment.services["server"]
        self.workers = self.deployment.services["worker"]
        self.client = self.deployment.add_client("clients", [(self.out, "/out", "rw")])
        self.wait_until_serving()

    def wait_until_serving(self):
        wait_for(lambda: self.call("health").returncode == 0, "SERVING")

    def call(self, *words):
        """Runs tessera on a host of its own, which is in the network for clients and in no other."""
        return self.client.execute("tessera", *words, "--server", "server:50051")

    def picture(self, *flags):
        done = self.call("generate", *flags, "--output", "/out/fox.png")
        self.assertEqual(done.returncode, 0, done.stderr)
        return (self.out / "fox.png").read_bytes()

    def test_picture_is_that_of_a_local_run(self):
        self.assertEqual(self.picture(*FOX), self.local)
        info = self.call("info").stdout
        for worker in self.workers:
            self.assertIn(f"{worker.name}:1 ", info)
        print("\n" + info, file=sys.stderr)

    def test_health_check_of_the_file_succeeds(self):
        done = self.server.execute(*self.config["services"]["server"]["healthcheck"]["test"][1:])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_containers_have_no_rights_and_cannot_write(self):
        for container in (self.server, *self.workers):
            status = container.execute("cat", "/proc/1/status").stdout
            self.assertRegex(status, r"\nUid:\t10001\t10001\t10001\t10001\n")
            for rights in ("CapEff", "CapBnd"):
                self.assertRegex(status, rf"\n{rights}:\t0+\n")
            self.assertIn("\nNoNewPrivs:\t1\n", status)
            self.assertNotEqual(container.execute("touch", "/usr/local/x").returncode, 0)
        self.assertNotEqual(self.workers[0].execute("touch", "/model/x").returncode, 0)

    def test_killed_worker_is_restarted_and_the_group_whole_again(self):
        kept = [worker.pid() for worker in self.workers[:-1]]
        self.workers[-1].kill()
        wait_for(lambda: self.workers[-1].restarts == 1, "a restart")
        self.wait_until_serving()
        self.assertEqual(self.picture(*FOX), self.local)
        self.assertEqual([worker.pid() for worker in self.workers[:-1]], kept)
        self.assertEqual([worker.restarts for worker in self.workers], [0] * (WORKERS - 1) + [1])

    def test_killed_server_is_restarted_and_workers_come_back(self):
        self.server.kill()
        wait_for(lambda: self.server.restarts == 1, "a restart")
        self.wait_until_serving()
        self.assertEqual(self.picture(*FOX), self.local)
        self.assertEqual([worker.restarts for worker in self.workers], [0] * WORKERS, "the workers were not kept")

    def test_stop_finishes_the_running_job(self):
        pictures = []
        call = threading.Thread(target=lambda: pictures.append(self.picture(*LONG)))
        call.start()
        wait_for(lambda: re.search(r"^group 0 +busy", self.call("info").stdout, re.M), "a running job")
        self.assertEqual(self.deployment.stop(), dict.fromkeys([self.server.name, *(worker.name for worker in self.workers)], 0))
        call.join(LIMIT_S)
        self.assertEqual(len(pictures), 1, "the running job was not finished")


if __name__ == "__main__":
    unittest.main(verbosity=2)
