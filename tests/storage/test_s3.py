"""What only S3 does: refuse, stumble, conflict, list in pages, and hold keys that few others would."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from s3_server import S3Server
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from schemas.errors import OperatorError
from storage import ObjectChanged, ObjectDenied, ObjectMissing, Store, StoreError, StoreUnavailable, open_store
from storage.s3 import _region_of

STRANGE_KEYS = ["/lead", "a//b", "a/./b", "./x", "../x", "c/..", "tab\tx", "del\x7f"]


@pytest.fixture
def store(s3_bucket: str) -> Store:
    return open_store(s3_bucket)


def put(server: S3Server, uri: str, body: bytes) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    server.client().put_object(Bucket=bucket, Key=key, Body=body)


def reads(store: Store, key: str) -> list[Any]:
    return [
        lambda: store.head(key),
        lambda: store.get(key),
        lambda: store.get_range(key, start=0, end=1),
        lambda: store.get_range(key, start=1, end=1),
    ]


@pytest.mark.parametrize("key", ["secret", "se//cret"])
def test_a_denied_object_is_denied(store: Store, s3_server: S3Server, key: str) -> None:
    put(s3_server, f"{store.url}/{key}", b"x")
    s3_server.denied.add(f"{store.url}/{key}")
    for read in reads(store, key):
        with pytest.raises(ObjectDenied, match=f"{store.url}/{key}"):
            read()


def test_a_denied_write_and_a_denied_listing_are_denied(store: Store, s3_server: S3Server) -> None:
    s3_server.denied |= {f"{store.url}/new", store.url}
    with pytest.raises(ObjectDenied):
        store.create("new", b"x")
    with pytest.raises(ObjectDenied):
        store.replace("new", b"x")
    with pytest.raises(ObjectDenied):
        next(store.list())


@pytest.mark.parametrize("key", ["v.mp4", "a//v.mp4"])
def test_a_bucket_that_does_not_exist_is_missing(store: Store, key: str) -> None:
    nowhere = open_store(f"{store.url}-not")
    for read in [*reads(nowhere, key), lambda: next(nowhere.list()), lambda: nowhere.create("new", b"x")]:
        with pytest.raises(ObjectMissing):
            read()


def test_a_store_that_stumbles_is_asked_again(store: Store, s3_server: S3Server) -> None:
    s3_server.fail = {f"{store.url}/a": 2, store.url: 1}
    assert store.create("a", b"bytes")
    s3_server.fail[f"{store.url}/a"] = 2
    store.replace("a", b"bytes")
    s3_server.fail[f"{store.url}/a"] = 2
    assert store.get_range("a", start=1, end=3) == b"yt"
    assert [meta.key for meta in store.list()] == ["a"]


def test_a_store_that_goes_on_stumbling_is_unavailable(store: Store, s3_server: S3Server) -> None:
    s3_server.fail[f"{store.url}/a"] = 99
    with pytest.raises(StoreUnavailable, match=f"{store.url}/a"):
        store.create("a", b"bytes")


def test_a_dead_endpoint_is_reported_soon(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = open_store(s3_bucket)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.head("a")
    with pytest.raises(StoreUnavailable):
        next(store.list())
    assert time.monotonic() - started < 30


def test_a_write_whose_answer_was_lost_is_ones_own(store: Store, s3_server: S3Server) -> None:
    s3_server.lose_answer[f"{store.url}/a"] = 1
    assert store.create("a", b"bytes")
    assert [method for method, _ in s3_server.requests] == ["PUT", "PUT", "HEAD"]


def test_a_conflict_with_a_writer_who_lost_is_tried_again(store: Store, s3_server: S3Server) -> None:
    s3_server.conflict[f"{store.url}/a"] = 1
    s3_server.requests.clear()
    assert store.create("a", b"bytes")
    assert store.get("a") == b"bytes"


def test_a_conflict_without_end_is_reported(store: Store, s3_server: S3Server) -> None:
    s3_server.conflict[f"{store.url}/a"] = 99
    with pytest.raises(StoreUnavailable):
        store.create("a", b"bytes")


def test_a_replacement_is_one_write_whose_bytes_are_ones_own(store: Store, s3_server: S3Server) -> None:
    store.create("a", b"old")
    s3_server.requests.clear()
    store.replace("a", b"bytes")
    assert [method for method, _ in s3_server.requests] == ["PUT"]
    assert store.create("a", b"bytes")
    assert [method for method, _ in s3_server.requests] == ["PUT", "PUT", "HEAD"]


def test_bytes_that_carry_no_checksum_are_compared(store: Store, s3_server: S3Server) -> None:
    put(s3_server, f"{store.url}/a", b"bytes")
    assert store.create("a", b"bytes")
    assert not store.create("a", b"other")


def test_a_large_body_is_one_conditional_write(store: Store, s3_server: S3Server) -> None:
    body = os.urandom(40 << 20)
    assert store.create("large", body)
    assert s3_server.requests == [("PUT", f"{store.url}/large")]
    assert not store.create("large", body[:-1])
    assert store.head("large").size_bytes == len(body)


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_a_strange_key_of_somebody_elses_is_listed_and_read(store: Store, s3_server: S3Server, key: str) -> None:
    put(s3_server, f"{store.url}/{key}", b"strange")
    put(s3_server, f"{store.url}/plain", b"x")
    assert sorted(meta.key for meta in store.list()) == sorted([key, "plain"])
    meta = store.head(key)
    assert meta in list(store.list())
    assert store.get(key) == b"strange"
    assert store.get_range(key, start=2, end=99, etag=meta.etag) == b"range"
    assert store.get_range(key, start=7, end=99, etag=meta.etag) == b""
    with pytest.raises(ObjectChanged):
        store.get_range(key, start=0, end=9, etag='"0"')
    for write in (store.create, store.replace):
        with pytest.raises(OperatorError, match="choose a name"):
            write(key, b"x")


def test_markers_of_folders_are_no_objects(store: Store, s3_server: S3Server) -> None:
    for key in ("folder/", "folder/v.mp4", "other/"):
        put(s3_server, f"{store.url}/{key}", b"")
    assert [meta.key for meta in store.list()] == ["folder/v.mp4"]
    assert [meta.key for meta in open_store(f"{store.url}/folder").list()] == ["v.mp4"]


def test_a_listing_asks_for_a_page_when_its_turn_comes(store: Store, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    everything = [f"a b/{n}+" for n in range(8)]
    for key in everything:
        store.create(key, b"x")
    s3_server.requests.clear()
    listing = store.list("a b/")
    first = [next(listing).key for _ in range(3)]
    assert len(s3_server.requests) == 1
    assert first + [meta.key for meta in listing] == everything
    assert len(s3_server.requests) == 3
    assert [meta.key for meta in store.list(start_after="a b/1+")] == everything[2:]


def test_a_page_has_what_s3_says_of_each_object(store: Store, s3_server: S3Server) -> None:
    bucket = store.url.removeprefix("s3://")
    s3_server.client().put_object(Bucket=bucket, Key="cold & far/ü.mp4", Body=b"12345", StorageClass="GLACIER")
    [page] = open_store(f"{store.url}/cold & far").pages()
    meta = s3_server.client().head_object(Bucket=bucket, Key="cold & far/ü.mp4")
    assert (page.keys, page.sizes, page.etags, page.classes) == (["ü.mp4"], [5], [meta["ETag"]], ["GLACIER"])
    assert datetime.fromisoformat(page.modified[0]).replace(microsecond=0) == meta["LastModified"]


def test_a_page_of_nothing_but_markers_is_not_shown(store: Store, s3_server: S3Server) -> None:
    for key in ("a/", "b/", "b/v.mp4", "c/"):
        put(s3_server, f"{store.url}/{key}", b"")
    assert [page.keys for page in store.pages(most=1)] == [["b/v.mp4"]]


ENDED, GOES_ON = "<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated>"
ANSWERS = {
    "is no XML": "what",
    "is another's": "<html></html>",
    "is broken off in its objects": f"<ListBucketResult>{ENDED}<Contents><Key>a</Key><Si",
    "is broken off behind its objects": f"<ListBucketResult>{ENDED}",
    "has a size that is no number": f"<ListBucketResult>{ENDED}<Contents><Key>a</Key><Size>?</Size></Contents></ListBucketResult>",
    "does not say whether it goes on": "<ListBucketResult></ListBucketResult>",
    "goes on from nowhere": f"<ListBucketResult>{GOES_ON}</ListBucketResult>",
    "goes on for ever": f"<ListBucketResult>{GOES_ON}<NextContinuationToken>t</NextContinuationToken></ListBucketResult>",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_listing_that_makes_no_sense_is_no_end_of_it(answer: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with canned(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        store = open_store(s3_bucket)
        with pytest.raises(StoreUnavailable, match=s3_bucket):
            list(store.pages())


def test_a_token_that_the_server_tells_back_is_not_told_on(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = "<Error><Code>ExpiredToken</Code><Message>It has expired.</Message><Token-0>IQoJb3JpZ2luX2VjE</Token-0></Error>"
    with canned(answer, status=400) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        store = open_store(s3_bucket)
        for ask in (lambda: store.get("a"), lambda: store.create("a", b"x")):
            with pytest.raises(StoreError, match="ExpiredToken") as caught:
                ask()
            assert "IQoJ" not in str(caught.value)


@contextmanager
def canned(answer: str, *, status: int = 200) -> Iterator[str]:
    """A server that gives the same answer to everything."""
    app = Response(answer, status, content_type="application/xml")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_bucket_of_another_region_is_found_there(s3_server: S3Server, s3_bucket: str) -> None:
    elsewhere = s3_bucket.removeprefix("s3://") + "-elsewhere"
    s3_server.create_bucket(elsewhere, region="eu-west-1")
    assert _region_of(elsewhere, s3_server.client()) == "eu-west-1"
    assert _region_of("not-" + elsewhere, s3_server.client()) == "us-east-1"


@pytest.fixture
def without_keys(s3_bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return s3_bucket


def test_no_credentials_is_said_with_what_to_do(without_keys: str) -> None:
    with pytest.raises(OperatorError, match="AWS_PROFILE"):
        open_store(without_keys)


def test_a_profile_that_does_not_exist_is_said(without_keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(OperatorError, match="nobody"):
        open_store(without_keys)


def test_a_profile_says_who_and_where_we_are(
    without_keys: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = "aws_access_key_id = me\naws_secret_access_key = mine\n"
    (tmp_path / "config").write_text(f"[profile lab]\nregion = eu-west-1\nendpoint_url = {s3_server.url}\n{keys}")
    monkeypatch.setenv("AWS_PROFILE", "lab")
    store = open_store(f"{without_keys}/below")
    assert store.create("a", b"x")
    assert [meta.key for meta in store.list()] == ["a"]


def test_credentials_that_cannot_be_had_say_nothing_about_an_object(without_keys: str, s3_server: S3Server, tmp_path: Path) -> None:
    process, answer = tmp_path / "keys", tmp_path / "answer"
    answer.write_text('{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "2020-01-01T00:00:00Z"}')
    process.write_text(f"#!/bin/sh\ncat {answer}\n")
    process.chmod(0o755)
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\nendpoint_url = {s3_server.url}\ncredential_process = {process}\n")
    store = open_store(without_keys)
    answer.unlink()
    with pytest.raises(StoreUnavailable):
        store.head("a")
