"""The compose file's Redis starts with its own words, and what makes and fills buckets does so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import redis
from composed import FOLDER, composition
from fleet_runs import environment, free_port, running, wait_until
from s3_places import bodies, upload
from s3_server import S3Server

from broker.embedded import redis_server_path

OBJECTS = FOLDER / "objects.py"
PASSWORD = "s3cret"


def test_redis_refuses_rather_than_forgets_and_asks_for_a_password(tmp_path: Path) -> None:
    port, service = free_port(), composition(REDIS_PASSWORD=PASSWORD).services["redis"]
    words = [re.sub(r"--port 6379 --dir /data", f"--port {port} --bind 127.0.0.1 --dir {tmp_path}", word) for word in service.words]
    path = f"{Path(redis_server_path()).parent}:{os.environ['PATH']}"
    with (
        running(words, tmp_path / "log", service.environment | {"PATH": path}) as server,
        redis.Redis(port=port, password=PASSWORD) as client,
    ):
        wait_until(lambda: answers(client))
        asked = {name: client.config_get(name)[name] for name in ("maxmemory", "maxmemory-policy", "appendonly", "requirepass")}
        assert asked == {"maxmemory": str(512 << 20), "maxmemory-policy": "noeviction", "appendonly": "yes", "requirepass": PASSWORD}
        assert 2 * int(asked["maxmemory"]) < service.mem_limit
        with redis.Redis(port=port) as stranger:
            assert not answers(stranger)
        [process] = server.family()
        assert PASSWORD not in " ".join(process.cmdline())


def answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.AuthenticationError):
        return False


def objects(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(OBJECTS), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment())


def test_buckets_are_made_and_stay_as_they_are(s3_bucket: str, s3_server: S3Server) -> None:
    bucket = f"{s3_bucket.removeprefix('s3://')}-new"
    assert objects("make", bucket).returncode == 0
    upload(s3_server, bucket, {"kept": b"1"})
    again = objects("make", bucket)
    assert (again.returncode, again.stdout) == (0, f"s3://{bucket} is there.\n")
    assert bodies(s3_server, bucket) == {"kept": b"1"}
    s3_server.create_bucket(f"{bucket}-2", "eu-west-1")  # only of its first region does this server forgive to make a bucket twice
    assert objects("make", f"{bucket}-2").returncode == 0


def test_a_folder_is_put_into_a_bucket_with_all_that_is_in_it(s3_bucket: str, s3_server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "deeper" / "ü b.mp4").write_bytes(b"b")
    ended = objects("put", tmp_path, f"{s3_bucket}/in/")
    assert ended.returncode == 0, ended.stderr
    assert bodies(s3_server, s3_bucket) == {"in/a.mp4": b"a", "in/deeper/ü b.mp4": b"b"}


def test_what_cannot_be_done_is_said_in_a_sentence(s3_bucket: str, tmp_path: Path) -> None:
    for words, said in (
        (("put", tmp_path, s3_bucket), "say in VIDEOS"),
        (("put", tmp_path), "Say one of these"),
        (("make",), "Say one of these"),
        (("make", "Not A Name"), "The store refused"),
    ):
        ended = objects(*words)
        assert ended.returncode == 1
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr
