"""The images are what the chart expects, hold locked packages and no secret, and their Dockerfile is clean."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfiles import CHECKOUT, DOCKER, DOCKERFILE, IMAGES, WORKERS, environment_of, last, lineage, shell_commands, stages
from rendered import CHART, environment, workers

from fleet import health

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
PINNED = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", re.MULTILINE)
NO_DIGEST = "vllm/vllm-openai:v0.32.0"
DIGEST = f"{NO_DIGEST}@sha256:{'5' * 64}"


def hadolint(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """What the Dockerfile linter says."""
    command = [str(Path(sys.executable).with_name("hadolint")), "--no-color", "--config", str(DOCKER / ".hadolint.yaml"), *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def build(*words: str) -> subprocess.CompletedProcess[str]:
    """What docker/build.sh would have a builder do, one line for each image."""
    command = [str(DOCKER / "build.sh"), *words]
    env = os.environ | {"BUILDER": "echo", "SOURCE_DATE_EPOCH": "0"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def pins(lock: str) -> dict[str, set[str]]:
    """The versions of each package in a lock."""
    found: dict[str, set[str]] = {}
    for name, version in PINNED.findall((CHECKOUT / "requirements" / lock).read_text(encoding="utf-8")):
        found.setdefault(name, set()).add(version)
    return found


def homes() -> list[tuple[dict[str, str], dict[str, str], set[str]]]:
    """Of each worker's image: what it sets, what the chart sets, and where the chart mounts something."""
    found = []
    for component, spec in workers("everything").items():
        [container] = spec["containers"]
        found.append((environment_of(component), environment(container), {one["mountPath"] for one in container["volumeMounts"]}))
    return found


def test_the_linter_finds_nothing() -> None:
    ended = hadolint(*(str(path) for path in DOCKER.glob("*Dockerfile")))
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_linter_would_find_something() -> None:
    assert hadolint("-", text="FROM debian\nRUN pip install celery\nENTRYPOINT celery worker\n").returncode == 1


def test_every_image_of_the_chart_can_be_built_under_its_name() -> None:
    ours = [one for one in VALUES["images"].values() if isinstance(one, dict) and one["repository"].startswith("framefleet/")]
    assert sorted(one["repository"].removeprefix("framefleet/") for one in ours) == sorted(IMAGES)
    tags = {f"{one['repository']}:{one['tag']}" for one in ours}
    built = build(*IMAGES, "--vllm-image", DIGEST).stdout
    assert set(re.findall(r"--tag (\S+)", built)) == tags
    assert set(re.findall(r"--target (\S+)", built)) == set(IMAGES)


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_runs_as_the_charts_user_who_has_a_name(name: str) -> None:
    uid = VALUES["uid"]
    assert last(name, "USER").rest == f"{uid}:{uid}"
    made = [one.rest for one in lineage(name) if one.word == "RUN"]
    assert [step for step in made if f"groupadd --gid {uid} framefleet" in step and f"useradd --uid {uid} --gid framefleet" in step]


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_starts_its_program_below_the_charts_init(name: str) -> None:
    assert last(name, "ENTRYPOINT").words == [*VALUES["init"], "framefleet"]
    brought = [one.rest for one in lineage(name) if (one.word == "RUN" and "apt-get install" in one.rest) or one.word == "COPY"]
    assert [step for step in brought if re.search(r"\btini$|\btini\b.*&&|/tini$", step)]


def test_images_write_where_the_chart_mounts_something() -> None:
    assert len(homes()) == len(WORKERS)
    for image, chart, mounts in homes():
        agreed = ("HOME", "USER", "XDG_CACHE_HOME", "FRAMEFLEET_HEALTH_FOLDER")
        assert [image[name] for name in agreed] == [chart[name] for name in agreed]
        written = [value for name, value in image.items() if value.startswith("/") and name != "PATH"]
        assert [path for path in written if not any(Path(path).is_relative_to(mount) for mount in mounts)] == []


@pytest.mark.parametrize("name", IMAGES)
def test_images_can_be_started_read_only_without_a_chart(name: str) -> None:
    volumes = {Path(path) for path in last(name, "VOLUME").words}
    written = [value for key, value in environment_of(name).items() if value.startswith("/") and key != "PATH"]
    assert [path for path in [*written, last(name, "WORKDIR").rest] if not any(Path(path).is_relative_to(one) for one in volumes)] == []
    assert {str(path) for path in volumes} <= {"/tmp", "/run/framefleet"}  # noqa: S108 - where a read-only container writes


@pytest.mark.parametrize("name", WORKERS)
def test_a_workers_health_check_asks_what_the_charts_probe_asks(name: str) -> None:
    asked = re.sub(r"^.* CMD ", "", last(name, "HEALTHCHECK").rest)
    [container] = workers("everything")[name]["containers"]
    assert asked == str(container["livenessProbe"]["exec"]["command"]).replace("'", '"')
    health.parser().parse_args(container["livenessProbe"]["exec"]["command"][2:])
    assert last(name, "CMD").words == container["args"]


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_says_what_it_is_and_of_which_commit(name: str) -> None:
    labels = last(name, "LABEL").settings
    said = {"title", "description", "version", "revision", "created", "base.name"}
    assert {label.removeprefix("org.opencontainers.image.") for label in labels} == said
    arguments = {value[2:-1] for value in labels.values() if value.startswith("$")}
    [line] = build(name, "--vllm-image", DIGEST).stdout.splitlines()[:1]
    given = dict(re.findall(r"--build-arg (\w+)=(\S+)", line))
    assert arguments <= set(given)
    assert given["VERSION"] == PROJECT["project"]["version"]
    assert given["CREATED"] == "1970-01-01T00:00:00Z"


def test_packages_are_installed_by_locks_with_hashes_alone() -> None:
    installs = [command for command in shell_commands() if re.search(r"\bpip\b.* (install|wheel|download) ", command)]
    assert len(installs) >= 5  # build, base, Flower, beside vLLM, and our own wheel twice
    for command in installs:
        assert "--no-index" in command or {"--require-hashes", "-r"} <= set(command.split()), command
    locks = {lock for command in installs for lock in re.findall(r"requirements/(\S+\.txt)", command)}
    assert locks == {"base.txt", "build.txt", "tools.txt", "worker-gpu.txt"}
    for lock in locks:
        blocks = re.split(r"^(?=[a-z0-9])", (CHECKOUT / "requirements" / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_nothing_else_is_fetched() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert not re.search(r"\b(curl|wget|git clone|npm|uv)\b", text)
    assert not [one for stage in stages().values() for one in stage.instructions if one.word == "ADD"]


@pytest.mark.parametrize("lock", ["build.txt", "tools.txt", "worker-gpu.txt"])
def test_images_hold_the_versions_that_are_tested(lock: str) -> None:
    tested = pins("base.txt") | {name: versions for name, versions in pins("dev.txt").items() if name not in pins("base.txt")}
    assert {name: versions for name, versions in pins(lock).items() if not versions <= tested[name]} == {}


def test_what_builds_the_project_and_does_not_run_it_is_taken_away_again() -> None:
    [taken] = [command.partition("--yes ")[2].split() for command in shell_commands() if "/opt/framefleet/bin/python uninstall" in command]
    assert sorted(taken) == sorted(set(pins("build.txt")) - set(pins("tools.txt")))


def test_the_gpu_worker_brings_nothing_that_vllm_has() -> None:
    brought = set(pins("worker-gpu.txt"))
    assert {"av", "celery", "kombu", "obstore", "simplejpeg"} <= brought <= set(pins("base.txt"))
    assert not {"vllm", "torch", "numpy", "pydantic", "pillow", "opencv-python-headless", "transformers"} & brought


@pytest.mark.parametrize("name", IMAGES)
def test_no_final_image_has_a_compiler_or_pip(name: str) -> None:
    steps = " ".join(one.rest for one in lineage(name) if one.word == "RUN")
    assert not re.search(r"build-essential|gcc|g\+\+|-dev\b|python3-pip|python3-venv|\bpip\b", steps)


def test_whatever_apt_keeps_goes_in_the_step_that_fetched_it() -> None:
    steps = [one.rest for stage in stages().values() for one in stage.instructions if one.word == "RUN" and "apt-get update" in one.rest]
    assert steps
    assert [step for step in steps if "rm -rf /var/lib/apt/lists/*" not in step] == []


def test_no_registry_mirror_or_secret_is_in_a_layer_or_in_the_history() -> None:
    for path in DOCKER.iterdir():
        assert not re.search(r"https?://|index-url|docker\.io|quay\.io|ghcr\.io|nvcr\.io", path.read_text(encoding="utf-8")), path.name
    named = {name for stage in stages().values() for one in stage.instructions if one.word in {"ARG", "ENV"} for name in one.rest.split()}
    assert not [name for name in named if re.search(r"TOKEN|SECRET|PASSWORD|_KEY|INDEX|PROXY", name, re.IGNORECASE)]
    conf = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if "pip.conf" in line or "apt.conf" in line]
    assert conf
    assert [line for line in conf if "--mount=type=secret," not in line] == []


def test_the_gpu_image_is_built_on_a_digest_or_not_at_all() -> None:
    for words in (["worker-gpu"], ["worker-gpu", "--vllm-image", NO_DIGEST]):
        ended = build(*words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "needs --vllm-image with a digest" in ended.stderr
    assert f"--build-arg VLLM_IMAGE={DIGEST}" in build("worker-gpu", "--vllm-image", DIGEST).stdout
    [default] = re.findall(r"^ARG VLLM_IMAGE=(\S+)", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert default == f"{NO_DIGEST}@sha256:{'0' * 64}"  # whoever builds without the script is refused by the registry


def test_stand_ins_are_never_pulled_and_never_the_default() -> None:
    assert "--pull-never" not in build("tools").stdout
    told = build("worker-gpu", "--stand-ins").stdout
    assert "--pull-never" in told
    assert "VLLM_IMAGE=vllm-stand-in" in told


def test_a_word_that_the_script_does_not_know_is_refused() -> None:
    ended = build("worker-tpu")
    assert (ended.returncode, ended.stderr) == (2, "docker/build.sh: what is worker-tpu? See docker/build.sh --help.\n")
    assert "--vllm-image REF" in build("--help").stdout


def test_the_builder_sees_what_is_packed_and_nothing_else() -> None:
    allowed = [line[1:] for line in (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")]
    packed: list[Any] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(allowed) == sorted([*packed, "pyproject.toml", PROJECT["project"]["readme"], "requirements/*.txt"])
