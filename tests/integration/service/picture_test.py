"""The picture that comes through the server is the engine's own, to the last pixel."""

import base64
import json
import pathlib
import tempfile
import unittest

from service import Server, engine_pixels, pngs, read_png

INVALID_ARGUMENT = 3

# The same request in the words of the engine program, of the public contract, and of the command line.
ENGINE = dict(prompt="a red fox", width=112, height=80, steps=8, seed=7, text_tokens=50)
PUBLIC = dict(prompt="a red fox", width=112, height=80, num_inference_steps=8, seed=7, max_sequence_length=50)
FLAGS = ["--prompt", "a red fox", "--width", "112", "--height", "80", "--steps", "8", "--seed", "7", "--max-text-tokens", "50"]


class PictureTest(unittest.TestCase):
    def check(self, ranks):
        expected = engine_pixels(ranks, ENGINE)
        with Server(ranks) as server, tempfile.TemporaryDirectory() as folder:
            reply = server.generate(**PUBLIC)
            (png,) = pngs(reply)
            texts, pixels = read_png(png)
            self.assertTrue(pixels == expected)
            self.assertEqual(texts["seed"], "7")
            self.assertEqual(texts["ranks"], str(ranks))
            self.assertEqual(reply["metadata"]["ranks"], ranks)

            output = pathlib.Path(folder) / "fox.png"
            done = server.generate_by_cli(output, *FLAGS)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(output.read_bytes(), png)

    def test_one_worker(self):
        self.check(1)

    def test_two_workers(self):
        self.check(2)

    def test_three_workers(self):
        self.check(3)


class GrpcurlTest(unittest.TestCase):
    """By reflection alone, without proto files."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(1)
        cls.addClassCleanup(cls.server.__exit__)

    def test_lists_and_describes(self):
        services = self.server.grpcurl("list").stdout.split()
        self.assertIn("tessera.v1.ImageService", services)
        self.assertIn("grpc.health.v1.Health", services)
        described = self.server.grpcurl("describe tessera.v1.ImageService").stdout
        for method in ("GenerateImage", "StreamGenerateImage", "GetServerInfo"):
            self.assertIn(f"rpc {method} ", described)
        self.assertIn("prompt", self.server.grpcurl("describe tessera.v1.GenerateImageRequest").stdout)
        self.assertIn("rpc Check ", self.server.grpcurl("describe grpc.health.v1.Health").stdout)

    def test_both_calls_give_the_same_picture(self):
        expected = pngs(self.server.generate(**PUBLIC))
        events = self.server.stream(**PUBLIC)
        self.assertEqual([kind for event in events[:2] for kind in event], ["queued", "attempt_started"])
        self.assertEqual([event["step_done"]["step"] for event in events if "step_done" in event][-1], PUBLIC["num_inference_steps"])
        chunks = [event["image_chunk"] for event in events if "image_chunk" in event]
        self.assertEqual([b"".join(base64.b64decode(chunk["data"]) for chunk in chunks)], expected)
        self.assertIn("metadata", events[-1])

    def test_tells_health(self):
        for service in ("", "tessera.v1.ImageService"):
            done = self.server.grpcurl("-d", json.dumps({"service": service}), "grpc.health.v1.Health/Check")
            self.assertEqual(json.loads(done.stdout), {"status": "SERVING"}, done.stderr)

    def test_five_mistakes_are_five_violations(self):
        mistakes = dict(width=17, height=-1, num_inference_steps=0, num_images=99, guidance_scale=-2)
        for method in ("GenerateImage", "StreamGenerateImage"):
            done = self.server.grpcurl("-format-error", "-d", json.dumps(mistakes), f"tessera.v1.ImageService/{method}")
            self.assertNotEqual(done.returncode, 0)
            error = json.loads(done.stderr)
            self.assertEqual(error["code"], INVALID_ARGUMENT)
            violations = [violation["field"] for detail in error["details"] for violation in detail.get("field_violations", [])]
            self.assertEqual(sorted(violations), sorted(mistakes))


if __name__ == "__main__":
    unittest.main()
