"""How many replicas Kubernetes' HorizontalPodAutoscaler and KEDA would set: their algorithms, without a cluster.

HorizontalPodAutoscaler (pkg/controller/podautoscaler, and its documentation): every 15 s, for each metric of an AverageValue target,
ceil(value / target), or what there is if that is within the tolerance; the highest of them; then the stabilization windows, then the
policies. KEDA (pkg/scaling): reads the metrics for it, says what they are where they cannot be read (`fallback`), and itself decides
between none and one: at each look from zero, and to zero a cooldown after the last look that found work.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

SYNC_SECONDS = 15.0
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """How many pods may come or go in a period."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_seconds: float

    def more(self, replicas: int) -> int:
        """The most there may be of these at the end of the period."""
        return replicas + self.value if self.kind == "Pods" else math.ceil(replicas * (1 + self.value / 100))

    def fewer(self, replicas: int) -> int:
        """The fewest."""
        return replicas - self.value if self.kind == "Pods" else int(replicas * (1 - self.value / 100))


@dataclass(frozen=True, slots=True)
class Direction:
    """How replicas are added, or taken away: by the policy that allows the most."""

    window_seconds: float
    policies: tuple[Policy, ...]


DEFAULT_UP = Direction(0, (Policy("Percent", 100, 15), Policy("Pods", 4, 15)))
DEFAULT_DOWN = Direction(300, (Policy("Percent", 100, 15),))


@dataclass(frozen=True, slots=True)
class Counts:
    """What Redis would say."""

    waiting: int
    claimed: int

    @property
    def open(self) -> int:
        """Shards that wait or are worked on."""
        return self.waiting + self.claimed


@dataclass(frozen=True, slots=True)
class Metric:
    """What is held against a target, per pod."""

    target: float
    value: Callable[[Counts], float]


@dataclass(frozen=True, slots=True)
class Fallback:
    """What holds where Redis does not answer: what there is, or so many if that is more."""

    failures: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Scaling:
    """A ScaledObject."""

    metrics: tuple[Metric, ...]
    fewest: int
    most: int
    polling_seconds: float = 30.0
    cooldown_seconds: float = 300.0
    fallback: Fallback | None = None
    up: Direction = DEFAULT_UP
    down: Direction = DEFAULT_DOWN


Reading = tuple[float, float]
"""A metric's value and its target."""


def wish(value: float, *, target: float, replicas: int) -> int:
    """How many replicas a metric is for; values are compared in thousandths, as Kubernetes keeps them."""
    per_target = int(value * 1000) / int(target * 1000)
    return replicas if abs(1 - per_target / replicas) <= TOLERANCE else math.ceil(per_target)


class Hpa:
    """A HorizontalPodAutoscaler with its memory."""

    def __init__(self, *, fewest: int, most: int, up: Direction, down: Direction) -> None:
        self._fewest, self._most, self._up, self._down = max(1, fewest), most, up, down
        self._wishes: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []

    def sync(self, now: float, readings: Sequence[Reading] | None, *, replicas: int) -> int:
        """How many replicas there should be now. None of them switches it off, and without readings nothing changes."""
        if not replicas or readings is None:
            return replicas
        wished = max(wish(value, target=target, replicas=replicas) for value, target in readings)
        allowed = self._limited(now, self._stabilized(now, wished, replicas=replicas), replicas=replicas)
        if allowed != replicas:
            self._changes = [*_later(self._changes, now - 1800), (now, allowed - replicas)]
        return allowed

    def _stabilized(self, now: float, wished: int, *, replicas: int) -> int:
        """Up to the lowest wish of one window, down to the highest of the other."""
        at_least = min([wished, *(one for _, one in _later(self._wishes, now - self._up.window_seconds))])
        at_most = max([wished, *(one for _, one in _later(self._wishes, now - self._down.window_seconds))])
        self._wishes = [*_later(self._wishes, now - 3600), (now, wished)]
        return min(max(replicas, at_least), at_most)

    def _limited(self, now: float, wished: int, *, replicas: int) -> int:
        """What policies and bounds let through."""
        if wished > replicas:
            most = max(policy.more(self._before(now, policy, replicas)) for policy in self._up.policies)
            return min(wished, self._most, max(most, replicas))
        if wished < replicas:
            fewest = min(policy.fewer(self._before(now, policy, replicas)) for policy in self._down.policies)
            return max(wished, self._fewest, min(fewest, replicas))
        return wished

    def _before(self, now: float, policy: Policy, replicas: int) -> int:
        return replicas - sum(change for _, change in _later(self._changes, now - policy.period_seconds))


def _later(events: Sequence[tuple[float, int]], than: float) -> list[tuple[float, int]]:
    return [event for event in events if event[0] > than]


class Keda:
    """KEDA's part."""

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling
        self._failures = 0
        self._active_at = -math.inf

    def read(self, counts: Counts | None, *, replicas: int) -> list[Reading] | None:
        """What the autoscaler is told of the metrics; nothing where Redis did not answer, until the fallback holds."""
        if counts is not None:
            self._failures = 0
            return [(metric.value(counts), metric.target) for metric in self._scaling.metrics]
        self._failures += 1
        fallback = self._scaling.fallback
        if fallback is None or self._failures <= fallback.failures:
            return None
        return [(max(replicas, fallback.replicas) * metric.target, metric.target) for metric in self._scaling.metrics]

    def poll(self, now: float, counts: Counts | None, *, replicas: int) -> int:
        """How many replicas there should be, as far as none or some is concerned. Redis that does not answer changes nothing."""
        readings = self.read(counts, replicas=replicas)
        if readings is None:
            return replicas
        if any(value > 0 for value, _ in readings):
            self._active_at = now
            return replicas or max(1, self._scaling.fewest)
        cold = now > self._active_at + self._scaling.cooldown_seconds
        return 0 if cold and not self._scaling.fewest else max(replicas, self._scaling.fewest)
