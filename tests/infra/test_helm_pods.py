"""Every pod of the chart runs commands that exist, with settings that exist, as nobody in particular, and has the time to leave."""

import os
import shlex
from typing import Any

import pytest
from command_lines import COMMANDS, SETTINGS, UsageError, options_in_environment, understands
from rendered import RENDERINGS, Manifest, environment, manifests, of_kind, pod_templates, workers

from broker.address import Address
from workers.settings import WorkerSettings

SPOT_NOTICE_SECONDS = {"aws-spot": 110, "gcp-spot": 25}
"""What a provider's notice leaves: 120 s less what passes until the node is drained; 30 s less what the system's own pods get."""
HARDLY_ANYTHING_SECONDS = 5


def containers(name: str) -> list[tuple[str, Manifest]]:
    """Every container of a rendering, and the component it is of."""
    return [(component, one) for component, template in pod_templates(name) for one in template["spec"]["containers"]]


def words_of(container: Manifest) -> list[str]:
    """A container's command line without the program that starts it."""
    words = [*container["command"], *container.get("args", [])]
    return words[words.index("--") + 1 :] if "--" in words else words


def command_lines(name: str) -> list[tuple[dict[str, str], list[str]]]:
    """Every command line of a rendering, probes among them, with its environment."""
    found = []
    for _, container in containers(name):
        probes = (container.get(f"{kind}Probe", {}).get("exec") for kind in ("startup", "liveness", "readiness"))
        lines = [words_of(container), *(probe["command"] for probe in probes if probe)]
        found += [(environment(container), line) for line in lines]
    return found


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(("FRAMEFLEET_", "AWS_"))]:
        monkeypatch.delenv(variable)


@pytest.mark.parametrize("name", RENDERINGS)
def test_every_command_exists_and_takes_its_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [(env, words) for env, words in command_lines(name) if words[0] == "framefleet"]
    assert lines
    for env, words in lines:
        with monkeypatch.context() as patched:
            for variable, value in env.items():
                patched.setenv(variable, value)
            understands(words[1:])


def test_a_word_that_no_command_knows_would_be_noticed() -> None:
    for words in (["audit", "s3://captions/run-1", "--surprise"], ["audit"], ["health", "alive", "--surprise"], ["health", "well"]):
        with pytest.raises((UsageError, SystemExit)):
            understands(words)


def test_each_job_is_launched_reconciled_audited_and_measured() -> None:
    commands = {words[1] for _, words in command_lines("everything") if words[0] == "framefleet"}
    assert commands == {"worker", "launch", "reconcile", "audit", "metrics", "health", "flower"}


def test_without_a_job_nothing_speaks_of_one() -> None:
    commands = {words[1] for _, words in command_lines("default") if words[0] == "framefleet"}
    assert commands == {"worker", "health", "metrics", "flower"}


def test_ports_are_where_the_programs_serve() -> None:
    for component, container in containers("everything"):
        ports = {one["name"]: one["containerPort"] for one in container.get("ports", [])}
        if component.startswith("worker-"):
            assert ports == {"metrics": int(environment(container)["FRAMEFLEET_METRICS_PORT"])}
        elif component == "metrics":
            [served] = [option for option in COMMANDS.commands["metrics"].params if option.name == "port"]
            assert ports == {"metrics": served.default}


@pytest.mark.parametrize("name", RENDERINGS)
def test_no_other_programs_are_run(name: str) -> None:
    assert {words[0] for _, words in command_lines(name)} <= {"framefleet", "sh"}


def test_flower_watches_the_fleets_application_and_changes_nothing() -> None:
    [flower] = [one for component, one in containers("everything") if component == "flower"]
    assert words_of(flower) == ["framefleet", "flower", "--port=5555"]
    env = {one["name"]: one for one in flower["env"]}
    assert (env["FLOWER_READ_ONLY"]["value"], env["FLOWER_MAX_TASKS"]["value"]) == ("true", "10000")
    assert "secretKeyRef" in env["FLOWER_BASIC_AUTH"]["valueFrom"]
    assert [one["spec"]["type"] for one in of_kind("everything", "Service")] == ["ClusterIP"] * 3


@pytest.mark.parametrize("name", RENDERINGS)
def test_every_variable_of_ours_is_a_setting_or_an_option(name: str) -> None:
    ours = {variable for _, one in containers(name) for variable in environment(one) if variable.startswith("FRAMEFLEET_")}
    assert ours
    assert ours - SETTINGS - options_in_environment() == set()


@pytest.mark.parametrize("name", RENDERINGS)
def test_settings_can_be_read_from_the_environment_of_workers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for spec in workers(name).values():
        env = environment(spec["containers"][0])
        with monkeypatch.context() as patched:
            for variable, value in env.items():
                patched.setenv(variable, value)
            settings = WorkerSettings()
        assert settings.grace_seconds == float(env["FRAMEFLEET_GRACE_SECONDS"])
        assert str(settings.health_folder) == "/run/framefleet"
        assert settings.broker_url == env["FRAMEFLEET_BROKER_URL"]


@pytest.mark.parametrize("name", RENDERINGS)
def test_all_who_ask_the_broker_agree_where_it_is(name: str) -> None:
    urls = {environment(one).get("FRAMEFLEET_BROKER_URL") for component, one in containers(name) if component not in {"redis", "audit"}}
    [url] = urls
    assert url is not None
    assert "$(" not in url
    assert Address.of(url).claims


def test_the_audit_is_not_told_where_the_broker_is() -> None:
    [audit] = [one for component, one in containers("everything") if component == "audit"]
    assert not {"FRAMEFLEET_BROKER_URL", "REDIS_PASSWORD"} & set(environment(audit))


@pytest.mark.parametrize("name", RENDERINGS)
def test_workers_have_the_time_to_hand_back(name: str) -> None:
    found = workers(name)
    assert found
    for spec in found.values():
        grace = float(environment(spec["containers"][0])["FRAMEFLEET_GRACE_SECONDS"])
        assert spec["terminationGracePeriodSeconds"] >= grace + HARDLY_ANYTHING_SECONDS
        assert spec["terminationGracePeriodSeconds"] <= SPOT_NOTICE_SECONDS.get(name, 3600)


@pytest.mark.parametrize("name", RENDERINGS)
def test_sigterm_reaches_the_program_at_once(name: str) -> None:
    for _, container in containers(name):
        assert "lifecycle" not in container  # a preStop hook would be waited for, out of the notice
        assert container["command"][0] != "sh" or "exec redis-server" in container["args"][0]


@pytest.mark.parametrize("name", RENDERINGS)
def test_workers_are_probed_by_their_files_and_nothing_else(name: str) -> None:
    for spec in workers(name).values():
        [worker] = spec["containers"]
        startup, alive, ready = worker["startupProbe"], worker["livenessProbe"], worker["readinessProbe"]
        assert shlex.join(startup["exec"]["command"]) == shlex.join(ready["exec"]["command"]) == "framefleet health ready"
        assert shlex.join(alive["exec"]["command"]) == "framefleet health alive --within 60"
        assert 600 <= startup["periodSeconds"] * startup["failureThreshold"] <= 1200  # a model takes minutes to load
        folder = environment(worker)["FRAMEFLEET_HEALTH_FOLDER"]
        assert folder in {mount["mountPath"] for mount in worker["volumeMounts"]}


@pytest.mark.parametrize("name", RENDERINGS)
def test_nothing_runs_as_root_or_can_become_it(name: str) -> None:
    for _, template in pod_templates(name):
        spec = template["spec"]
        pod = spec["securityContext"]
        assert (pod["runAsNonRoot"], pod["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert min(pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]) > 0
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("name", RENDERINGS)
def test_no_pod_shares_anything_with_its_node(name: str) -> None:
    for _, template in pod_templates(name):
        spec = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(spec)
        assert [volume for volume in spec.get("volumes", []) if not {"emptyDir", "persistentVolumeClaim"} & set(volume)] == []


@pytest.mark.parametrize("name", RENDERINGS)
def test_no_pod_has_a_token_or_takes_services_for_settings(name: str) -> None:
    accounts = {one["metadata"]["name"]: one for one in of_kind(name, "ServiceAccount")}
    assert [one for one in accounts.values() if one["automountServiceAccountToken"] is not False] == []
    for _, template in pod_templates(name):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False  # FLOWER_PORT=tcp://… is no port
        assert spec["serviceAccountName"] in accounts


def test_each_role_has_the_account_of_its_rights() -> None:
    accounts = {component: template["spec"]["serviceAccountName"] for component, template in pod_templates("everything")}
    roles = {component: account.removeprefix("fleet-framefleet-") for component, account in accounts.items()}
    control = dict.fromkeys(("launch", "reconcile", "audit", "metrics"), "control")
    assert roles == control | {"worker-gpu": "worker", "worker-cpu": "worker", "flower": "plain", "redis": "plain"}


@pytest.mark.parametrize("name", RENDERINGS)
def test_all_that_is_mounted_is_there_and_everything_has_its_limit(name: str) -> None:
    for component, template in pod_templates(name):
        spec = template["spec"]
        volumes = {volume["name"] for volume in spec.get("volumes", [])} | ({"data"} if component == "redis" else set())
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108 - where a read-only container writes
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
        assert [volume for volume in spec.get("volumes", []) if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]] == []


@pytest.mark.parametrize("name", RENDERINGS)
def test_what_selects_pods_finds_them_and_a_new_chart_restarts_none(name: str) -> None:
    for one in manifests(name):
        spec = one.get("spec", {})
        if one["kind"] in {"Deployment", "StatefulSet"}:
            labels = spec["template"]["metadata"]["labels"]
            assert spec["selector"]["matchLabels"].items() <= labels.items()
            assert set(labels) - set(spec["selector"]["matchLabels"]) <= {"framefleet/storage"}
    for kind in ("Service", "PodDisruptionBudget"):
        for one in of_kind(name, kind):
            selector = one["spec"]["selector"].get("matchLabels", one["spec"]["selector"])
            assert [component for component, template in pod_templates(name) if selector.items() <= template["metadata"]["labels"].items()]


def test_models_are_kept_streamed_or_fetched() -> None:
    def volume(name: str) -> dict[str, Any]:
        return next((one for one in workers(name)["worker-gpu"]["volumes"] if one["name"] == "models"), {})

    assert "emptyDir" in volume("default")
    assert volume("aws-spot") == {}
    assert volume("onprem")["persistentVolumeClaim"] == {"claimName": "models"}
    assert of_kind("onprem", "PersistentVolumeClaim") == []
    [claim] = of_kind("everything", "PersistentVolumeClaim")
    assert volume("everything")["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
