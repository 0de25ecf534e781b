import pytest

from schemas.errors import OperatorError
from workers.blackbox import PLACES
from workers.media.costs import ReadCosts
from workers.settings import read_settings


def test_reading_costs_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().read_costs == ReadCosts()
    monkeypatch.setenv("FRAMEFLEET_READ_COSTS", "internet")
    assert read_settings().read_costs == ReadCosts(4096)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("READ_COSTS", "cheap", "'cheap' is no cost of reading: say `in-region`"),
        ("SHARDS_AT_ONCE", "0", "greater than or equal to 1"),
        ("SHARDS_AT_ONCE", str(PLACES + 1), f"less than or equal to {PLACES}"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FRAMEFLEET_{name}", value)
    with pytest.raises(OperatorError, match=f"FRAMEFLEET_{name}: .*{says}"):
        read_settings()


def test_a_worker_may_work_as_many_shards_as_its_black_box_has_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEFLEET_SHARDS_AT_ONCE", str(PLACES))
    assert read_settings().shards_at_once == PLACES


def test_engine_arguments_that_are_no_json_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEFLEET_VLLM_ARGS", "{max_num_seqs")
    with pytest.raises(OperatorError, match="FRAMEFLEET_VLLM_ARGS must be a JSON object"):
        read_settings()
