"""Starts the programs under test and talks to them as users do."""

import base64
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import time
import zlib

BINARIES = pathlib.Path(os.environ["TESSERA_BINARY_DIR"])
TINY_FLUX = pathlib.Path(os.environ["TESSERA_REFERENCE_DIR"]) / "tiny-flux"
START_LIMIT_S = 60


class Server:
    """tessera-server with spawned workers on free ports; a context manager."""

    def __init__(self, workers, *flags, stderr=None):
        self._folder = tempfile.TemporaryDirectory()
        self._ports = pathlib.Path(self._folder.name) / "ports"
        self.process = subprocess.Popen(
            [BINARIES / "server/tessera-server", "--model", TINY_FLUX, "--device", "cpu", "--spawn-workers", str(workers),
             "--threads", "1", "--listen", "127.0.0.1:0", "--port-file", self._ports, *flags], stderr=stderr)
        limit = time.monotonic() + START_LIMIT_S
        while not self._ports.exists() or not re.search(r"^listen=\d+$", self._ports.read_text(), re.M):
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError("tessera-server did not start")
            time.sleep(0.02)
        self.address = "127.0.0.1:" + re.search(r"^listen=(\d+)$", self._ports.read_text(), re.M)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self._folder.cleanup()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()

    def workers(self):
        """Process ids of the direct children named tessera-worker."""
        pids = []
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            pids += [int(pid) for pid in (task / "children").read_text().split()]
        return [pid for pid in pids if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "tessera-worker"]

    def grpcurl(self, *arguments):
        """Runs grpcurl without proto files; returns the finished process."""
        *flags, method = arguments if arguments else ("list",)
        return subprocess.run([os.environ["TESSERA_GRPCURL"], "-plaintext", "-max-msg-sz", str(1 << 28), *flags, self.address,
                               *method.split()], capture_output=True, text=True, check=False)

    def generate(self, **fields):
        """GenerateImage by grpcurl; the reply as a dictionary."""
        done = self.grpcurl("-d", json.dumps(fields), "tessera.v1.ImageService/GenerateImage")
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def stream(self, **fields):
        """StreamGenerateImage by grpcurl; the events as dictionaries."""
        done = self.grpcurl("-d", json.dumps(fields), "tessera.v1.ImageService/StreamGenerateImage")
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        decoder, text, events = json.JSONDecoder(), done.stdout.strip(), []
        while text:
            event, end = decoder.raw_decode(text)
            events.append(event)
            text = text[end:].lstrip()
        return events

    def generate_by_cli(self, output, *flags):
        return subprocess.run([BINARIES / "client/tessera", "generate", "--server", self.address, "--output", output, *flags],
                              capture_output=True, text=True, check=False)


def pngs(reply):
    return [base64.b64decode(image["png"]) for image in reply["images"]]


def read_png(png):
    """The texts and the pixels (8-bit RGB, row by row) of a PNG whose rows have Paeth's filter, as the server writes it."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    texts, packed, at = {}, b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        data, (crc,) = png[at + 8:at + 8 + length], struct.unpack(">I", png[at + 8 + length:at + 12 + length])
        assert crc == zlib.crc32(kind + data)
        at += 12 + length
        if kind == b"IHDR":
            width, height, *form = struct.unpack(">IIBBBBB", data)
            assert form == [8, 2, 0, 0, 0]
        elif kind == b"tEXt":
            keyword, _, value = data.partition(b"\0")
            texts[keyword.decode()] = value.decode()
        elif kind == b"IDAT":
            packed += data
    rows = zlib.decompress(packed)
    above, pixels = bytes(3 * width), bytearray()
    for y in range(height):
        filtered = rows[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
        assert filtered[0] == 4
        row = bytearray()
        for x, value in enumerate(filtered[1:]):
            left, up, corner = (row[x - 3], above[x], above[x - 3]) if x >= 3 else (0, above[x], 0)
            predicted = min((left, up, corner), key=lambda near: abs(left + up - corner - near))
            row.append((value + predicted) % 256)
        pixels += row
        above = row
    return texts, bytes(pixels)


def engine_pixels(ranks, fields):
    """What the engine itself makes of a request, as `ranks` processes without any server (tests/support/engine_program.cc)."""
    program = BINARIES / "tests/support/tessera_engine_program"
    processes = [subprocess.Popen([program, TINY_FLUX, "every-rank"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                 for _ in range(ranks)]

    def say(process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()

    def answer(process, *ends):
        for line in process.stdout:
            if line.startswith(ends):
                return line.strip()
        raise RuntimeError("the rank ended")

    try:
        for process in processes:
            answer(process, "loaded")
        say(processes[0], "host 1")
        port = answer(processes[0], "port").split()[1]
        for rank, process in enumerate(processes):
            say(process, f"join 1 {rank} {ranks} {port}")
        for process in processes:
            assert answer(process, "ok", "error") == "ok"
        with tempfile.TemporaryDirectory() as folder:
            pixels = pathlib.Path(folder) / "engine.rgb"
            for process in processes:
                say(process, f"generate {pixels} -1 30 {json.dumps(fields)}")
            for process in processes:
                assert answer(process, "ok", "error") == "ok"
            return pixels.read_bytes()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
