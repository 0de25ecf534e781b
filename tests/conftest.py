"""Servers that tests share, started by the tests themselves."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from s3_server import S3Server


@pytest.fixture(scope="session")
def s3_server() -> "Iterator[S3Server]":
    """One S3 server for all tests; faults and requests are forgotten between the tests that use `s3_bucket`."""
    from s3_server import S3Server  # noqa: PLC0415 - moto takes a second to import, which tests without a server need not wait for

    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3_bucket(s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A fresh bucket, as `s3://name`, in an environment that leads boto3 to it."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"test-{uuid.uuid4().hex}"
    s3_server.create_bucket(bucket)
    s3_server.forget()
    yield f"s3://{bucket}"
    s3_server.forget()
