"""The compose file as Compose reads it: variables filled in, and what is not of the specification, or not used here, refused."""

import re
from collections.abc import Mapping
from functools import cache
from itertools import dropwhile
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

FOLDER = Path(__file__).parents[1] / "infra" / "compose"
FILE = FOLDER / "compose.yaml"
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+):-(?P<default>[^}]*)\})")
"""The two forms of a dollar that the file uses: one that stays, and a variable with what it is unless set to something."""
UNITS = {"s": 1, "m": 60, "k": 1 << 10, "M": 1 << 20, "g": 1 << 30}


def filled(value: Any, variables: Mapping[str, str]) -> Any:
    """Fill in variables, wherever text stands."""
    match value:
        case str():
            return VARIABLE.sub(lambda found: found["dollar"] or variables.get(found["name"]) or found["default"], value)
        case list():
            return [filled(one, variables) for one in value]
        case dict():
            return {name: filled(one, variables) for name, one in value.items()}
        case _:
            return value


def variables_in(text: str) -> dict[str, str]:
    """Variables of a text with their defaults; a dollar that is neither a variable nor written twice fails the test."""
    assert "$" not in VARIABLE.sub("", text)
    return {found["name"]: found["default"] for found in VARIABLE.finditer(text) if found["name"]}


def seconds(text: str) -> int:
    assert re.fullmatch(r"\d+[sm]", text), text
    return int(text[:-1]) * UNITS[text[-1]]


def sized(text: str) -> int:
    assert re.fullmatch(r"\d+[kmg]", text), text
    return int(text[:-1]) * UNITS["M" if text[-1] == "m" else text[-1]]


Seconds = Annotated[int, BeforeValidator(seconds)]
Bytes = Annotated[int, BeforeValidator(sized)]


class Strict(BaseModel):
    """Has these keys and no other, of these very types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Port(Strict):
    address: str
    published: int
    target: int

    @classmethod
    def of(cls, text: str) -> "Port":
        address, published, target = text.split(":")
        return cls(address=address, published=int(published), target=int(target))


class Mount(Strict):
    """A folder of this machine, or a named volume, and where a container sees it."""

    source: str
    target: str
    read_only: bool

    @classmethod
    def of(cls, text: str) -> "Mount":
        source, target, *mode = text.split(":")
        assert mode in ([], ["ro"]), text
        return cls(source=source, target=target, read_only=bool(mode))

    @property
    def path(self) -> Path | None:
        """On this machine; None of a named volume."""
        return (FOLDER / self.source).resolve() if self.source.startswith((".", "/")) else None


class Healthcheck(Strict):
    test: list[str]
    interval: Seconds
    timeout: Seconds
    retries: int
    start_period: Seconds = 0


class Need(Strict):
    condition: Literal["service_healthy", "service_completed_successfully"]


class Build(Strict):
    context: str
    dockerfile: str
    target: str
    args: dict[str, str]


class Logging(Strict):
    driver: Literal["local"]
    options: dict[str, str]


class Service(Strict):
    image: Annotated[str, Field(pattern=r"^[a-z/-]+:v?\d+\.\d+\.\d+(-[a-z]+)?$")]
    build: Build | None = None
    entrypoint: list[str] = []
    command: list[str] = []
    environment: dict[str, str] = {}
    user: Annotated[str, Field(pattern=r"^\d+:\d+$")]
    read_only: bool = False
    cap_drop: list[str] = []
    security_opt: list[str] = []
    networks: list[str]
    ports: list[Annotated[Port, BeforeValidator(Port.of)]] = []
    volumes: list[Annotated[Mount, BeforeValidator(Mount.of)]] = []
    tmpfs: list[str] = []
    mem_limit: Bytes
    pids_limit: int
    shm_size: Bytes = 64 << 20
    ulimits: dict[str, int] = {}
    restart: Literal["unless-stopped", "on-failure", "no"]
    stop_grace_period: Seconds = 10
    healthcheck: Healthcheck | None = None
    depends_on: dict[str, Need] = {}
    profiles: list[str] = []
    logging: Logging

    @property
    def words(self) -> list[str]:
        """What runs, without the program that reaps orphans."""
        words = [*self.entrypoint, *self.command]
        return words[words.index("--") + 1 :] if "--" in words else words

    @property
    def tmpfs_paths(self) -> list[str]:
        return [one.partition(":")[0] for one in self.tmpfs]


class Network(Strict):
    internal: bool = False


class Volume(Strict):
    """One that Compose makes, without any option."""


class Composition(Strict):
    name: str
    services: dict[str, Service]
    networks: dict[str, Network]
    volumes: dict[str, Volume]


def document(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file with variables filled in and without what only anchors need."""
    found: dict[str, Any] = filled(yaml.safe_load(FILE.read_text(encoding="utf-8")), variables)
    return {name: value for name, value in found.items() if not name.startswith("x-")}


@cache
def composition(**variables: str) -> Composition:
    """What comes up if these variables are set."""
    return Composition.model_validate(document(variables))


def told_commands() -> list[list[str]]:
    """Words after `docker compose` of each line that the README tells to type."""
    blocks = (FOLDER / "README.md").read_text(encoding="utf-8").split("```")[1::2]
    lines = [line.partition("#")[0].split() for block in blocks for line in block.splitlines()]
    commands = [list(dropwhile(lambda word: "=" in word, line)) for line in lines if line]
    assert all(words[:2] == ["docker", "compose"] for words in commands), commands
    return [words[2:] for words in commands]
