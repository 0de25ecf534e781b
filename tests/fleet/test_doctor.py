import re
import socket
from collections.abc import Iterator

import pytest
from builders import new_store
from pydantic import SecretStr

from broker.embedded import embedded_redis
from fleet.doctor import LIBRARIES, Finding, examine
from workers.media.lock.attacks import ATTACKS
from workers.media.lock.layers import REQUIRED
from workers.settings import WorkerSettings

WELL = WorkerSettings(engine="scripted")


def found(**given) -> dict[str, Finding]:
    given = {"broker_url": None, "store_url": None, "settings": WELL} | given
    return {finding.part: finding for finding in examine(**given)}


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_fleet_that_is_well_is_found_well_and_nothing_is_left_open() -> None:
    store = new_store("run")
    findings = found(store_url=store.url)
    assert list(findings) == ["versions", "broker", "store", "decoder", "engine"]
    assert all(finding.well for finding in findings.values()), findings
    assert all(re.search(rf"{library} \d", findings["versions"].seen) for library in LIBRARIES)
    assert "private redis-server starts" in findings["broker"].seen
    [left] = store.list()
    assert left.key in findings["store"].seen
    assert f"{len(ATTACKS)} attacks from inside failed" in findings["decoder"].seen
    assert all(layer in findings["decoder"].seen for layer in REQUIRED)
    assert "FRAMEFLEET_DECODER_UNLOCKED" not in findings["decoder"].seen
    assert "scripted answers" in findings["engine"].seen


def test_an_override_is_told() -> None:
    finding = found(settings=WorkerSettings(engine="scripted", decoder_unlocked=True))["decoder"]
    assert finding.well
    assert "FRAMEFLEET_DECODER_UNLOCKED is set" in finding.seen


def test_a_store_is_tried_only_where_one_is_named() -> None:
    assert "store" not in found()


def test_a_broker_that_is_named_is_asked() -> None:
    with embedded_redis() as url:
        findings = found(broker_url=url)
    assert findings["broker"].well
    assert findings["broker"].seen.endswith("answers; 0 shards wait")


def test_what_is_ill_is_told_with_what_helps_and_does_not_hide_the_rest(closed_port: int) -> None:
    settings = WorkerSettings(
        engine="openai",
        openai_base_url=f"http://127.0.0.1:{closed_port}/v1",
        openai_api_key=SecretStr("hush"),
        openai_patience_seconds=0.0,
    )
    findings = found(broker_url=f"redis://:hush@127.0.0.1:{closed_port}/0", store_url="ftp://nowhere", settings=settings)
    assert [part for part, finding in findings.items() if not finding.well] == ["broker", "store", "engine"]
    assert "--broker" in findings["broker"].seen
    assert "write s3://" in findings["store"].seen
    assert str(closed_port) in findings["engine"].seen
    assert not any("hush" in finding.seen for finding in findings.values())


def test_a_store_that_cannot_be_written_is_ill(tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    finding = found(store_url=str(tmp_path / "file"))["store"]
    assert not finding.well
    assert "file" in finding.seen
