"""Command lines and variables that deployments hand to the programs, read with the programs' own parsers."""

from typing import Any

import typer

from fleet import health
from fleet.cli import app as command_line
from workers.settings import WorkerSettings

UsageError = typer.BadParameter.__base__ or Exception  # typer brings a click of its own, and does not name this one
COMMANDS = typer.main.get_group(command_line)
SETTINGS = {f"FRAMEFLEET_{name.upper()}" for name in WorkerSettings.model_fields}


def understands(words: list[str]) -> None:
    """Have the command line read the words after `framefleet` as it would, and do nothing.

    Raises:
        Exception: it would not.
    """
    if words[0] == "health":  # `fleet.entry` answers it before the command line is loaded
        health.parser().parse_args(words[1:])
        return
    command: Any = COMMANDS.commands[words[0]]
    command.make_context(words[0], words[1:])


def default_of(command: str, option: str) -> Any:
    """What an option is unless it is given."""
    [found] = [one for one in COMMANDS.commands[command].params if one.name == option]
    return found.default


def options_in_environment() -> set[str]:
    """The variables by which options of commands can be given."""
    commands = [*COMMANDS.commands.values()]
    return {str(option.envvar) for command in commands for option in command.params if getattr(option, "envvar", None)}
