"""Containers without an engine: a folder, a network namespace of its own, no other processes in sight.

Must run in a mount and a network namespace of its own, whose end is the end of whatever was made here.
"""

import itertools
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import threading
import time

from images import run

PRIVATE_MOUNTS = ["null", "zero", "full", "random", "urandom"]


def _children(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


class Network:
    """A bridge with a subnet; hosts are attached one by one."""

    _links = itertools.count()  # interfaces of a removed namespace live on for a moment: no name comes twice

    def __init__(self, name, number):
        self._bridge = f"br{next(self._links)}"
        self._subnet = f"10.77.{number}"
        self._hosts = 0
        self.name = name
        run("ip", "link", "add", self._bridge, "type", "bridge")
        run("ip", "link", "set", self._bridge, "up")

    def attach(self, namespace):
        """Gives the namespace an interface; returns its address."""
        self._hosts += 1
        address = f"{self._subnet}.{self._hosts + 1}"
        link = next(self._links)
        inside, outside = f"eth{link}", f"veth{link}"
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside)
        run("ip", "link", "set", inside, "netns", namespace)
        run("ip", "link", "set", outside, "master", self._bridge, "up")
        run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", inside)
        run("ip", "-n", namespace, "link", "set", inside, "up")
        return address

    def remove(self):
        run("ip", "link", "delete", self._bridge)


class Container:
    """One container: an image's layers, a writable one, mounts, a host name, addresses; restarted by its policy."""

    def __init__(self, name, image, folder):
        self.name = name
        self.image = image
        self.entrypoint = image.entrypoint
        self.command = []
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": name, **image.env}
        self.mounts = []  # (what, path inside, ro or rw)
        self.tmpfs = []
        self.shm_size = "64m"
        self.read_only = False
        self.privileges = []  # options of setpriv
        self.restart = "no"
        self.stop_grace_s = 10
        self.addresses = {}  # by network
        self.restarts = 0
        self._folder = folder / name
        self._namespace = name
        self._stopping = threading.Event()
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)
        for part in ("upper", "work", "root"):
            (self._folder / part).mkdir(parents=True)
        run("ip", "netns", "add", self._namespace)
        run("ip", "-n", self._namespace, "link", "set", "lo", "up")

    def attach(self, network):
        self.addresses[network.name] = network.attach(self._namespace)

    def write(self, path, text):
        """Puts a file into the writable layer."""
        file = self._folder / "upper" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def start(self):
        """What it prints goes to the file `log` in its folder."""
        self._spawn()
        threading.Thread(target=self._keep, daemon=True).start()

    def execute(self, *command):
        """What `docker exec` does: a command in the running container, as its user. Returns the finished process."""
        inside = ["nsenter", "--target", str(self.pid()), "--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd"]
        return subprocess.run([*inside, *self._as_user(), *command], capture_output=True, text=True, check=False)

    def pid(self):
        """Of the container's first process; 0 until there is one."""
        return next(iter(_children(self._process.pid)), 0)

    def children(self):
        """Process ids of the first process's children."""
        return _children(self.pid())

    def kill(self):
        os.kill(self.pid(), signal.SIGKILL)

    def stop(self):
        """Returns the exit status; -SIGKILL if the time of grace was not enough."""
        self._stopping.set()
        if self._process.poll() is None:
            os.kill(self.pid(), signal.SIGTERM)
        try:
            return self._process.wait(self.stop_grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return -signal.SIGKILL

    def remove(self):
        if self._process is not None and self._process.poll() is None:
            self._stopping.set()
            self._process.kill()
            self._process.wait()
        run("ip", "netns", "delete", self._namespace)

    def _spawn(self):
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self._namespace, "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork",
                 "--kill-child", "sh", "-c", self._script()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        program = [*self.entrypoint, *self.command][0]
        while self._process.poll() is None and not self._runs(program):
            time.sleep(0.01)

    def _runs(self, program):
        try:
            with open(f"/proc/{self.pid()}/comm", encoding="ascii") as name:
                return name.read().strip() == program[:15]
        except FileNotFoundError:
            return False

    def _keep(self):
        """The restart policies, with an engine's waits: 0.1 s, doubled until a run has lasted 10 s."""
        wait_s = 0.1
        while True:
            started = time.monotonic()
            status = self._process.wait()
            again = self.restart in ("always", "unless-stopped") or (self.restart == "on-failure" and status != 0)
            wait_s = 0.1 if time.monotonic() - started > 10 else wait_s
            if not again or self._stopping.wait(wait_s):
                return
            wait_s *= 2
            self.restarts += 1
            self._spawn()

    def _as_user(self):
        user, group = self.image.user.split(":")
        return ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", *self.privileges,
                "env", "-i", *(f"{name}={value}" for name, value in self.env.items())]

    def _script(self):
        root = self._folder / "root"
        layers = ":".join(map(str, self.image.layers))
        commands = [["hostname", self.name],
                    ["mount", "-t", "overlay", "overlay", "-o",
                     f"lowerdir={layers},upperdir={self._folder / 'upper'},workdir={self._folder / 'work'}", root],
                    ["mount", "-t", "proc", "proc", root / "proc"],
                    ["mount", "-t", "tmpfs", "tmpfs", root / "dev"],
                    ["mkdir", root / "dev/shm"],
                    ["mount", "-t", "tmpfs", "-o", f"size={self.shm_size}", "tmpfs", root / "dev/shm"]]
        binds = [(f"/dev/{name}", f"/dev/{name}", "rw") for name in PRIVATE_MOUNTS]
        for what, path, mode in binds + self.mounts:
            inside = root / path.lstrip("/")
            commands.append(["mkdir", "-p", inside if os.path.isdir(what) else inside.parent])
            if not os.path.isdir(what):
                commands.append(["touch", inside])
            commands.append(["mount", "--bind", "-o", mode, what, inside])
        for path in self.tmpfs:
            commands.append(["mount", "-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", root / path.lstrip("/")])
        if self.read_only:
            commands.append(["mount", "-o", "remount,ro", root])
        commands.append(["exec", "chroot", root, *self._as_user(), *self.entrypoint, *self.command])
        return "set -e\n" + "\n".join(shlex.join(map(str, command)) for command in commands)
