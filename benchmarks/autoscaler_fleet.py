"""The Deployment, its pods and the machines below them, as the autoscaler's simulation has them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from autoscaler_broker import Broker
from autoscaler_chart import Setup
from autoscaler_clock import Clock
from autoscaler_day import HOUR, Cloud, Span
from autoscaler_meter import Meter
from autoscaler_worker import Worker

RETRY_SECONDS = 30.0
"""Between two tries to get a machine."""
DISTANT_SECONDS = 1000 * HOUR
"""Longer than anything is simulated."""


class Phase(IntEnum):
    """How far a pod is."""

    UNASSIGNED = 0
    PULLING = 1
    LOADING = 2
    READY = 3


@dataclass(eq=False, slots=True)
class Node:
    """A machine with one GPU."""

    born_at: float
    pod: "Pod | None" = None
    has_image: bool = False
    doomed: bool = False
    gone: bool = False
    since: float = 0.0
    """Beginning of what it does now, as far as that is not a worker's."""
    freed: int = 0
    """How often it was left by a pod."""


@dataclass(eq=False, slots=True)
class Pod:
    """A worker's pod."""

    born_at: float
    lot: float
    """Stands for its random UID."""
    phase: Phase = Phase.UNASSIGNED
    node: Node | None = None
    worker: Worker | None = None
    ready_at: float = 0.0
    leaving: bool = False


def victims(pods: Sequence[Pod], surplus: int, *, now: float, told_who_is_busy: bool = False) -> list[Pod]:
    """Whom a ReplicaSet takes away first: as ActivePodsWithRanks in Kubernetes' pkg/controller, for one pod to a node.

    Without a node, not yet running, not ready, cheapest to delete if that is told, then the youngest, whose ages are compared by
    their logarithms; of like ages any.
    """

    def rank(pod: Pod) -> tuple[int, int, int, float]:
        cost = pod.worker.busy if told_who_is_busy and pod.worker else 0
        age = now - (pod.ready_at if pod.phase is Phase.READY else pod.born_at)
        return pod.phase, cost, int(math.log2(age)) if age >= 1 else 0, pod.lot

    return sorted(pods, key=rank)[: max(0, surplus)]


class Fleet:
    """Keeps as many pods as are wanted, on machines that come late and go early."""

    def __init__(
        self, clock: Clock, broker: Broker, meter: Meter, *, setup: Setup, cloud: Cloud, droughts: Sequence[Span], dice: Random
    ) -> None:
        self.replicas = 0
        self.pods: list[Pod] = []
        self.nodes: list[Node] = []
        self._clock, self._broker, self._meter = clock, broker, meter
        self._setup, self._cloud, self._droughts, self._dice = setup, cloud, droughts, dice
        self._coming = 0
        clock.every(RETRY_SECONDS, self._ask_for_nodes)

    def scale(self, replicas: int) -> None:
        """Set the number of replicas."""
        self.replicas = replicas
        self._reconcile()

    def _reconcile(self) -> None:
        staying = [pod for pod in self.pods if not pod.leaving]
        surplus = victims(staying, len(staying) - self.replicas, now=self._clock.now, told_who_is_busy=self._setup.told_who_is_busy)
        for pod in surplus:
            self._end(pod, "scale-down", killed_after=self._setup.termination_seconds)
        for _ in range(len(staying), self.replicas):
            self.pods.append(Pod(self._clock.now, self._dice.random()))
        self._place()
        self._ask_for_nodes()

    def _place(self) -> None:
        """Give free machines to pods that have none."""
        free = [node for node in self.nodes if node.pod is None and not node.doomed]
        for pod, node in zip([pod for pod in self.pods if pod.node is None], free, strict=False):
            pod.node, node.pod, pod.phase = node, pod, Phase.PULLING
            self._spend("empty", node)
            self._clock.after(0 if node.has_image else self._cloud.pull.draw(self._dice), self._unless_gone(pod, self._pulled))

    def _unless_gone(self, pod: Pod, then: Callable[[Pod], None]) -> Callable[[], None]:
        return lambda: None if pod.leaving else then(pod)

    def _pulled(self, pod: Pod) -> None:
        assert pod.node is not None
        pod.node.has_image, pod.phase = True, Phase.LOADING
        self._clock.after(self._cloud.load.draw(self._dice), self._unless_gone(pod, self._loaded))

    def _loaded(self, pod: Pod) -> None:
        assert pod.node is not None
        pod.phase, pod.ready_at = Phase.READY, self._clock.now
        self._spend("starting", pod.node)
        at_once = self._setup.shards_at_once
        pod.worker = Worker(self._clock, self._broker, self._meter, shards_at_once=at_once, gone=lambda: self._gone(pod))

    def _end(self, pod: Pod, whom: str, *, killed_after: float) -> None:
        """Tell a pod to end; the ReplicaSet counts it no more. One that loads has nothing to finish."""
        begun, pod.leaving = pod.leaving, True
        if pod.worker:
            pod.worker.leave(whom, grace_seconds=self._setup.grace_seconds, killed_after=killed_after)
        elif not begun:
            self._gone(pod)

    def _gone(self, pod: Pod) -> None:
        pod.leaving = True
        self.pods.remove(pod)
        if pod.node and pod.phase is not Phase.READY:
            self._spend("starting", pod.node)
        if pod.node:
            self._free(pod.node)

    def _spend(self, what: str, node: Node) -> None:
        self._meter.spend(what, self._clock.now - node.since)
        node.since = self._clock.now

    def _free(self, node: Node) -> None:
        node.pod, node.since, node.freed = None, self._clock.now, node.freed + 1
        freed = node.freed
        self._place()
        if math.isfinite(self._cloud.linger_seconds):
            self._clock.after(self._cloud.linger_seconds, lambda: self._remove(node) if node.pod is None and node.freed == freed else None)

    def _ask_for_nodes(self) -> None:
        lacking = sum(pod.node is None for pod in self.pods) - self._coming
        to_be_had = self._machines_to_be_had() - len(self.nodes) - self._coming
        for _ in range(min(lacking, to_be_had)):
            self._coming += 1
            asked_at = self._clock.now
            self._clock.after(self._cloud.provision.draw(self._dice), lambda asked_at=asked_at: self._arrive(asked_at))

    def _machines_to_be_had(self) -> int:
        return self._cloud.machines_in_drought if self._in_drought(self._clock.now) else self._cloud.machines

    def _in_drought(self, when: float) -> bool:
        return any(when in drought for drought in self._droughts)

    def _arrive(self, asked_at: float) -> None:
        self._coming -= 1
        node = Node(asked_at, since=asked_at)
        self._spend("starting", node)
        self.nodes.append(node)
        self._clock.at(self._taken_at(), lambda: self._notice(node))
        self._free(node)

    def _taken_at(self) -> float:
        """When a machine of now will be taken: by thinning, since more are taken in a drought."""
        often = max(self._cloud.taken_per_hour, self._cloud.taken_per_hour_in_drought)
        when = self._clock.now
        while often and when < DISTANT_SECONDS:
            when += self._dice.expovariate(often / HOUR)
            now_and_then = self._cloud.taken_per_hour_in_drought if self._in_drought(when) else self._cloud.taken_per_hour
            if self._dice.random() < now_and_then / often:
                return when
        return math.inf

    def _notice(self, node: Node) -> None:
        """The machine is to be taken: its pod is evicted, and the ReplicaSet replaces it at once."""
        node.doomed = True
        self._clock.after(self._cloud.eviction_seconds, lambda: self._evict(node))
        self._clock.after(self._cloud.notice_seconds, lambda: self._remove(node))

    def _evict(self, node: Node) -> None:
        if node.pod and not node.gone:
            left = self._cloud.notice_seconds - self._cloud.eviction_seconds
            self._end(node.pod, "spot", killed_after=min(left, self._setup.termination_seconds))
            self._reconcile()

    def _remove(self, node: Node) -> None:
        if not node.gone:
            node.gone = True
            self.nodes.remove(node)
            if node.pod is None or node.pod.phase is not Phase.READY:
                self._spend("starting" if node.pod else "empty", node)
            self._meter.spend("paid", self._clock.now - node.born_at)

    def close(self) -> None:
        """Count what there is at the end of the simulation."""
        for pod in self.pods:
            if pod.worker:
                pod.worker.close()
        for node in list(self.nodes):
            self._remove(node)
