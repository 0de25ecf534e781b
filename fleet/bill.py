"""What a job costs, by part: pure arithmetic on counts and prices."""

import math

from producer.plan import LARGEST_PART
from producer.shards import LARGEST, shard_size
from schemas.estimate import GIGABYTE, Dollars, Interval, Prices, Requests

SECONDS_PER_HOUR = 3600.0
KEYS_PER_LIST = 1000
"""Of one answer of S3."""


def shards_for(videos: int, *, videos_per_shard: int, seconds_per_video: float, most_seconds: float) -> int:
    """About how many shards so many videos make: they grow with the job, and are cut where they hold too much work."""
    if videos_per_shard:
        return math.ceil(videos / videos_per_shard)
    count, left, ordinal = 0, videos, 0
    while left > 0:
        size = shard_size(ordinal, videos_per_shard=0)
        cuts = min(size, max(1, math.ceil(size * seconds_per_video / most_seconds)))
        groups = math.ceil(left / size) if size == LARGEST else 1
        count, left, ordinal = count + cuts * groups, left - size * groups, ordinal + 1
    return min(count, videos)


def requests_for(*, gets: float, shards: int, letters: float, listed: int) -> Requests:
    """What a job asks of storage: reads of videos, and for each shard a look whether it is done, its object, and its line in one audit."""
    parts = math.ceil(shards / LARGEST_PART)
    pages = math.ceil(listed / KEYS_PER_LIST) + math.ceil((shards + letters) / KEYS_PER_LIST)
    return Requests(get=gets + parts, head=float(shards), put=shards + letters + parts, list=float(pages))


def request_dollars(requests: Requests, prices: Prices) -> float:
    """What requests cost."""
    return ((requests.get + requests.head) * prices.thousand_gets + (requests.put + requests.list) * prices.thousand_puts) / 1000


def bill(
    *, frames: Interval, accelerator_hours: Interval, bytes_read: Interval, caption_bytes: float, requests: Requests, prices: Prices
) -> Dollars:
    """Put prices to it. The ends of the total take every part at its end, since more frames mean more of all of them."""
    hours, read = accelerator_hours.times(prices.accelerator_hour), bytes_read.times(prices.gigabyte_read / GIGABYTE)
    asked, kept = request_dollars(requests, prices), caption_bytes / GIGABYTE * prices.gigabyte_month
    ends = [end_hours + end_read + asked + kept for end_hours, end_read in ((hours.low, read.low), (hours.high, read.high))]
    total = hours.expected + read.expected + asked + kept
    return Dollars(
        accelerators=hours.expected,
        requests=asked,
        bytes=read.expected,
        storage_month=kept,
        total=total,
        low=ends[0],
        high=ends[1],
        per_million_frames=1e6 * total / frames.expected if frames.expected else None,
    )
