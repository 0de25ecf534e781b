"""Pages asked for by the request before, with another query, are the pages that botocore would have got, whatever happens between."""

import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from listed_bucket import ListedBucket, refusal, served
from werkzeug.wrappers import Response

from storage import ObjectDenied, Page, StoreUnavailable
from storage.s3 import S3Store

KEYS = sorted(["a b/c+d", "a%20b", "a&b=c", "a/1", "a/2", "a;b", "a<b", "a~*'()", "b?x#y", "z/\u00fc", "z/\u65e5\u672c", "z/\U0001f600"])
SLOW_DOWN = refusal("503 Slow Down", "SlowDown")
BROKEN_OFF = Response("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Ke", content_type="application/xml")
LATE_ERROR = refusal("200 OK", "InternalError")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ListedBucket]:
    with served(ListedBucket(KEYS)) as bucket:
        for name, value in {
            "AWS_ENDPOINT_URL": bucket.url,
            "AWS_ACCESS_KEY_ID": "caller",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        yield bucket


def keys_of(pages: Iterable[Page]) -> list[str]:
    return [key for page in pages for key in page.keys]


def thoughts(store: S3Store) -> list[None]:
    """One more for each time that botocore works out a call to list."""
    seen: list[None] = []
    store._client.meta.events.register("before-call.s3.ListObjectsV2", lambda **_: seen.append(None))
    return seen


def test_every_page_is_shown_and_botocore_thinks_once(bucket: ListedBucket) -> None:
    store = S3Store("bucket")
    seen = thoughts(store)
    assert keys_of(store.pages()) == KEYS
    assert (len(seen), len(bucket.asked)) == (1, len(KEYS) / 2)
    assert keys_of(store.pages("a")) == [key for key in KEYS if key.startswith("a")]
    assert len(seen) == 1


@pytest.mark.parametrize("prefix", ["", "a", "z/", "a b/"])
def test_each_page_is_asked_for_as_botocore_asks(bucket: ListedBucket, prefix: str) -> None:
    for after in ("", *KEYS):
        wanted = [key for key in KEYS if key.startswith(prefix) and key > after]
        fresh, asked_before = S3Store("bucket"), S3Store("bucket")
        list(asked_before.pages(most=1))
        bucket.asked.clear()
        assert keys_of(fresh.pages(prefix, start_after=after, most=1)) == wanted
        first = bucket.asked[0]
        bucket.asked.clear()
        assert keys_of(asked_before.pages(prefix, start_after=after, most=1)) == wanted
        assert bucket.asked[0] == first


@pytest.mark.parametrize("answer", [SLOW_DOWN, LATE_ERROR, BROKEN_OFF], ids=["slow down", "an error with status 200", "broken off"])
def test_a_stumble_in_the_middle_costs_nothing_but_requests(bucket: ListedBucket, answer: Response) -> None:
    store = S3Store("bucket")
    pages = store.pages()
    shown = keys_of([next(pages)])
    bucket.answers += [answer] if answer is BROKEN_OFF else [answer, answer]
    assert shown + keys_of(pages) == KEYS
    seen = thoughts(store)
    assert keys_of(store.pages()) == KEYS
    assert not seen


def test_a_line_that_breaks_before_an_answer_is_taken_up_again(bucket: ListedBucket) -> None:
    def hung_up(environ: Any, _: Any) -> list[bytes]:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    pages = S3Store("bucket").pages()
    shown = keys_of([next(pages)])
    bucket.answers += [hung_up] * 3
    assert shown + keys_of(pages) == KEYS


def test_a_line_that_breaks_in_the_middle_of_a_page_is_taken_up_again(bucket: ListedBucket) -> None:
    def cut(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "100000"), ("Connection", "close")])
        return [b"<ListBucketResult>"]

    pages = S3Store("bucket").pages()
    shown = keys_of([next(pages)])
    bucket.answers.append(cut)
    assert shown + keys_of(pages) == KEYS


@pytest.mark.parametrize("turn", [0, 1])
def test_an_answer_of_success_by_another_number_is_read_or_said_to_be_none(bucket: ListedBucket, turn: int) -> None:
    def restated(environ: Any, start_response: Any) -> Iterable[bytes]:
        return bucket(environ, lambda _, headers, *rest: start_response("203 Non-Authoritative Information", headers, *rest))

    bucket.answers += [None] * turn + [restated, None] * 2
    assert keys_of(S3Store("bucket").pages()) == KEYS
    bucket.answers = [None] * turn + [Response("", "204 No Content")] * 9
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        keys_of(S3Store("bucket").pages())


def test_who_is_denied_in_the_middle_is_told_so(bucket: ListedBucket) -> None:
    pages = S3Store("bucket").pages()
    next(pages)
    bucket.answers += [refusal("403 Forbidden", "AccessDenied")] * 9
    with pytest.raises(ObjectDenied, match=r"s3://bucket/: .*AccessDenied"):
        next(pages)


def test_a_store_that_goes_on_stumbling_in_the_middle_is_unavailable(bucket: ListedBucket) -> None:
    pages = S3Store("bucket").pages()
    next(pages)
    bucket.answers += [SLOW_DOWN] * 9
    with pytest.raises(StoreUnavailable, match="SlowDown"):
        next(pages)


def test_a_bucket_that_lives_elsewhere_is_listed_there_and_asked_for_once(bucket: ListedBucket) -> None:
    bucket.region = "eu-west-1"
    store = S3Store("bucket")
    seen = thoughts(store)
    assert keys_of(store.pages()) == KEYS
    assert (len(seen), len(bucket.asked)) == (1, len(KEYS) / 2)


def test_pages_are_signed_by_the_credentials_of_the_moment(bucket: ListedBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys, count = tmp_path / "keys", tmp_path / "count"
    keys.write_text(
        f"#!{sys.executable}\nimport datetime, pathlib\ncount = pathlib.Path({str(count)!r})\n"
        "count.write_text(count.read_text() + 'x' if count.exists() else 'x')\n"
        "soon = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)).isoformat()\n"
        'shown = \'{"Version": 1, "SecretAccessKey": "secret", "AccessKeyId": "caller-%d", "Expiration": "%s"}\'\n'
        "print(shown % (len(count.read_text()), soon))"
    )
    keys.chmod(0o755)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {keys}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert keys_of(S3Store("bucket").pages()) == KEYS
    assert len(set(bucket.callers)) == len(KEYS) / 2


@pytest.mark.usefixtures("bucket")
def test_many_threads_list_at_the_same_time() -> None:
    store, found = S3Store("bucket"), list[list[str]]()
    threads = [threading.Thread(target=lambda: found.append(keys_of(store.pages(most=1)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [KEYS] * 8
