"""The producer as a process of its own, which the benchmarks watch, kill and start again: it plans, or plans and feeds a queue."""

import argparse
import json
import os
import resource
import sys
import time
from typing import Any

from processes import rss_mb_peak
from producer_job import spec_of

from broker.app import make_app
from broker.queues import ShardQueue
from producer.enqueue import Manner, feed
from producer.rounds import new_parts
from schemas.job import JobSpec
from storage.job import Job, open_job
from storage.tenure import Pace


def planning(job: Job, spec: JobSpec) -> dict[str, Any]:
    """Plan a source to its end."""
    cpu, begun = cpu_seconds(), time.monotonic()
    headers = [part.header for part in new_parts(job, spec)]
    return {
        "seconds": time.monotonic() - begun,
        "cpu_seconds": cpu_seconds() - cpu,
        "parts": len(headers),
        "shards": sum(header.shards for header in headers),
        "videos": sum(header.videos for header in headers),
        "peak_rss_mb": round(rss_mb_peak(os.getpid())),
    }


def feeding(job: Job, spec: JobSpec, broker: str, manner: Manner) -> dict[str, Any]:
    """Plan, and keep the queue fed, to the source's end."""
    begun = time.monotonic()
    sent = feed(job, new_parts(job, spec), queue=ShardQueue(make_app(broker)), stopped=lambda: False, manner=manner)
    return {"seconds": time.monotonic() - begun, "sent": sent, "peak_rss_mb": round(rss_mb_peak(os.getpid()))}


def cpu_seconds() -> float:
    """CPU of this process so far, and of children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def main() -> None:
    """Do it, and print what it took."""
    parser = argparse.ArgumentParser(description="Plan a source, and feed a queue if one is given.")
    parser.add_argument("source")
    parser.add_argument("job")
    parser.add_argument("--broker", default="")
    parser.add_argument("--save-seconds", type=float, default=Pace().save_seconds, help="how often its lease is written at most")
    asked = parser.parse_args()
    job = open_job(asked.job)
    spec = job.create_spec(spec_of((asked.source,)))
    manner = Manner(pace=Pace(save_seconds=asked.save_seconds))
    print(json.dumps(feeding(job, spec, asked.broker, manner) if asked.broker else planning(job, spec)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
