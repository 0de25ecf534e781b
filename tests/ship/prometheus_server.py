"""A real Prometheus that scrapes what a test starts, and is asked as Grafana asks it."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from fleet_runs import free_port, running, wait_until

EVERY = "1s"


def found(program: str) -> str:
    """A program of Debian's package; a machine without it has no business here."""
    path = shutil.which(program)
    assert path, f"{program} is not installed: run tests/ship/install.sh"
    return path


@dataclass(frozen=True)
class Prometheus:
    """Where it answers."""

    url: str

    def get(self, path: str, **asked: Any) -> Any:
        """What the API says; an error fails the test with its words."""
        reply = httpx.get(f"{self.url}/api/v1/{path}", timeout=30, params=asked).json()
        assert reply["status"] == "success", (asked, reply)
        return reply["data"]

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def values(self, expression: str, *, begin: float, end: float) -> list[float]:
        """All numbers that a panel would draw, gaps left out."""
        series = self.get("query_range", query=expression, start=begin, end=end, step=1)["result"]
        numbers = [float(value) for one in series for _, value in one["values"]]
        return [number for number in numbers if number == number]  # noqa: PLR0124 - what is not a number is a gap

    def has_seen(self, expression: str) -> bool:
        """Whether there was data in the last minutes."""
        return bool(self.values(expression, begin=time.time() - 300, end=time.time()))

    def label_values(self, metric: str, label: str) -> list[str]:
        """What a variable of a dashboard offers."""
        offered: list[str] = self.get(f"label/{label}/values", **{"match[]": metric})
        return offered


def configuration(rules: Path, targets: Sequence[str]) -> str:
    """Scrapes these, each second, as one fleet."""
    scraped = {"job_name": "framefleet", "static_configs": [{"targets": list(targets), "labels": {"fleet": "tests"}}]}
    often = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
    return yaml.safe_dump({"global": often, "rule_files": [str(rules)], "scrape_configs": [scraped]})


@contextmanager
def prometheus(folder: Path, *, rules: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """Start one that scrapes these targets; nothing of it survives the block."""
    folder.mkdir(parents=True)
    config, address = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    config.write_text(configuration(rules, targets), encoding="utf-8")
    words = [found("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    with running([*words, "--log.level=warn"], folder):
        server = Prometheus(f"http://{address}")
        wait_until(server.answers)
        yield server
