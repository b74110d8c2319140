"""A running Tessera server and its answers, over gRPC."""

import base64
import io
import json
import pathlib
import re
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_LIMIT_S = 120


def _text(path):
    return path.read_text() if path.exists() else ""


class TesseraServer:
    """tessera-server with so many worker processes on this machine; a context manager."""

    def __init__(self, model, ranks, binaries=ROOT / "build/release"):
        self.folder = tempfile.TemporaryDirectory()
        ports = pathlib.Path(self.folder.name) / "ports"
        self.log = open(pathlib.Path(self.folder.name) / "log", "w+")
        self.process = subprocess.Popen(
            [binaries / "server/tessera-server", "--model", model, "--device", "cpu",
             "--spawn-workers", str(ranks), "--listen", "127.0.0.1:0", "--port-file", ports],
            stdout=self.log, stderr=self.log)
        limit = time.monotonic() + START_LIMIT_S
        while not (port := re.search(r"^listen=(\d+)$", _text(ports), re.M)):
            if self.process.poll() is not None or time.monotonic() > limit:
                self.log.seek(0)
                raise RuntimeError("tessera-server did not start:\n" + self.log.read())
            time.sleep(.05)
        self.address = f"127.0.0.1:{port[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        self.folder.cleanup()

    def picture(self, prompt, seed, **settings):
        """uint8 [height, width, 3] of GenerateImage's PNG; settings by their names in the proto."""
        grpcurl, = ROOT.glob(".deps/venv/bin/grpcurl")
        call = subprocess.run(
            [grpcurl, "-plaintext", "-d", json.dumps({"prompt": prompt, "seed": seed, **settings}),
             self.address, "tessera.v1.ImageService/GenerateImage"],
            capture_output=True, text=True, check=False)
        if call.returncode != 0:
            raise RuntimeError(f"{prompt!r}: {call.stderr}")
        png = base64.b64decode(json.loads(call.stdout)["images"][0]["png"])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
