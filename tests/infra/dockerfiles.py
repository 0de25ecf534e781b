"""The Dockerfile as a builder reads it: stages, each with its instructions, and what an image ends up with."""

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
DOCKER = CHECKOUT / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
IMAGES = ("worker-cpu", "tools", "worker-gpu")
WORKERS = ("worker-cpu", "worker-gpu")
STAGE = re.compile(r"(?P<origin>\S+) AS (?P<name>\S+)")
SETTING = re.compile(r'([\w.]+)=("[^"]*"|\S+)')


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, on one line."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The words of its exec form."""
        found: list[str] = json.loads(self.rest)
        return found

    @property
    def settings(self) -> dict[str, str]:
        """The names that it sets."""
        return {name: value.strip('"') for name, value in SETTING.findall(self.rest)}


@dataclass(frozen=True, slots=True)
class Stage:
    """What is between a FROM and the next."""

    name: str
    origin: str
    instructions: tuple[Instruction, ...]


def instructions_in(text: str) -> list[Instruction]:
    """A Dockerfile's instructions without its comments."""
    uncommented = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    lines = uncommented.replace("\\\n", " ").splitlines()
    return [Instruction(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines)]


@cache
def stages() -> dict[str, Stage]:
    """The stages by their names."""
    found = instructions_in(DOCKERFILE.read_text(encoding="utf-8"))
    starts = [place for place, one in enumerate(found) if one.word == "FROM"]
    named = [STAGE.fullmatch(found[start].rest) for start in starts]
    assert all(named), "every stage needs a name"
    bodies = [tuple(found[start + 1 : end]) for start, end in pairwise([*starts, len(found)])]
    return {match["name"]: Stage(match["name"], match["origin"], body) for match, body in zip(named, bodies, strict=True) if match}


def lineage(name: str) -> list[Instruction]:
    """Every instruction that an image is made by, those of the stages it stands on first."""
    stage = stages().get(name)
    return [] if stage is None else [*lineage(stage.origin), *stage.instructions]


def last(name: str, word: str) -> Instruction:
    """The instruction of a kind that holds for an image."""
    return [one for one in lineage(name) if one.word == word][-1]


def environment_of(name: str) -> dict[str, str]:
    """What an image sets in the environment."""
    return {key: value for one in lineage(name) if one.word == "ENV" for key, value in one.settings.items()}


def shell_commands() -> list[str]:
    """Every command that a step of any stage runs."""
    runs = [one.rest for stage in stages().values() for one in stage.instructions if one.word == "RUN"]
    return [command.strip(" {}") for run in runs for command in re.split(r"&&|\|\||;", run)]
