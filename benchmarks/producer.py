"""What the producer does with a second: lists, reads inventories, plans and publishes; beside boto3 and Celery, paired in one run.

listing
    Keys per second of this process's CPU, from a stand-in for S3 (s3_listing.py) that has a billion objects by arithmetic: boto3's
    paginator, the store's pages, and the producer's source on top of them, by 16 threads, all in columns, with the filters that it
    has always (`source`) and with every filter there is (`filtered`). Ways take turns, another one first in each round, each in
    another folder of 325,000 objects, of which boto3 takes the first; a ratio is the median of the rounds' ratios. `keys_per_second`
    is the source's by the clock.
inventory
    Rows per second of CPU from Parquet files of an S3 Inventory to batches of which each row is known to be wanted or why not; with the
    filter of videos alone, and with every filter there is.
plan
    Videos per second by the clock of a producer in a process of its own, from an inventory to a plan in object storage, and what it sent
    and asked. `plan_bytes_per_video` is of the plan as it lies there.
publish
    Videos per second of this process's CPU into a real Redis: in shards of 64, many to a call, and one message per video by Celery's
    `send_task` over its own transport, which has nothing but the video in it.
requests, dollars_per_billion
    What the stand-in was asked, and what S3 would charge if it were as much for each of a billion videos.
"""

from pathlib import Path

__path__ = [str(Path(__file__).parents[1] / "producer")]
"""Scripts beside this file that import `producer` mean the room, which this file would hide without being a way to it."""

if __name__ == "__main__":
    from producer_table import main

    main()
