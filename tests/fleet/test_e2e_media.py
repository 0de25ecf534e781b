"""The main job on real videos, where they lie beside the checkout."""

from pathlib import Path
from urllib.parse import urlparse

import pytest
from fleet_runs import CHECKOUT, audited, expected, framefleet, records, records_in, shown
from s3_places import bodies, upload
from s3_server import S3Server

MEDIA = CHECKOUT.parent / "shared" / "media"
VIDEOS = sorted(path for path in MEDIA.glob("*") if path.suffix in {".mp4", ".mkv"})

pytestmark = pytest.mark.skipif(not VIDEOS, reason="there are no videos in ../shared/media")


def test_real_videos_are_captioned_by_measuring_them(tmp_path: Path) -> None:
    ended = framefleet("caption", MEDIA, "--out", tmp_path, "--engine", "opencv")
    assert ended.status == 0, ended.said
    assert shown(records(tmp_path)) == expected(VIDEOS, root=f"file://{MEDIA}", folder=MEDIA)
    assert audited(tmp_path).captioned_videos == len(VIDEOS)


def test_real_videos_are_captioned_from_bucket_to_bucket(s3_bucket: str, s3_server: S3Server) -> None:
    upload(s3_server, s3_bucket, {f"media/{path.name}": path.read_bytes() for path in VIDEOS})
    job = f"{s3_bucket}/captions/run-1"
    ended = framefleet("caption", f"{s3_bucket}/media", "--out", job, "--engine", "scripted")
    assert ended.status == 0, ended.said
    found = records_in(bodies(s3_server, urlparse(job).netloc, "captions/run-1/captions/"))
    assert shown(found) == expected(VIDEOS, root=f"{s3_bucket}/media", folder=MEDIA)
    assert audited(job).captioned_videos == len(VIDEOS)
