"""What KEDA and the HorizontalPodAutoscaler make of a pool's load, and for how long they asked for too many pods or too few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kit.census import Change, Kind

TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
EARLY = 1.0  # seconds by which a pod may know of a change before the test does


@dataclass(frozen=True)
class Policy:
    """As the ScaledObject of a pool says it."""

    target: int  # active sessions a pod: targetValue of the trigger, AverageValue
    least: int
    most: int
    percent: int = 10  # of the pods that may go in one period


def desired(total: int, pods: int, pods_before: int, policy: Policy) -> int:
    """The pods that a load asks for, where `pods` are there and `pods_before` were when the policy's period began.

    KEDA's metrics-api scaler hands the total to an external metric with a target of type AverageValue. For that the algorithm
    of the HorizontalPodAutoscaler ("Algorithm details" in the documentation of Kubernetes) divides the total by the pods:

        ratio = (total / pods) / target
        desired = pods                        where |ratio - 1| <= tolerance
        desired = ceil(total / target)        otherwise

    Then come the bound of scaleDown's policy, floor(pods_before * (1 - percent / 100)), and minReplicas and maxReplicas. The
    stabilisation window is left out: it would hide what is looked for.
    """
    ratio = total / (pods * policy.target)
    wanted = pods if abs(ratio - 1) <= TOLERANCE else math.ceil(total / policy.target)
    slowest = math.floor(pods_before * (1 - policy.percent / 100))
    return min(max(wanted, min(slowest, pods), policy.least), policy.most)


@dataclass(frozen=True)
class Sample:
    """One look of an autoscaler, and what it should have seen."""

    at: float
    pods: int
    pods_before: int
    seen: int
    true: int

    def agrees(self, policy: Policy) -> bool:
        return self.wanted(self.seen, policy) == self.wanted(self.true, policy)

    def wanted(self, total: int, policy: Policy) -> int:
        return desired(total, self.pods, self.pods_before, policy)


@dataclass
class Difference:
    """A stretch of looks that asked for another number of pods than the true sum; the first that did not ends it."""

    looks: list[float]
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.looks[0]

    def is_overdue(self, changes: Sequence[Change], limits: dict[Kind, float]) -> bool:
        """No change of the sum explains that it was still there."""
        return not all(any(c.at - EARLY <= at <= c.at + limits[c.kind] for c in changes) for at in self.looks)


def differences(samples: Sequence[Sample], policy: Policy) -> list[Difference]:
    found: list[Difference] = []
    is_open = False
    for sample in samples:
        if is_open:
            found[-1].ended = sample.at
        if sample.agrees(policy):
            is_open = False
        elif is_open:
            found[-1].looks.append(sample.at)
        else:
            is_open = True
            found.append(Difference([sample.at], sample.at))
    return found
