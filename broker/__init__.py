"""The queue: Celery on Redis. It is a hint, never the record: it may be wiped at any moment and nothing is lost."""

QUEUE = "framefleet"
TASK = "framefleet.caption_shard"
