"""The keyframe benchmark runs and gives the figures that it promises; what they come to is not for a test to say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "media.py"


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> list[dict]:
    command = [sys.executable, str(BENCHMARK), "--quick", "--json"]
    environment = os.environ | {"TMPDIR": str(tmp_path_factory.mktemp("clips"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)["cases"]


def test_no_container_is_read_for_less_than_its_lower_bound(cases):
    read = [case for case in cases if "bytes_over_bound" in case]
    assert len(read) == 11
    assert all(case["bytes_over_bound"] >= 1 and case["requests"] >= 1 for case in read)
    assert all(case["bytes_read"] >= case["keyframe_bytes"] + case["index_bytes"] > 0 for case in read)


def test_each_codec_is_weighed_against_decoding_in_process_and_the_command_line(cases):
    weighed = [case for case in cases if "cpu_ratio_ffmpeg" in case]
    assert {case["case"].split()[1] for case in weighed} == {"h264", "hevc", "vp9", "mpeg4"}
    assert all(case["cpu_ratio_inprocess"] > 0 for case in weighed)
    assert all(case["cpu_ratio_ffmpeg"] == "not installed" or case["cpu_ratio_ffmpeg"] > 0 for case in weighed)


def test_many_objects_are_timed_against_whole_downloads(cases):
    timed = [case for case in cases if "wall_ratio_whole" in case]
    assert len(timed) == 4
    assert all(case["wall_ratio_whole"] > 0 and case["wall_ratio_whole_decoded"] > 0 for case in timed)
