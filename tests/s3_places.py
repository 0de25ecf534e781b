"""Puts objects into a test's bucket and reads them back, past the fleet."""

from collections.abc import Mapping

from s3_server import S3Server


def upload(server: S3Server, bucket: str, found: Mapping[str, bytes]) -> None:
    for key, body in found.items():
        server.client().put_object(Bucket=bucket.removeprefix("s3://"), Key=key, Body=body)


def bodies(server: S3Server, bucket: str, prefix: str = "") -> dict[str, bytes]:
    """All objects below a prefix, by their keys."""
    name, client = bucket.removeprefix("s3://"), server.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key: client.get_object(Bucket=name, Key=key)["Body"].read() for key in keys}


def etag(server: S3Server, uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return str(server.client().head_object(Bucket=bucket, Key=key)["ETag"])
