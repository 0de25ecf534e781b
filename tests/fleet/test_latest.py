import json

import pytest
from builders import RECIPE, HandmadeJob, WatchedStore, film, line, lines, overwrite, spec_of

from fleet.latest import latest_lines
from producer.rounds import new_parts
from schemas.job import JobSpec, Why
from schemas.recipe import KeyframePolicy
from schemas.task import ShardTask
from storage.job import Job

OTHER = RECIPE.model_copy(update={"keyframes": KeyframePolicy(min_gap_seconds=9)})


class ReadStore(WatchedStore):
    """A store that remembers what was read whole."""

    def get(self, key: str) -> bytes:
        self.events.append(key)
        return super().get(key)


@pytest.fixture
def handmade() -> HandmadeJob:
    made = HandmadeJob()
    made.shard("a.mp4", "b.mp4"), made.shard("c.mp4")
    made.complete()
    for task in planned(made, 0):
        made.commit(task, *lines(task, 2), *(line(task, place=place) for place in range(1, len(task.videos))))
    return made


def planned(handmade: HandmadeJob, number: int) -> list[ShardTask]:
    return [task for part in handmade.job.ledger().parts() if part.header.round == number for task in part.shards]


def look(handmade: HandmadeJob, spec: JobSpec, why: Why) -> list[ShardTask]:
    sources = {"sources": (handmade.source.url,)}
    handmade.job.store._objects["run/job.json"] = handmade.spec.model_copy(update=sources).model_dump_json().encode()
    return [task for part in new_parts(handmade.job, spec.model_copy(update=sources), why=why) for task in part.shards]


def read(handmade: HandmadeJob) -> list[tuple[str, str, str]]:
    rows = [json.loads(found) for found in latest_lines(handmade.job)]
    return sorted((row["video"]["uri"].rpartition("/")[2], row["video"]["etag"], row["recipe_id"]) for row in rows)


def test_the_lines_of_a_job_of_one_look_are_read_as_they_lie_there(handmade: HandmadeJob) -> None:
    raw = [found for _, meta in handmade.job.committed() for found in handmade.job.lines(meta)]
    assert list(latest_lines(handmade.job)) == raw
    assert len(raw) == 5


def test_a_video_that_was_captioned_by_a_newer_recipe_is_read_as_that_has_it(handmade: HandmadeJob) -> None:
    again = look(handmade, spec_of(OTHER), Why.STALE)
    [done] = [task for task in again if task.videos[0].uri.endswith("a.mp4")]
    handmade.commit(done, line(done, recipe_id=done.recipe_id))
    recipes = {(name, recipe_id) for name, _, recipe_id in read(handmade)}
    assert recipes == {("a.mp4", OTHER.recipe_id), ("b.mp4", RECIPE.recipe_id), ("c.mp4", RECIPE.recipe_id)}
    assert [name for name, _, _ in read(handmade)] == ["a.mp4", "b.mp4", "c.mp4", "c.mp4"]


def test_a_video_that_has_changed_is_read_in_its_latest_version(handmade: HandmadeJob) -> None:
    before = handmade.source.head("c.mp4").etag
    overwrite(handmade.source, "c.mp4", b"cut anew")
    film(handmade.source, "d.mp4")
    again = look(handmade, spec_of(), Why.ADDED)
    assert {etag for name, etag, _ in read(handmade) if name == "c.mp4"} == {before}
    for task in again:
        handmade.commit(task, *(line(task, place=place) for place in range(len(task.videos))))
    assert {etag for name, etag, _ in read(handmade) if name == "c.mp4"} == {handmade.source.head("c.mp4").etag}
    assert [name for name, _, _ in read(handmade)] == ["a.mp4", "a.mp4", "b.mp4", "c.mp4", "d.mp4"]


def test_a_line_is_shown_before_the_next_shard_is_read(handmade: HandmadeJob) -> None:
    look(handmade, spec_of(OTHER), Why.STALE)
    store = ReadStore(handmade.job.store, [])
    found = latest_lines(Job(store))
    next(found)
    assert len([key for key in store.events if key.startswith("captions/")]) == 1
    assert len(list(found)) == 4
