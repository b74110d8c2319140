"""Servers, workers and jobs end together: nobody is left behind. (Lost workers: tests/fault/service.)"""

import os
import threading
import time
import unittest

from service import Server, pngs

LONG = dict(prompt="a red fox", width=512, height=512, num_inference_steps=12, seed=7, max_sequence_length=50)
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


if __name__ == "__main__":
    unittest.main()
