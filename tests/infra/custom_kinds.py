"""What KEDA and the Prometheus operator take, of the fields that we use, with any other key refused.

After the resource definitions of KEDA 2.20 (`keda.sh/v1alpha1`) and of the Prometheus operator 0.93 (`monitoring.coreos.com/v1`),
and what KEDA's code demands beyond them: whole numbers for `target`, names for triggers of a formula, text in a trigger's metadata.
"""

from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
WHOLE: Schema = {"type": "integer", "minimum": 0}
DURATION: Schema = {"type": "string", "pattern": r"^(0|(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"}
LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
DIGITS: Schema = {"type": "string", "pattern": "^[0-9]+$"}


def strictly(required: dict[str, Schema], **optional: Schema) -> Schema:
    """An object with these keys and no other."""
    return {"type": "object", "properties": required | optional, "required": list(required), "additionalProperties": False}


def listed(one: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": one}


def between(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def kind(api: str, name: str, spec: Schema) -> Schema:
    metadata = strictly({"name": TEXT}, labels=LABELS, annotations=LABELS)
    return strictly({"apiVersion": {"const": api}, "kind": {"const": name}, "metadata": metadata, "spec": spec})


POLICY = strictly({"type": {"enum": ["Pods", "Percent"]}, "value": between(1, 1 << 31), "periodSeconds": between(1, 1800)})
SCALING = strictly(
    {}, stabilizationWindowSeconds=between(0, 3600), selectPolicy={"enum": ["Max", "Min", "Disabled"]}, policies=listed(POLICY)
)
REDIS = strictly(
    {"address": {"type": "string", "pattern": r"^[^:/]+:\d+$"}, "listName": TEXT},
    listLength=DIGITS,
    activationListLength=DIGITS,
    databaseIndex=DIGITS,
    enableTLS={"enum": ["true", "false"]},
    unsafeSsl={"enum": ["true", "false"]},
    username=TEXT,
)
TRIGGER = strictly(
    {"type": {"const": "redis"}, "metadata": REDIS, "name": {"type": "string", "pattern": "^[a-z][A-Za-z0-9_]*$"}},
    metricType={"enum": ["AverageValue", "Value"]},
    useCachedMetrics={"type": "boolean"},
    authenticationRef=strictly({"name": TEXT}, kind={"enum": ["TriggerAuthentication", "ClusterTriggerAuthentication"]}),
)
MODIFIERS = strictly(
    {"formula": TEXT, "target": {"type": "string", "pattern": "^[1-9][0-9]*$"}},
    activationTarget={"type": "string", "pattern": r"^\d+(\.\d+)?$"},
    metricType={"enum": ["AverageValue", "Value"]},
)
SCALED_OBJECT = strictly(
    {"scaleTargetRef": strictly({"name": TEXT}, apiVersion=TEXT, kind=TEXT, envSourceContainerName=TEXT), "triggers": listed(TRIGGER)},
    pollingInterval=between(1, 1 << 31),
    cooldownPeriod=WHOLE,
    initialCooldownPeriod=WHOLE,
    idleReplicaCount=WHOLE,
    minReplicaCount=WHOLE,
    maxReplicaCount=between(1, 1 << 31),
    fallback=strictly(
        {"failureThreshold": WHOLE, "replicas": WHOLE},
        behavior={"enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers"]},
    ),
    advanced=strictly(
        {},
        restoreToOriginalReplicaCount={"type": "boolean"},
        scalingModifiers=MODIFIERS,
        horizontalPodAutoscalerConfig=strictly({}, name=TEXT, behavior=strictly({}, scaleUp=SCALING, scaleDown=SCALING)),
    ),
)
AUTHENTICATION = strictly({}, secretTargetRef=listed(strictly({"parameter": TEXT, "name": TEXT, "key": TEXT})))
EXPRESSION = strictly({"key": TEXT, "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}}, values=listed(TEXT))
RELABELING = strictly({"targetLabel": TEXT}, replacement=TEXT)
ENDPOINT = strictly(
    {"port": TEXT},
    path=TEXT,
    interval=DURATION,
    scrapeTimeout=DURATION,
    scheme=TEXT,
    honorLabels={"type": "boolean"},
    relabelings=listed(RELABELING),
)
SERVICE_MONITOR = strictly(
    {"selector": strictly({}, matchLabels=LABELS, matchExpressions=listed(EXPRESSION)), "endpoints": listed(ENDPOINT)},
    jobLabel=TEXT,
    targetLabels=listed(TEXT),
)
POD_MONITOR = strictly(
    {"selector": SERVICE_MONITOR["properties"]["selector"], "podMetricsEndpoints": listed(ENDPOINT)},
    jobLabel=TEXT,
    podTargetLabels=listed(TEXT),
)
ALERT = strictly({"alert": TEXT, "expr": TEXT}, labels=LABELS, annotations=LABELS, keep_firing_for=DURATION, **{"for": DURATION})
RECORD = strictly({"record": TEXT, "expr": TEXT}, labels=LABELS)
RULES = strictly({"groups": listed(strictly({"name": TEXT, "rules": listed({"anyOf": [ALERT, RECORD]})}, interval=DURATION))})

CUSTOM = {
    "ScaledObject": Draft202012Validator(kind("keda.sh/v1alpha1", "ScaledObject", SCALED_OBJECT)),
    "TriggerAuthentication": Draft202012Validator(kind("keda.sh/v1alpha1", "TriggerAuthentication", AUTHENTICATION)),
    "ServiceMonitor": Draft202012Validator(kind("monitoring.coreos.com/v1", "ServiceMonitor", SERVICE_MONITOR)),
    "PodMonitor": Draft202012Validator(kind("monitoring.coreos.com/v1", "PodMonitor", POD_MONITOR)),
    "PrometheusRule": Draft202012Validator(kind("monitoring.coreos.com/v1", "PrometheusRule", RULES)),
}
