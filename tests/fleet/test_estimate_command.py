import json

import pytest
import typer
from builders import HandmadeJob, line
from clips import make
from fleet_runs import SLIDES
from typer.testing import CliRunner

from fleet.estimate_command import plan
from schemas.errors import OperatorError
from schemas.estimate import Estimate

app = typer.Typer()
app.command()(plan)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.delenv("FRAMEFLEET_READ_COSTS", raising=False)
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").write_bytes(make(SLIDES))
    return tmp_path / "films"


def estimated(*words: object) -> Estimate:
    ended = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return Estimate.model_validate(json.loads(ended.stdout))


def test_options_reach_the_estimate(source):
    found = estimated(source, "--price", 3, "--max-frames", 2, "--frames-per-second", 10, "--get-price", 5, "--read-costs", "internet")

    assert found.frames.expected == 2
    assert found.work.seconds_per_frame == 0.1
    prices = found.prices
    assert (prices.accelerator_hour, prices.thousand_gets, prices.gigabyte_read) == (3, 5, 0.09)
    assert estimated(source, "--price", 3, "--read-costs", "internet", "--read-price", 0.01).prices.gigabyte_read == 0.01


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--like", "/nowhere"], "There is no job"),
        (["--accelerators", 2], "--like"),
        (["--read-costs", "cheap"], "in-region"),
        (["--include", "nothing*"], "has no videos"),
    ],
)
def test_what_cannot_be_estimated_is_said_in_a_sentence(source, options, said):
    with pytest.raises(OperatorError, match=said):
        estimated(source, "--price", 2, *options)


def test_a_job_without_records_teaches_nothing(source):
    made = HandmadeJob()
    with pytest.raises(OperatorError, match="no records yet"):
        estimated(source, "--price", 2, "--like", made.job.url)

    task = made.task(made.film("a.mp4"))
    made.commit(task, line(task))
    assert estimated(source, "--price", 2, "--like", made.job.url).caption_bytes > 0
