"""`framefleet flower`: Celery's web monitor on a fleet's broker, behind a password, and without a button that changes anything.

It loads neither engines nor decoders, so that it starts in a second and fits in a small pod.
"""

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from broker.app import make_app
from schemas.errors import FleetError, OperatorError

DEFAULTS = {
    "FLOWER_READ_ONLY": "true",
    "FLOWER_TASKS_COLUMNS": "state,args,result,received,runtime,worker,uuid",  # it would show neither job nor progress
    "FLOWER_MAX_TASKS": "10000",
    "FLOWER_ENABLE_EVENTS": "false",  # workers send them unasked
    "FLOWER_PURGE_OFFLINE_WORKERS": "900",  # spot workers come and go, each under a name of its own
}
"""Flower's settings, unless its own variables say otherwise."""

Broker = Annotated[str, typer.Option("--broker", help="Broker URL: redis://, rediss:// or sentinel://.", envvar="FRAMEFLEET_BROKER_URL")]
Port = Annotated[int, typer.Option(help="Where its pages are.", min=1, max=65535, envvar="FLOWER_PORT")]
Address = Annotated[str, typer.Option(help="On which of this machine's addresses; all if left out.", envvar="FLOWER_ADDRESS")]


def flower(broker: Broker, port: Port = 5555, address: Address = "") -> None:
    """Show workers, shards and how far they are in a browser (Flower). Nothing can be changed there.

    Needs a user and a password in FLOWER_BASIC_AUTH=user:password; other settings of Flower are FLOWER_* variables too.
    """
    refuse_without_flower()
    refuse_without_password()
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    app = make_app(broker)
    with app.connection() as connection:
        say(f"Flower watches {connection.as_uri()} on port {port}.")
    app.start(["--quiet", "flower", f"--port={port}", f"--address={address}"])


def refuse_without_flower() -> None:
    """Refuse to start where Flower is not installed.

    Raises:
        OperatorError: it is not.
    """
    if find_spec("flower") is None:
        raise OperatorError("Flower is not installed here: pip install 'framefleet[flower]'.")


def refuse_without_password() -> None:
    """Refuse to show a fleet to just anybody.

    Raises:
        OperatorError: nobody said who may look.
    """
    if os.environ.get("FLOWER_AUTH"):
        return
    for pair in os.environ.get("FLOWER_BASIC_AUTH", "").split(","):
        user, _, password = pair.partition(":")
        if not (user and password):
            raise OperatorError("Nobody said who may look: set FLOWER_BASIC_AUTH=user:password, or Flower's FLOWER_AUTH with a provider.")


def say(words: str) -> None:
    """Say something to whoever reads the log."""
    sys.stderr.write(f"framefleet: {words}\n")


def run(words: list[str]) -> None:
    """Run the command without the rest of the command line, which takes longer to load; what goes wrong is said in a sentence."""
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(flower)
    try:
        command(words, prog_name="framefleet flower")
    except FleetError as error:
        say(str(error))
        sys.exit(1)


if __name__ == "__main__":
    run(sys.argv[1:])
