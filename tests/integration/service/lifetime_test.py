"""Servers, workers and jobs end together: nobody is left behind. (Lost workers: tests/fault/service.)"""

import os
import subprocess
import threading
import time
import unittest
import unittest.mock

from service import BINARIES, Server, pngs

LONG = dict(prompt="a red fox", width=512, height=512, num_inference_steps=12, seed=7, max_sequence_length=50)
SHORT = dict(LONG, width=64, height=64, num_inference_steps=1)
LIMIT_S = 30


def wait_for(condition, what):
    """Waits for a state of the processes under test, at most LIMIT_S."""
    limit = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"{what}: not within {LIMIT_S} s")
        time.sleep(0.02)


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


class LifetimeTest(unittest.TestCase):
    def test_no_worker_outlives_a_killed_server(self):
        server = Server(2)
        wait_for(lambda: len(server.workers()) == 2, "two workers")
        workers = server.workers()
        server.kill()
        wait_for(lambda: not any(alive(pid) for pid in workers), "the end of the workers")

    def test_sigterm_finishes_the_running_job(self):
        with Server(2) as server:
            server.generate(**LONG)
            answers = []
            call = threading.Thread(target=lambda: answers.append(server.generate(**LONG)))
            call.start()
            wait_for(lambda: "GROUP_STATE_BUSY" in server.grpcurl("tessera.v1.ImageService/GetServerInfo").stdout, "a running job")
            server.process.terminate()
            call.join(LIMIT_S)
            self.assertEqual(len(pngs(answers[0])), 1)
            self.assertEqual(server.process.wait(LIMIT_S), 0)

    def test_the_server_outlives_the_reader_of_its_log(self):
        with Server(1, stderr=subprocess.PIPE) as server:
            server.process.stderr.close()
            for _ in range(3):
                self.assertEqual(len(pngs(server.generate(**SHORT))), 1)
            self.assertIsNone(server.process.poll())

    def test_no_proxy_stands_between_programs_of_one_machine(self):
        nobody = "http://127.0.0.1:9"
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), nobody)
        with unittest.mock.patch.dict(os.environ, proxies), Server(1) as server:
            self.assertEqual(len(pngs(server.generate(**SHORT))), 1)
            health = subprocess.run([BINARIES / "client/tessera", "health", "--server", server.address], check=False)
            self.assertEqual(health.returncode, 0)


if __name__ == "__main__":
    unittest.main()
