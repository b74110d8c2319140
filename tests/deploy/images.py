"""Makes the Dockerfile's images as folders, by its own steps, in a debootstrapped Debian.

Usage: images.py FOLDER [--build] IMAGE...
FOLDER holds `debian`, a bare system. A stage becomes FOLDER/layers/STAGE, what it adds to the one below; it is made again
when its steps or what they copy have changed. The stages that compile are not run without --build: `cmake --install` of
build/release makes the trees they would make. This machine's CUDA toolkit stands in for the one of the public image.
Must run in a mount namespace of its own.
"""

import argparse
import dataclasses
import fnmatch
import functools
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

import dockerfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Image:
    layers: list  # folders, the highest first
    key: str  # changes with the content
    env: dict = dataclasses.field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    entrypoint: list = dataclasses.field(default_factory=list)
    healthcheck: list = dataclasses.field(default_factory=list)

    def find(self, path):
        """The file or folder of that absolute path in the highest layer that has it."""
        return next(found for layer in self.layers if os.path.lexists(found := layer / path.lstrip("/")))


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


@functools.cache
def context_files():
    """What the build context holds: files that git knows or would know, less what .dockerignore names."""
    names = subprocess.run(["git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           check=True, capture_output=True, text=True).stdout.split("\0")
    ignored = [line for line in (REPOSITORY / ".dockerignore").read_text().split("\n") if line and line[0] != "#"]

    def is_ignored(name):
        parts = name.split("/")
        return any(fnmatch.fnmatch("/".join(parts[:end]), pattern) for pattern in ignored for end in range(1, len(parts) + 1))

    return sorted({name for name in names if (REPOSITORY / name).is_file() and not is_ignored(name)})


def digest(files):
    """Of the names and contents of `files`, pairs of name and path."""
    total = hashlib.sha256()
    for name, path in files:
        total.update(f"{name} {path.stat().st_mode} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


class ImageMaker:
    def __init__(self, folder, build):
        self._folder = folder.resolve()
        self._build = build
        self._stages = dockerfile.read_stages((REPOSITORY / "Dockerfile").read_text())
        self._images = {}

    def make(self, name):
        if name not in self._images:
            stage = self._stages[name]
            if name.startswith("build-") and not self._build:
                self._images[name] = self._install_tree(stage)
            else:
                self._images[name] = self._make_stage(stage)
        return self._images[name]

    def _install_tree(self, stage):
        """What the stage would leave in /tree, from build/release."""
        layer = self._folder / "layers" / stage.name
        shutil.rmtree(layer, ignore_errors=True)
        for step in stage.steps:
            for command in step.text.split("&&"):
                words = shlex.split(command)
                if words[:2] == ["cmake", "--install"]:
                    words[words.index("--prefix") + 1] = str(layer / "tree")
                    run(*words, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        return Image([layer], "")

    def _make_stage(self, stage):
        if stage.base in self._stages:
            image = dataclasses.replace(self.make(stage.base))
        elif stage.base.startswith("nvidia/cuda:"):
            image = Image([pathlib.Path("/")], "")  # of which the toolkit's folder is used
        else:
            assert stage.base.startswith("debian:12"), f"{stage.base} is not to be had here"
            image = Image([self._folder / "debian"], "")
        sources = [self._sources(step) for step in stage.steps]
        steps = [[step.word, step.flags, step.mounts, step.text, digest(files)] for step, files in zip(stage.steps, sources)]
        image.key = hashlib.sha256(json.dumps([image.key, steps]).encode()).hexdigest()
        layer = self._folder / "layers" / stage.name
        stamp = layer.with_suffix(".key")
        fresh = not stamp.exists() or stamp.read_text() != image.key
        if fresh:
            stamp.unlink(missing_ok=True)
            shutil.rmtree(layer, ignore_errors=True)
            layer.mkdir(parents=True)
        self._take_steps(stage, sources, image, layer, fresh and bool(steps))
        stamp.write_text(image.key)
        image.layers = [layer, *image.layers]
        return image

    def _take_steps(self, stage, sources, image, layer, fresh):
        started = time.monotonic()
        root = self._folder / "root"
        if fresh:
            self._mount_root(root, layer, image.layers)
        try:
            for step, files in zip(stage.steps, sources):
                if step.word not in ("RUN", "COPY"):
                    self._note(step, image)
                elif fresh and step.word == "RUN":
                    self._run_step(step, image, root)
                elif fresh:
                    self._copy_step(step, files, image, root)
        finally:
            if fresh:
                run("umount", "--recursive", root)
        if fresh:
            print(f"  {stage.name}: {time.monotonic() - started:.0f} s", file=sys.stderr)

    def _mount_root(self, root, layer, lower):
        work = self._folder / "overlay-work"
        shutil.rmtree(work, ignore_errors=True)
        for folder in (root, work):
            folder.mkdir(exist_ok=True)
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={':'.join(map(str, lower))},upperdir={layer},workdir={work}", root)
        run("mount", "-t", "proc", "proc", root / "proc")
        run("mount", "--rbind", "/dev", root / "dev")
        run("mount", "-t", "tmpfs", "tmpfs", root / "tmp")

    def _sources(self, step):
        """What a step reads beside the image: pairs of name and path."""
        for other in [step.flags, *step.mounts]:
            if "from" in other:
                self.make(other["from"])  # now, while no root is mounted
        if step.word == "RUN":
            folders = tuple(mount["source"] + "/" for mount in step.mounts if mount["type"] == "bind" and "from" not in mount)
            return [(name, REPOSITORY / name) for name in context_files() if name.startswith(folders)]
        if step.word != "COPY":
            return []
        *sources, _ = shlex.split(step.text)
        if "from" in step.flags:
            folder = self.make(step.flags["from"]).find(sources[0])
            return [(str(path.relative_to(folder)), path) for path in sorted(folder.rglob("*")) if path.is_file()]
        return [(name if source == "." else pathlib.Path(name).name, REPOSITORY / name)
                for source in sources for name in context_files() if source in (".", name)]

    def _copy_step(self, step, files, image, root):
        target = root / os.path.join(image.workdir, shlex.split(step.text)[-1]).lstrip("/")
        for name, path in files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / name)

    def _run_step(self, step, image, root):
        for mount in step.mounts:
            target = root / mount["target"].lstrip("/")
            target.mkdir(parents=True, exist_ok=True)
            if mount["type"] == "cache":
                source = self._folder / "cache"
                source.mkdir(exist_ok=True)
            else:
                source = self.make(mount["from"]).find(mount["source"]) if "from" in mount else REPOSITORY / mount["source"]
            run("mount", "--bind", "-o", "rw" if mount["type"] == "cache" else "ro", source, target)
        variables = [f"{name}={value}" for name, value in {**os.environ, **image.env}.items()]
        run("chroot", root, "env", "-i", *variables, "/bin/sh", "-c", f"cd {image.workdir} && {step.text}",
            stdin=subprocess.DEVNULL)
        for mount in step.mounts:
            run("umount", root / mount["target"].lstrip("/"))

    def _note(self, step, image):
        if step.word in ("ENV", "ARG"):
            image.env = {**image.env, **dockerfile.assignments(step.text)}
        elif step.word == "USER":
            image.user = step.text
        elif step.word == "WORKDIR":
            image.workdir = step.text
        elif step.word == "ENTRYPOINT":
            image.entrypoint = json.loads(step.text)
        elif step.word == "HEALTHCHECK":
            image.healthcheck = json.loads(step.text.removeprefix("CMD"))
        else:
            assert step.word in ("EXPOSE", "STOPSIGNAL"), step.word
            assert step.word != "STOPSIGNAL" or step.text == "SIGTERM"


def read_images(folder):
    """What `main` has made, by target."""
    described = json.loads((folder / "images.json").read_text())
    return {name: Image(**{**fields, "layers": [pathlib.Path(layer) for layer in fields["layers"]]})
            for name, fields in described.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--build", action="store_true")
    parser.add_argument("images", nargs="+")
    flags = parser.parse_args()
    maker = ImageMaker(flags.folder, flags.build)
    made = {name: dataclasses.asdict(maker.make(name)) for name in flags.images}
    (flags.folder / "images.json").write_text(json.dumps(made, default=str))


if __name__ == "__main__":
    main()
