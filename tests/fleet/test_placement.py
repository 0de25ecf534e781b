import pytest
from builders import HandmadeJob, letter, line

from fleet.placement import Kind, all_placed, placed
from storage import ObjectMeta

SHARD = "ab" + "0" * 30
PLACES = {
    Kind.CAPTIONS: [f"captions/ab/{SHARD}.jsonl", f"captions/ab/{SHARD}.3.0.jsonl", f"captions/ab/{SHARD}.a.jsonl"],
    Kind.DEAD: [f"dead/ab/{SHARD}-0.json", f"dead/ab/{SHARD}-12.3.json", f"dead/ab/{SHARD}.a.2-0.json"],
    Kind.REDRIVES: [f"redrives/{SHARD}.3.json"],
    Kind.SPLITS: [f"splits/{SHARD}.json"],
}
STRAYS = {
    Kind.CAPTIONS: [
        f"captions/cd/{SHARD}.jsonl",
        f"captions/{SHARD}.jsonl",
        f"captions/ab/{SHARD}.jsonl.zst",
        f"captions/ab/deeper/{SHARD}.jsonl",
        "captions/ab/abc.jsonl",
        "captions/readme.txt",
        f"captions/ab/{SHARD}.A.jsonl",
    ],
    Kind.DEAD: [f"dead/cd/{SHARD}-0.json", f"dead/ab/{SHARD}.json", f"dead/ab/{SHARD}-00.json", f"dead/ab/{SHARD}-0.1.2.json", "dead/x"],
    Kind.REDRIVES: [f"redrives/ab/{SHARD}.3.json", "redrives/x.json", f"redrives/{SHARD}.3"],
    Kind.SPLITS: [f"splits/{SHARD}.jsonl", "splits/.json"],
}


def found(kind: Kind, key: str, suffix: str = "") -> str | None:
    one = placed(ObjectMeta(key, 1, "e"), kind, suffix=suffix)
    return one and one.root


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in PLACES.items() for key in keys])
def test_an_object_where_the_fleet_puts_it_speaks_of_its_root(kind: Kind, key: str) -> None:
    assert found(kind, key) == SHARD


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in STRAYS.items() for key in keys])
def test_an_object_that_lies_anywhere_else_speaks_of_nothing(kind: Kind, key: str) -> None:
    assert found(kind, key) is None


def test_a_compressed_job_has_no_uncompressed_objects() -> None:
    assert found(Kind.CAPTIONS, f"captions/ab/{SHARD}.jsonl.zst", ".zst") == SHARD
    assert found(Kind.CAPTIONS, f"captions/ab/{SHARD}.jsonl", ".zst") is None


def test_everything_comes_in_the_order_of_its_roots_and_strays_apart() -> None:
    handmade, strays = HandmadeJob(), []
    for number in range(12):
        task = handmade.shard(f"{number}.mp4")
        handmade.bury(letter(task))
        if number % 2:
            handmade.commit(task, line(task))
        else:
            handmade.job.ask_redrive(task)
    wrong = f"captions/zz/{task.shard_id}.jsonl"
    for key in (wrong, f"captions/{task.shard_id[:2]}/.{'0' * 32}.part"):
        handmade.job.store.create(key, b"{")
    roots = [one.root for one in all_placed(handmade.job, suffix=str, stray=lambda meta: strays.append(meta.key))]
    assert roots == sorted(roots)
    assert len(roots) == 24
    assert strays == [wrong]
