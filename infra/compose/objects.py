"""Makes buckets, and puts a folder into one: `make BUCKET…`, `put FOLDER s3://BUCKET/PREFIX`."""
# ruff: noqa: INP001 - a program that containers mount, in no room of the house

import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def make(*names: str) -> None:
    """Make these buckets; one that is there stays as it is."""
    store = boto3.client("s3")
    for name in names:
        try:
            store.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in THERE:
                raise
        sys.stdout.write(f"s3://{name} is there.\n")


def put(folder: str, place: str) -> None:
    """Put every file of the folder and of folders in it below the place, over what is there."""
    root, store = Path(folder), boto3.client("s3")
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    if not files:
        sys.exit(f"There is no file in {folder}: say in VIDEOS which folder of this machine it is.")
    for path in files:
        key = f"{prefix}{path.relative_to(root)}"
        store.upload_file(str(path), bucket, key)
        sys.stdout.write(f"s3://{bucket}/{key}\n")


def main(words: list[str]) -> None:
    """Do what the words say."""
    match words:
        case ["make", *names] if names:
            make(*names)
        case ["put", folder, place] if place.startswith("s3://"):
            put(folder, place)
        case _:
            sys.exit(f"Say one of these.\n{__doc__}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The store refused: {error} Look at: docker compose logs s3")
