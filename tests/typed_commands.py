"""Runs the command line in this process: to start one of its own may take longer than what the command is about."""

from typer.testing import CliRunner

from fleet.cli import app


def typed(*words: object) -> str:
    """What a command that goes well says to the operator."""
    ended = CliRunner().invoke(app, [str(word) for word in words])
    assert ended.exit_code == 0, ended.output
    return ended.stderr
