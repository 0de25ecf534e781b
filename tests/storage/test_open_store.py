"""Addresses of stores and objects."""

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import OperatorError
from storage import open_store, split_uri


@pytest.mark.parametrize(
    ("uri", "store", "key"),
    [
        ("s3://bucket/a/b c%20.mp4", "s3://bucket", "a/b c%20.mp4"),
        ("s3://bucket//lead", "s3://bucket", "/lead"),
        ("s3://bucket/a//b?#", "s3://bucket", "a//b?#"),
        ("memory://name/a/b", "memory://name", "a/b"),
        ("file:///a/b c%20.mp4", "file:///a", "b c%20.mp4"),
        ("/a/b/../v.mp4", "file:///a", "v.mp4"),
        ("file:///v.mp4", "file://", "v.mp4"),
    ],
)
def test_a_uri_is_a_store_and_a_key(uri: str, store: str, key: str) -> None:
    assert split_uri(uri) == (store, key)


def test_a_bare_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("videos/").url == f"file://{tmp_path}/videos"
    assert open_store(".").url == f"file://{tmp_path}"
    assert split_uri("videos/v.mp4") == (f"file://{tmp_path}/videos", "v.mp4")


def test_the_root_folder_is_a_store() -> None:
    for url in ("/", "file:///", "file://"):
        assert open_store(url).url == "file://"


@pytest.mark.parametrize("url", ["gs://bucket/a", "https://host/a", "://", "file://host/share", "file://videos"])
def test_an_address_of_no_known_kind_is_refused_with_advice(url: str) -> None:
    for use in (open_store, split_uri):
        with pytest.raises(OperatorError, match="file:///folder"):
            use(url)


def test_a_folder_is_opened_without_the_clients_of_s3() -> None:
    program = "import sys, storage; storage.open_store('x'); sys.exit(bool({'boto3', 'botocore', 'obstore'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
