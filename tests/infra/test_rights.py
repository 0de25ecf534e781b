"""The AWS policies give what each role needs and nothing more; the unit for bare machines leaves a worker the time to drain."""

import configparser
import json
from typing import Any

import pytest
from rendered import INFRA

POLICIES = sorted((INFRA / "iam").glob("*.json"))
HARMLESS = {"s3:GetObject", "s3:ListBucket", "s3:GetInventoryConfiguration"}


def statements(name: str) -> list[dict[str, Any]]:
    policy = json.loads((INFRA / "iam" / f"framefleet-{name}.json").read_text(encoding="utf-8"))
    assert policy["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def rights(name: str) -> set[tuple[str, str]]:
    """Each right of a policy, and on what."""
    listed = [(one, [one["Action"]] if isinstance(one["Action"], str) else one["Action"]) for one in statements(name)]
    return {(action, one["Resource"].removeprefix("arn:aws:s3:::")) for one, actions in listed for action in actions}


def test_there_is_a_policy_for_each_role() -> None:
    assert [path.stem for path in POLICIES] == ["framefleet-control", "framefleet-models", "framefleet-worker"]


@pytest.mark.parametrize("name", ["control", "models", "worker"])
def test_nobody_deletes_and_only_output_is_written(name: str) -> None:
    for action, resource in rights(name):
        assert action in HARMLESS | {"s3:PutObject"}
        assert action != "s3:PutObject" or resource == "OUTPUT_BUCKET/OUTPUT_PREFIX*"
        assert "*" not in resource.removesuffix("_PREFIX*")


@pytest.mark.parametrize("name", ["control", "models", "worker"])
def test_what_is_listed_is_a_prefix(name: str) -> None:
    for one in statements(name):
        if one["Action"] == "s3:ListBucket":
            bucket = one["Resource"].removeprefix("arn:aws:s3:::").removesuffix("_BUCKET")
            assert one["Condition"] == {"StringLike": {"s3:prefix": f"{bucket}_PREFIX*"}}
        assert one["Effect"] == "Allow"


def test_workers_may_do_what_the_readme_says() -> None:
    source = {("s3:GetObject", "SOURCE_BUCKET/SOURCE_PREFIX*"), ("s3:ListBucket", "SOURCE_BUCKET")}
    output = {(f"s3:{verb}Object", "OUTPUT_BUCKET/OUTPUT_PREFIX*") for verb in ("Get", "Put")} | {("s3:ListBucket", "OUTPUT_BUCKET")}
    assert rights("worker") == source | output
    inventory = {("s3:GetObject", "INVENTORY_BUCKET/INVENTORY_PREFIX*"), ("s3:ListBucket", "INVENTORY_BUCKET")}
    assert rights("control") == rights("worker") | inventory | {("s3:GetInventoryConfiguration", "SOURCE_BUCKET")}


def test_a_machines_unit_drains_a_worker_before_it_kills_it() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    unit.read(INFRA / "systemd" / "framefleet-worker.service")
    service = unit["Service"]
    [grace] = [word for word in service["Environment"].split() if word.startswith("FRAMEFLEET_GRACE_SECONDS=")]
    assert float(service["TimeoutStopSec"]) >= float(grace.partition("=")[2]) + 5
    assert (service["KillMode"], service["KillSignal"]) == ("mixed", "SIGTERM")  # the keeper alone is told, and tells the worker once
    assert service["ExecStart"].endswith("/framefleet worker")
    assert service["NoNewPrivileges"] == "yes"
