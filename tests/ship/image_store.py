"""Images that are built and started by Debian's buildah and podman, in a storage that is the tests' own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
AS_A_CLUSTER_WOULD = (
    "--pull=never",
    "--no-healthcheck",  # podman wants systemd to ask; the tests ask themselves
    "--ulimit=nofile=1024:4096",
    "--ulimit=nproc=1024:4096",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
)
"""What the chart asks of a kubelet; the runtime's default seccomp profile is podman's default too."""


@dataclass(frozen=True, slots=True)
class Images:
    """The built images."""

    env: Mapping[str, str]

    def started(self, image: str, *words: str, options: Sequence[str] = ("--network=none",)) -> subprocess.CompletedProcess[str]:
        """Start an image with the words, and wait for its end."""
        return self.podman("run", "--rm", *AS_A_CLUSTER_WOULD, *options, image, *words)

    def podman(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Have podman do something."""
        return told("podman", "--runtime=runc", "--cgroup-manager=cgroupfs", *words, env=self.env)

    def inspected(self, image: str) -> dict[str, Any]:
        """What an image says of itself."""
        [found] = json.loads(self.podman("image", "inspect", image).stdout)
        return dict(found)


@contextmanager
def own_store(folder: Path) -> Iterator[Mapping[str, str]]:
    """An environment in which buildah and podman keep everything in the folder, which is empty again afterwards."""
    env = os.environ | {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "BUILDAH_ISOLATION": "chroot", "BUILDER": "buildah"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    _configure(folder, driver="overlay")
    if told("buildah", "info", env=env).returncode:
        _configure(folder, driver="vfs")
    try:
        yield env
    finally:
        told("podman", "rm", "--all", "--force", "--time=0", env=env)
        told("buildah", "rm", "--all", env=env)
        told("umount", str(folder / "graph" / "overlay"), env=env)
        shutil.rmtree(folder, ignore_errors=True)


def told(program: str, *words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program, and keep what it says."""
    path = shutil.which(program)
    assert path is not None, f"there is no {program} here: tests/ship/install.sh brings it"
    return subprocess.run([path, *words], env=env, capture_output=True, text=True, check=False)


def _configure(folder: Path, *, driver: str) -> None:
    text = f'[storage]\ndriver = "{driver}"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    (folder / "storage.conf").write_text(text, encoding="utf-8")


def run_script(script: str, *words: str, env: Mapping[str, str]) -> str:
    """Run one of docker/'s scripts; returns what it wrote.

    Raises:
        AssertionError: it failed; with the last of what it wrote.
    """
    command = [str(CHECKOUT / "docker" / script), *words]
    ended = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:]
    return ended.stdout


def ways_to_registries() -> list[str]:
    """How this machine reaches package registries, as options of the scripts."""
    conf = Path(os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf"))
    certificates = os.environ.get("SSL_CERT_FILE")
    return [*(["--pip-conf", str(conf)] if conf.exists() else []), *(["--ca", certificates] if certificates else [])]
