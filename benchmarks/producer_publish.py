"""How many videos a second of CPU publishes: as shards, many to a call, beside one message per video by Celery."""

from dataclasses import dataclass
from typing import Any

import redis
from producer_job import VIDEOS_PER_SHARD, parts
from producer_rates import in_turns, ratios

from broker import QUEUE
from broker.app import App, make_app
from broker.embedded import embedded_redis
from broker.queues import ShardQueue
from schemas.task import ShardTask
from storage.job import Job
from storage.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes the same videos again and again, each time to an empty Redis."""

    redis: "redis.Redis"
    celery: App
    ours: App
    tasks: list[ShardTask]
    videos: int
    """How many of them the one that sends each alone takes."""

    def one_by_one(self) -> int:
        """A message per video, by Celery and its own transport, over one connection."""
        self.redis.flushall()
        videos = [video.model_dump(mode="json") for task in self.tasks for video in task.videos][: self.videos]
        with self.celery.producer_or_acquire() as producer:
            for video in videos:
                self.celery.send_task("caption", args=[video], queue=QUEUE, producer=producer)
        return len(videos)

    def by_shard(self) -> int:
        """Shards, many to a call, each only if it is not there."""
        self.redis.flushall()
        sent = ShardQueue(self.ours).send_all(self.tasks)
        assert sent == len(self.tasks)
        return sum(len(task.videos) for task in self.tasks)

    def bytes_per_video(self) -> float:
        """Memory of the messages in Redis."""
        self.redis.flushall()
        before = int(self.redis.info("memory")["used_memory"])
        videos = self.by_shard()
        return (int(self.redis.info("memory")["used_memory"]) - before) / videos


def measure_publishing(*, videos: int, rounds: int) -> list[dict[str, Any]]:
    """Publish both ways, in turns; shards take twenty times as many videos, since they are too quick to be timed otherwise."""
    job = Job(MemoryStore("published"))
    tasks = [task for _, shards in parts(job, 20 * videos) for task in shards]
    with embedded_redis() as url, redis.Redis(unix_socket_path=url.removeprefix("redis+socket://")) as server:
        publisher = Publisher(server, make_app(f"{url}?transport=celery"), make_app(url), tasks, videos)
        ways = {"shards": publisher.by_shard, "celery": publisher.one_by_one}
        for way in ways.values():
            way()
        rates = in_turns(ways, rounds=rounds)
        memory = round(publisher.bytes_per_video(), 1)
        publisher.celery.close()
        publisher.ours.close()
    unit = {"case": "publishing, videos per CPU-second", "videos_per_shard": VIDEOS_PER_SHARD, "aim": "shards_over_celery at least 20"}
    return [unit | ratios(rates, to="celery") | {"redis_bytes_per_video": memory}]
