"""Runs a compose file's services as docker-compose reads them, from the folders that images.py has made."""

import os
import pathlib
import re
import shutil
import subprocess

import yaml

from hosts import Container, Network

# What else a service may say without a part to play here.
IGNORED = {"build", "depends_on", "healthcheck", "ports", "ulimits"}


def read(path, variables):
    """The file with its variables filled in and checked by docker-compose."""
    done = subprocess.run(["docker-compose", "-f", path, "config"], env={"PATH": os.environ["PATH"], **variables}, check=True,
                          capture_output=True, text=True)
    return yaml.safe_load(done.stdout)


def seconds(text):
    """Of a duration such as 1m30s."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", text))


class Deployment:
    """The services of one file as separate hosts; a context manager, which removes them."""

    def __init__(self, config, images, folder):
        self.config = config
        self._images = images
        self._folder = folder
        self._hosts = []
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._networks = {name: Network(name, number) for number, name in enumerate(config["networks"])}
        self.services = {name: self._make_service(name) for name in self._start_order()}
        self._name_hosts()

    def __enter__(self):
        for containers in self.services.values():
            for container in containers:
                container.start()
        return self

    def __exit__(self, *_):
        for part in [*self._hosts, *self._networks.values()]:
            part.remove()

    def stop(self):
        """As `docker compose stop`: a service before those it depends on. Returns exit statuses by container."""
        return {container.name: container.stop() for containers in reversed(self.services.values()) for container in containers}

    def add_client(self, network, mounts):
        """Another host of that network, with the server's image, to run commands on."""
        container = Container("client", self._images["server"], self._folder)
        container.entrypoint, container.command, container.mounts = ["sleep"], ["infinity"], mounts
        container.attach(self._networks[network])
        self._hosts.append(container)
        self._name_hosts()
        container.start()
        return container

    def _start_order(self):
        order = []

        def add(name):
            for other in self.config["services"][name].get("depends_on", {}):
                add(other)
            if name not in order:
                order.append(name)

        for name in self.config["services"]:
            add(name)
        return order

    def _make_service(self, name):
        service = self.config["services"][name]
        count = service.get("deploy", {}).get("replicas", 1)
        return [self._make_container(f"{name}-{number + 1}", dict(service)) for number in range(count)]

    def _make_container(self, name, service):
        container = Container(name, self._images[service.pop("build")["target"]], self._folder)
        container.service = service
        container.env.update(service.pop("environment", {}))
        container.command = service.pop("command", [])
        container.restart = service.pop("restart", "no")
        container.read_only = service.pop("read_only", False)
        container.tmpfs = service.pop("tmpfs", [])
        container.shm_size = service.pop("shm_size", "64m").replace("b", "")
        container.stop_grace_s = seconds(service.pop("stop_grace_period", "10s"))
        container.privileges = {"ALL": ["--bounding-set=-all", "--inh-caps=-all"]}[service.pop("cap_drop")[0]]
        container.privileges += {"no-new-privileges:true": ["--no-new-privs"]}[service.pop("security_opt")[0]]
        for secret in service.pop("secrets", []):
            path = self.config["secrets"][secret["source"]]["file"]
            container.mounts.append((path, f"/run/secrets/{secret['source']}", "ro"))
        for volume in service.pop("volumes", []):
            container.mounts.append(self._volume(container, *volume.split(":")))
        for network in service.pop("networks"):
            container.attach(self._networks[network])
        left = set(service) - IGNORED - {"image", "deploy"}
        assert not left, f"{name}: {left} would be ignored"
        self._hosts.append(container)
        return container

    def _volume(self, container, source, path, mode):
        """A named volume begins with the owner of the folder in the image."""
        if source not in self.config["volumes"]:
            return source, path, mode
        folder = self._folder / "volumes" / source
        if not folder.exists():
            folder.mkdir(parents=True)
            owner = container.image.find(path).stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
        return folder, path, mode

    def _name_hosts(self):
        """Every host knows, by service and by own name, those it shares a network with."""
        service_of = {container.name: name for name, containers in self.services.items() for container in containers}
        for host in self._hosts:
            lines = ["127.0.0.1 localhost"]
            for other in self._hosts:
                lines += [f"{address} {other.name} {service_of.get(other.name, '')}".rstrip()
                          for network, address in other.addresses.items() if network in host.addresses]
            host.write("/etc/hosts", "\n".join(lines) + "\n")
