"""The house's own rules, held against every file of the checkout."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]
NOT_ROOMS = {"tests", "benchmarks", "infra"}
LONGEST_FILE = 300
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work)/[\w.-]")
REGISTRY_HOST = re.compile(r"\b(?:pypi|files\.pythonhosted|registry\.npmjs|arti(?:factory)|nexus|pkg\.dev)\.", re.IGNORECASE)


def files() -> list[Path]:
    """Every file that is tracked or could be: what git does not ignore, or all but hidden folders where there is no git."""
    if not (CHECKOUT / ".git").exists():
        return [path for path in CHECKOUT.rglob("*") if path.is_file() and not any(part.startswith(".") for part in path.parts)]
    git = [shutil.which("git") or "git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(git, capture_output=True, check=True).stdout.decode().split("\0")
    return [CHECKOUT / name for name in names if name and (CHECKOUT / name).is_file()]


def relative(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def texts() -> dict[str, str]:
    """Every text file's content by its name."""
    bodies = {relative(path): path.read_bytes() for path in files()}
    return {name: body.decode() for name, body in bodies.items() if b"\0" not in body[:8192]}


def sources() -> list[Path]:
    return [path for path in files() if path.suffix == ".py"]


def found(pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern is found, as `file:line: match`."""
    return [
        f"{name}:{number}: {match.group()}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), start=1)
        for match in [pattern.search(line)]
        if match
    ]


def modules_of(contract: dict[str, object]) -> set[str]:
    """Our own modules that a contract names."""
    listed = [*contract.get("modules", ()), *contract.get("source_modules", ())]
    layered = [name.strip() for layer in contract.get("layers", ()) for name in re.split("[|:]", layer)]
    return {*listed, *layered}


def test_imports_keep_the_contracts() -> None:
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    ended = subprocess.run([sys.executable, "-c", lint], cwd=CHECKOUT, capture_output=True, text=True, check=False)  # it silences loggers
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_every_module_that_a_contract_names_is_there(contract: dict[str, object]) -> None:
    places = {name: CHECKOUT / name.replace(".", "/") for name in modules_of(contract)}
    assert [name for name, place in places.items() if not (place.with_suffix(".py").exists() or (place / "__init__.py").exists())] == []


def test_every_room_with_code_has_its_layer() -> None:
    [layers] = [contract for contract in CONTRACTS if contract["type"] == "layers"]
    rooms = {relative(path).partition("/")[0] for path in sources()} - NOT_ROOMS
    assert modules_of(layers) == rooms
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == rooms


def test_every_room_is_packed_and_typed() -> None:
    rooms = set(PROJECT["tool"]["importlinter"]["root_packages"])
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == rooms
    assert set(PROJECT["tool"]["mypy"]["packages"]) == rooms


def test_every_folder_of_a_room_says_what_it_is_for() -> None:
    rooms = set(PROJECT["tool"]["importlinter"]["root_packages"])
    folders = {path.parent for path in sources() if relative(path).partition("/")[0] in rooms}
    silent = [relative(folder) for folder in folders if not (folder / "__init__.py").read_text(encoding="utf-8").startswith('"""')]
    assert silent == []


def test_no_source_file_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_file_is_named_for_what_it_is_not_about() -> None:
    vague = {"utils", "common", "core", "base", "manager", "helpers", "misc"}
    assert [relative(path) for path in sources() if {path.stem, *path.relative_to(CHECKOUT).parts} & vague] == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    assert found(MACHINE_PATH) == []


def test_no_file_names_the_registry_that_its_writer_used() -> None:
    assert found(REGISTRY_HOST) == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in sources() if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names))
