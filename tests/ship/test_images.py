"""The images are really built, on stand-ins for what they stand on, and started as a cluster would start them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_runs import redis_server, wait_until, write_clips
from image_store import AS_A_CLUSTER_WOULD, Images, own_store, run_script, told, ways_to_registries

pytestmark = pytest.mark.timeout(1800)
TAG = "0.0.1-test"
IMAGES = ("worker-cpu", "tools", "worker-gpu")
LIBRARIES = {"av", "celery", "framefleet", "kombu", "numpy", "obstore", "opencv-python-headless", "redis"}
MOST_BYTES = {"worker-cpu": 1_000_000_000, "tools": 1_020_000_000}
NOBODY_SPECIAL = {
    "Uid": "10001",
    "Gid": "10001",
    "CapPrm": "0000000000000000",
    "CapBnd": "0000000000000000",
    "NoNewPrivs": "1",
    "Seccomp": "2",
}

BYTECODE = """
import sys, fleet.cli
from pathlib import Path
caches = [Path(one.__cached__) for one in list(sys.modules.values()) if "/opt/framefleet/" in str(getattr(one, "__cached__", None))]
print(len(caches), sorted({cache.read_bytes()[4] if cache.exists() else -1 for cache in caches}))
"""


def named(image: str) -> str:
    return f"framefleet/{image}:{TAG}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sboms")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Images]:
    """All images, each with its SBOM in the folder."""
    with own_store(tmp_path_factory.mktemp("images")) as env:
        begun = time.monotonic()
        run_script("stand-in.sh", *ways_to_registries(), env=env)
        on_stand_ins = time.monotonic()
        dated = env | {"SOURCE_DATE_EPOCH": "1700000000"}
        run_script("build.sh", *IMAGES, "--stand-ins", "--tag", TAG, "--sbom", str(folder), *ways_to_registries(), env=dated)
        print(f"\nstand-ins {on_stand_ins - begun:.0f} s, images {time.monotonic() - on_stand_ins:.0f} s")  # noqa: T201
        yield Images(env)


@pytest.mark.parametrize("image", IMAGES)
def test_a_started_image_is_well(images: Images, image: str) -> None:
    ended = images.started(named(image), "doctor", "--engine", "opencv")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    wells = [line.split(":")[0].split() for line in ended.stdout.splitlines()]
    assert wells == [["ok", "versions"], ["ok", "broker"], ["ok", "decoder"], ["ok", "engine"]]


def test_the_decoders_lock_holds_in_a_container(images: Images) -> None:
    told = images.started(named("worker-cpu"), "doctor").stdout
    [decoder] = [line for line in told.splitlines() if "decoder:" in line]
    held, _, attacks = decoder.partition(";")
    assert {"seccomp", "no_new_privs", "rlimits"} <= set(held.replace(",", "").split()), decoder
    assert "attacks from inside failed" in attacks


def test_the_gpu_image_says_what_a_stand_in_lacks(images: Images) -> None:
    ended = images.started(named("worker-gpu"), "doctor")
    assert ended.returncode == 1
    assert "ILL engine: vLLM cannot be loaded (No module named" in ended.stdout


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_nobody_special_on_files_that_it_cannot_write(images: Images, image: str) -> None:
    look = "cat /proc/self/status; grep ' / ' /proc/mounts; id -un"
    ended = images.started(named(image), "-c", look, options=["--network=none", "--entrypoint=sh"])
    said = {line.partition(":")[0]: line.partition(":")[2].split() for line in ended.stdout.splitlines()}
    assert {name: values[0] for name, values in said.items() if name in NOBODY_SPECIAL} == NOBODY_SPECIAL
    *_, root, user = ended.stdout.splitlines()
    assert user == "framefleet"
    assert root.split()[3].startswith("ro,")


@pytest.mark.parametrize("image", ["worker-cpu", "tools"])
def test_an_image_has_no_compiler_and_no_installer(images: Images, image: str) -> None:
    look = "for one in cc gcc g++ ld make pip pip3 git curl; do command -v $one; done; python -m pip --version"
    ended = images.started(named(image), "-c", look, options=["--network=none", "--entrypoint=sh"])
    assert ended.stdout == ""
    assert "No module named pip" in ended.stderr


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_is_compiled_when_an_image_starts(images: Images, image: str) -> None:
    ended = images.started(named(image), "-c", BYTECODE, options=["--network=none", "--entrypoint=python"])
    count, _, kinds = ended.stdout.strip().partition(" ")
    assert int(count) > 200, ended.stderr
    assert kinds == "[1]"  # by hash, never checked: PEP 552


def test_the_tools_have_flower_and_the_workers_have_not(images: Images) -> None:
    words = ["--", "celery", "-A", "workers.app", "flower", "--help"]
    for image, serves in (("tools", True), ("worker-cpu", False)):
        ended = images.started(named(image), *words, options=["--network=none", "--entrypoint=tini"])
        assert ("Web based tool" in ended.stdout) is serves, ended.stderr


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_what_it_is(images: Images, image: str) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in images.inspected(named(image))["Labels"].items()}
    assert labels["title"].startswith("framefleet ")
    assert labels["created"] == "2023-11-14T22:13:20Z"
    assert labels["version"] == "0.1.0"
    assert labels["base.name"] == {"worker-gpu": "vllm-stand-in"}.get(image, "debian:bookworm-slim")
    assert len(labels["revision"].removesuffix("-dirty")) in {len("unknown"), 40}


@pytest.mark.parametrize("image", IMAGES)
def test_its_sbom_names_what_is_in_it(images: Images, folder: Path, image: str) -> None:
    del images  # whose building writes the SBOMs
    components = json.loads((folder / f"{image}.cdx.json").read_text(encoding="utf-8"))["components"]
    python = {one["name"].lower() for one in components if one.get("purl", "").startswith("pkg:pypi/")}
    debian = {one["name"] for one in components if one.get("purl", "").startswith("pkg:deb/")}
    assert python >= LIBRARIES
    assert ("flower" in python) is (image == "tools")
    assert debian >= {"libc6", "python3.11"}
    assert not {"hatchling", "pip"} & python or image == "worker-gpu"
    assert [one for one in components if one.get("purl", "").startswith(("pkg:pypi/", "pkg:deb/")) and not one.get("version")] == []


def test_the_images_are_no_larger_than_they_were(images: Images) -> None:
    sizes = {image: int(images.inspected(named(image))["Size"]) for image in IMAGES}
    print({image: f"{size / 1e6:.0f} MB" for image, size in sizes.items()})  # noqa: T201
    assert {image: size for image, size in sizes.items() if size > MOST_BYTES.get(image, size)} == {}


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder with clips in it, which anybody may write."""
    write_clips(tmp_path / "clips", 3)
    (tmp_path / "jobs").mkdir(mode=0o777)
    for one in (tmp_path, *tmp_path.rglob("*")):
        one.chmod(one.stat().st_mode | (0o777 if one.is_dir() else 0o444))
    return tmp_path


def test_tools_launch_a_job_and_the_worker_does_it_is_probed_and_drains(images: Images, shared: Path) -> None:
    with redis_server(shared) as url:
        meeting = ["--network=host", f"--volume={shared}:{shared}", f"--env=FRAMEFLEET_BROKER_URL={url}"]
        begun = images.podman("run", "--detach", "--replace", "--name=worker", *AS_A_CLUSTER_WOULD, *meeting, named("worker-cpu"))
        assert begun.returncode == 0, begun.stderr
        probe = images.inspected(named("worker-cpu"))["Healthcheck"]["Test"][1:]
        wait_until(lambda: images.podman("exec", "worker", *probe).returncode == 0, within_seconds=120)
        wait_until(lambda: images.podman("exec", "worker", "framefleet", "health", "ready").returncode == 0, within_seconds=120)
        job = f"{shared}/jobs/one"
        launched = images.started(named("tools"), "launch", f"{shared}/clips", "--out", job, "--engine", "opencv", options=meeting)
        assert launched.returncode == 0, launched.stderr
        wait_until(lambda: images.started(named("tools"), "audit", job, options=meeting).returncode == 0, within_seconds=180)
        images.podman("stop", "--time=100", "worker")
        [ended] = json.loads(images.podman("inspect", "worker").stdout)
        assert (ended["State"]["Status"], ended["State"]["ExitCode"]) == ("exited", 0), images.podman("logs", "worker").stderr


def test_a_vllm_image_that_does_not_fit_ends_the_build(images: Images) -> None:
    container = told("buildah", "from", "--pull-never", "vllm-stand-in", env=images.env).stdout.strip()
    without = ["python3", "-m", "pip", "uninstall", "--yes", "--break-system-packages", "httpx"]
    assert told("buildah", "run", container, "--", *without, env=images.env).returncode == 0
    assert told("buildah", "commit", "--quiet", "--rm", container, "vllm-without-httpx", env=images.env).returncode == 0
    with pytest.raises(AssertionError, match=r"framefleet 0\.1\.0 requires httpx, which is not installed"):
        run_script("build.sh", "worker-gpu", "--stand-ins", "--vllm-image", "vllm-without-httpx", *ways_to_registries(), env=images.env)
