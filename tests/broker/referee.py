"""Sees every move, and knows what must never happen, from Redis and storage alone."""

from collections import Counter
from typing import Any

from broker import QUEUE
from broker.claims import Command, list_of
from broker.queues import message_id
from broker.scripts import CLAIMS, INDEX, ONCE, ORIGINS
from broker.turns import TOKEN, TURNS
from fleet.audit import audit
from fleet.family import families
from schemas.job import JobSpec
from schemas.task import ShardTask, root_of
from storage.job import Job
from workers.descendants import remainder


class Referee:
    """Raises AssertionError at the first thing that must not be."""

    def __init__(self, redis: Any, objects: dict[str, bytes]) -> None:
        """Watch a Redis, and the objects of a store."""
        self.forgetful = False
        """Whether Redis has forgotten something: then the queue alone need not lead to the end."""
        self._redis, self._objects = redis, objects
        self._tags: set[str] = set()
        self._before: dict[str, bytes] = {}

    def hand_out(self, tag: str) -> None:
        """A claim was taken."""
        assert tag not in self._tags, f"the tag {tag} was used before"
        self._tags.add(tag)

    def fenced(self, tag: str, command: Command) -> Any:
        """Run a command about one claim, which must leave all others as they are."""
        before = self._others(tag)
        answer = self._redis.execute_command(*command)
        assert self._others(tag) == before, f"a command about {tag} touched another's claim"
        return answer

    def nothing_lost(self, job: Job, spec: JobSpec, task: ShardTask, there: frozenset[str]) -> None:
        """A message has ended: its shard must be committed, and what it leaves open must wait or be claimed."""
        if self.forgetful:
            return
        assert job.is_committed(task.shard_id, spec), f"{task.shard_id} was acknowledged before it was committed"
        family = message_id(task.job, root_of(task.shard_id))
        assert not remainder(job, task) or any(name.startswith(family) for name in there), f"{task.shard_id} left work that nobody has"

    def look(self) -> None:
        """Look at everything between two moves."""
        self._look_at_claims()
        for key, body in self._before.items():
            assert self._objects.get(key) == body, f"{key} was changed"
        self._before = dict(self._objects)

    def _look_at_claims(self) -> None:
        claimed, origins, index, names, once, line, jobs = (
            self._redis.pipeline()
            .hgetall(CLAIMS)
            .hkeys(ORIGINS)
            .zrange(INDEX, 0, -1)
            .hkeys(CLAIMS)
            .smembers(ONCE)
            .lrange(QUEUE, 0, -1)
            .zrange(QUEUE + TURNS, 0, -1)
            .execute()
        )
        assert sorted(origins) == sorted(index) == sorted(names)
        waiting = [message for job in jobs for message in self._redis.lrange(list_of(QUEUE, job.decode()), 0, -1)]
        assert line == [TOKEN.encode()] * len(waiting), "there are not as many tokens as messages"
        ids = Counter(id_in(message) for message in (*claimed.values(), *waiting))
        assert not [name for name, count in ids.items() if count > 1], "a shard waits or is claimed more than once"
        assert ids.keys() == once

    def _others(self, tag: str) -> dict[bytes, Any]:
        claims, index = self._redis.hgetall(CLAIMS), dict(self._redis.zrange(INDEX, 0, -1, withscores=True))
        return {name: (body, index[name]) for name, body in claims.items() if name != tag.encode()}


def id_in(message: bytes) -> bytes:
    """The id in a message, cut out: much faster than parsing."""
    return message.partition(b'"id": "')[2].partition(b'"')[0]


def judge(job: Job, frames: dict[str, int]) -> None:
    """At rest: each planned frame has exactly one line or one letter that stands, and an audit says so."""
    told: Counter[tuple[str, int]] = Counter()
    for family in families(job):
        for _, record in family.lines:
            told[record.video.uri, record.frame_index] += 1
        for letter in family.live_letters().values():
            indexes = range(frames[letter.video.uri]) if letter.frame_index is None else (letter.frame_index,)
            captioned = {r.frame_index for _, r in family.lines if r.video.uri == letter.video.uri} if letter.frame_index is None else set()
            told.update((letter.video.uri, index) for index in indexes if index not in captioned)
    report = audit(job)
    assert (report.complete, report.clean) == (True, True), report.findings
    assert told == {(uri, index): 1 for uri, count in frames.items() for index in range(count)}
