"""What the services of the compose files do as separate hosts (run by tools/test_deploy)."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

import compose
from images import REPOSITORY, read_images

FOLDER = pathlib.Path(os.environ["TESSERA_DEPLOY_DIR"])
IMAGES = read_images(FOLDER)
RELEASE = REPOSITORY / "build/release"
TINY_FLUX = REPOSITORY / "tests/reference/tiny-flux"
OUT = FOLDER / "out"  # where clients put pictures
TOKEN = FOLDER / "worker-token"
USER = 10001
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


def setUpModule():
    OUT.mkdir(exist_ok=True)
    os.chown(OUT, USER, USER)
    TOKEN.unlink(missing_ok=True)
    TOKEN.write_text("a token of the tests\n")
    TOKEN.chmod(0o400)
    os.chown(TOKEN, USER, USER)
    Services.local = local_picture(OUT / "local.png")


class Services(unittest.TestCase):
    """Runs the services of FILE and a host with a client; `local` is the picture that all must make."""

    FILE = None
    VARIABLES = {"TESSERA_MODEL_DIR": str(TINY_FLUX), "TESSERA_TOKEN_FILE": str(TOKEN)}
    local = None

    def read_file(self):
        return compose.read(REPOSITORY / "deploy" / self.FILE, self.VARIABLES)

    def setUp(self):
        self.config = self.read_file()
        folder = FOLDER / "hosts" / self._testMethodName  # each host's log stays there
        self.deployment = self.enterContext(compose.Deployment(self.config, IMAGES, folder))
        self.server, = self.deployment.services["server"]
        self.workers = self.deployment.services["worker"]
        self.client = self.deployment.add_client("clients", [(OUT, "/out", "rw")])
        self.wait_until_serving()

    def wait_until_serving(self):
        wait_for(lambda: self.call("health").returncode == 0, "SERVING")

    def call(self, *words):
        """Runs tessera on a host of its own, which is in the network for clients and in no other."""
        return self.client.execute("tessera", *words, "--server", "server:50051")

    def picture(self, *flags):
        done = self.call("generate", *flags, "--output", "/out/fox.png")
        self.assertEqual(done.returncode, 0, done.stderr)
        return (OUT / "fox.png").read_bytes()


class CpuServicesTest(Services):
    FILE = "compose.cpu.yaml"
    VARIABLES = {**Services.VARIABLES, "TESSERA_WORKERS": str(WORKERS)}

    def test_picture_is_that_of_a_local_run(self):
        self.assertEqual(self.picture(*FOX), self.local)
        info = self.call("info").stdout
        for worker in self.workers:
            self.assertIn(f"{worker.name}:1 ", info)
        print("\n" + info, file=sys.stderr)

    def test_health_check_is_that_of_the_image_and_succeeds(self):
        command = self.config["services"]["server"]["healthcheck"]["test"]
        self.assertEqual(command, ["CMD", *self.server.image.healthcheck])
        done = self.server.execute(*command[1:])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_containers_have_no_rights_and_roots_that_cannot_be_written(self):
        for container in (self.server, *self.workers):
            status = container.execute("cat", "/proc/1/status").stdout
            self.assertRegex(status, r"\nUid:\t10001\t10001\t10001\t10001\n")
            for rights in ("CapEff", "CapBnd"):
                self.assertRegex(status, rf"\n{rights}:\t0+\n")
            self.assertIn("\nNoNewPrivs:\t1\n", status)
            self.assertRegex(container.execute("cat", "/proc/mounts").stdout, r"overlay / overlay ro,")
        self.assertRegex(self.workers[0].execute("cat", "/proc/mounts").stdout, r" /model \S+ ro,")

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


class NodeServicesTest(Services):
    """With CPUs in the place of GPUs, and the CPU's image."""

    FILE = "compose.yaml"
    VARIABLES = {**Services.VARIABLES, "TESSERA_DEVICES": ",".join(["cpu"] * WORKERS), "TESSERA_GROUP_SIZE": str(WORKERS)}

    def read_file(self):
        config = super().read_file()
        worker = config["services"]["worker"]
        worker["build"]["target"] = "worker-cpu"
        worker["environment"]["TESSERA_THREADS"] = "1"
        return config

    def test_killed_child_is_respawned_in_its_container(self):
        container, = self.workers
        before = container.children()
        self.assertEqual(len(before), WORKERS)
        os.kill(before[1], signal.SIGKILL)
        wait_for(lambda: len(set(container.children()) - set(before)) == 1, "a new child")
        self.wait_until_serving()
        self.assertEqual(self.picture(*FOX), self.local)
        self.assertEqual(set(before) - set(container.children()), {before[1]})
        self.assertEqual(container.restarts, 0)

    def test_stop_ends_every_child(self):
        self.assertEqual(set(self.deployment.stop().values()), {0})
