"""The picture that comes through the server is the engine's own, byte for byte."""

import pathlib
import tempfile
import unittest

from service import Server, engine_png, pngs

# The same request in the words of the engine program, of the public contract, and of the command line.
ENGINE = dict(prompt="a red fox", width=112, height=80, steps=8, seed=7, text_tokens=50)
PUBLIC = dict(prompt="a red fox", width=112, height=80, num_inference_steps=8, seed=7, max_sequence_length=50)
FLAGS = ["--prompt", "a red fox", "--width", "112", "--height", "80", "--steps", "8", "--seed", "7", "--max-text-tokens", "50"]


class PictureTest(unittest.TestCase):
    def check(self, ranks):
        expected = engine_png(ranks, ENGINE)
        self.assertTrue(expected.startswith(b"\x89PNG"))
        with Server(ranks) as server, tempfile.TemporaryDirectory() as folder:
            reply = server.generate(**PUBLIC)
            self.assertEqual(pngs(reply), [expected])
            self.assertEqual(reply["metadata"]["ranks"], ranks)

            output = pathlib.Path(folder) / "fox.png"
            done = server.generate_by_cli(output, *FLAGS)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(output.read_bytes(), expected)

    def test_one_worker(self):
        self.check(1)

    def test_two_workers(self):
        self.check(2)

    def test_three_workers(self):
        self.check(3)


class ReflectionTest(unittest.TestCase):
    def test_grpcurl_lists_describes_and_calls_without_files(self):
        with Server(1) as server:
            services = server.grpcurl("list").stdout.split()
            self.assertIn("tessera.v1.ImageService", services)
            self.assertIn("grpc.health.v1.Health", services)
            described = server.grpcurl("describe tessera.v1.ImageService").stdout
            self.assertIn("rpc GenerateImage", described)
            self.assertIn("rpc StreamGenerateImage", described)
            self.assertIn("prompt", server.grpcurl("describe tessera.v1.GenerateImageRequest").stdout)

    def test_five_mistakes_are_five_violations(self):
        with Server(1) as server:
            done = server.grpcurl("-d", '{"width": 17, "height": -1, "num_inference_steps": 0, "num_images": 99, '
                                  '"guidance_scale": -2}', "tessera.v1.ImageService/GenerateImage")
            self.assertIn("InvalidArgument", done.stderr)
            for field in ("width", "height", "num_inference_steps", "num_images", "guidance_scale"):
                self.assertIn(f'"field":"{field}"', done.stderr.replace(" ", ""))


if __name__ == "__main__":
    unittest.main()
