"""The load of pools of 1, 3, 10 and 50 workers, whichever is asked, while pods come, drain and die and sessions move."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from kit.autoscaler import Policy, Sample, desired, differences
from kit.census import Kind
from kit.checks import Checks, run, side_by_side
from kit.crew import Crew, Terms
from kit.fleet import Pod
from kit.model import ModelServer
from kit.pool_story import GONE, REPORT, RUNNING, Gate, Story, together

EXPIRY = 1.0 + REPORT  # sessions that were idle for too long are looked for each second
LIMITS: dict[Kind, float] = {"turns": REPORT, "drained": REPORT, "killed": GONE, "idle": EXPIRY}
HOUR = 8.0  # seconds of an hour of the day
IDLE = 12  # an hour and a half: who does not come back is idle in the middle of the hour after the next
USERS = (5, 18, 34, 26, 14, 4)  # in each hour
POLICY = Policy(target=10, least=1, most=4)
LONG_USERS = (4, 6, 12, 25, 48, 70, 88, 95, 80, 90, 72, 50, 30, 18, 9, 4)
LONG_POLICY = Policy(target=10, least=1, most=10)


def pool_of(checks: Checks, size: int, rounds: int) -> None:
    """A tenth of the pods, or one, does everything that pods do."""
    gate = Gate()
    with Crew(f"load-{size}", size, Terms(idle=3600, running=RUNNING), gate.model) as crew:
        story = Story(crew, checks, f"pool of {size}")
        story.settles("pods came")
        share = max(1, size // 10)
        first = len(crew.looks)
        story.sessions_come(crew.pods, "first")
        if size > 1:
            own_numbers_are_not_the_pools(story, first)
            story.sessions_stray()
        for number in range(rounds):
            new = story.pods_come(share)
            story.sessions_come(new, f"round-{number}")
            story.turns_are_held(gate, crew.pods[:share], f"held-{number}")
            story.pods_drain(gate, crew.pods[:share], f"drain-{number}")
            story.pods_come(share)
            story.pods_die(crew.pods[:share])
        checks.note(story.line())
        story.redis_stops()
    gate.model.close()


def own_numbers_are_not_the_pools(story: Story, first: int) -> None:
    """The control: a signal of one pod's own numbers is wrong at every look at which that of the pool is right."""
    expected = story.crew.census.rows()
    true = sum(row.active for row in expected.values())
    looks = [look for look in story.crew.looks[first:] if look.is_right(expected)]
    alone = {look.own.active for look in looks}
    story.checks.holds(
        f"{story.what}, control: no pod's own number is the pool's",
        bool(alone) and true not in alone,
        f"{sorted(alone)}, {true} in the pool",
    )


def away(checks: Checks) -> None:
    """A worker stands still and loses its connections while its sessions go on elsewhere; then it comes back."""
    model = ModelServer(keeps_asks=False)
    with Crew("load-away", 3, Terms(idle=3600), model) as crew:
        story = Story(crew, checks, "a pod that was away")
        story.sessions_come(crew.pods, "first")
        pod = crew.pods[0]
        with paused(crew, pod):
            time.sleep(GONE)
            together(partial(crew.say, session, crew.choose()) for session in crew.census.sessions_of(pod.name))
        story.settles("it is back")
        checks.note(story.line())
    model.close()


@contextmanager
def paused(crew: Crew, pod: Pod) -> Iterator[None]:
    """Nobody asks the pod meanwhile, and Redis can't tell it what it misses."""
    crew.pods.remove(pod)
    pod.process.send_signal(signal.SIGSTOP)
    crew.client().execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]
    yield
    pod.process.send_signal(signal.SIGCONT)
    crew.pods.append(pod)


@dataclass
class Day:
    """Users who come and go by a script, and an autoscaler that starts and drains real workers."""

    crew: Crew
    policy: Policy
    samples: list[Sample] = field(default_factory=list)
    alone: list[Sample] = field(default_factory=list)  # the same, had each worker told of itself only
    sizes: list[int] = field(default_factory=list)  # of the pool at the end of each hour
    _scaled: list[tuple[float, int]] = field(default_factory=list)  # when, and how many pods there were before

    def live(self, users: Sequence[int]) -> None:
        """At noon a pod dies, and another takes its place; in the last two hours nobody comes."""
        for hour, count in enumerate([*users, 0, 0]):
            ends = time.monotonic() + HOUR
            together(partial(self._visit, f"user-{number}") for number in range(count))
            if hour == len(users) // 2:
                self.crew.kill(self.crew.pods[0])
                self.crew.add()
            while time.monotonic() < ends:
                self._scale()
                time.sleep(0.1)
            self.sizes.append(len(self.crew.pods))

    def _visit(self, user: str) -> None:
        """At whichever worker; the turn runs where the session is."""
        self.crew.say(user, self.crew.choose(), self.crew.census.home(user))

    def _scale(self) -> None:
        crew, looks = self.crew, self.crew.looks
        if not looks or looks[-1].rows is None or (self.samples and looks[-1].asked <= self.samples[-1].at):
            return
        look = looks[-1]
        pods, true = len(crew.pods), crew.census.total(look.asked)
        before = next((count for at, count in self._scaled if at > look.asked - HOUR), pods)
        sample = Sample(look.asked, pods, before, look.total[0], true)
        self.samples.append(sample)
        self.alone.append(Sample(look.asked, pods, before, look.own.active, true))
        wanted = desired(sample.seen, pods, before, self.policy)
        if wanted != pods:
            self._scaled.append((time.monotonic(), pods))
        if wanted > pods:
            crew.add(wanted - pods)
        leaving = crew.pods[wanted:]
        for pod in leaving:
            crew.begin_drain(pod)
        for pod in leaving:
            crew.end_drain(pod)


def a_day(checks: Checks, users: Sequence[int], policy: Policy) -> None:
    model = ModelServer(keeps_asks=False)
    with Crew("load-day", policy.least, Terms(idle=IDLE, delay=0), model) as crew:
        day = Day(crew, policy)
        day.live(users)
        changes = crew.census.changes(time.monotonic())
    model.close()
    found, alone = differences(day.samples, policy), differences(day.alone, policy)
    wrong = sum(len(difference.looks) for difference in found)
    longest = max((difference.seconds for difference in found), default=0)
    checks.note(f"a day of hours of {HOUR:.0f} s: users {list(users)}, pods {day.sizes}")
    checks.note(f"{wrong} of {len(day.samples)} looks asked for another number of pods, for {longest:.2f} s at most")
    most = max(sample.pods for sample in day.samples)
    checks.holds("the pool grew and shrank", most >= policy.most - 1 and day.sizes[-1] < most, day.sizes)
    overdue = [vars(difference) for difference in found if difference.is_overdue(changes, LIMITS)]
    checks.equal("the pods that are asked for are those of the true sum, but for a report's time", overdue, [])
    checks.equal("in the end nobody is active", day.samples[-1].seen, 0)
    noticed = [difference for difference in alone if difference.is_overdue(changes, LIMITS)]
    checks.holds("control: single pods' own numbers are caught", bool(noticed), f"{len(noticed)} times")


SMALL = ("one", "three", "day", "away")
LARGE = {"ten": 10, "fifty": 50}
PARTS = (*SMALL, *LARGE)


def program(checks: Checks, parts: Sequence[str] = SMALL, full: bool = False) -> None:
    rounds = 3 if full else 1
    small: dict[str, Callable[[Checks], None]] = {
        "one": lambda checks: pool_of(checks, 1, rounds),
        "three": lambda checks: pool_of(checks, 3, rounds),
        "day": lambda checks: a_day(checks, LONG_USERS if full else USERS, LONG_POLICY if full else POLICY),
    }
    side_by_side({name: work for name, work in small.items() if name in parts}, checks)
    # Who comes back has much to do at once, and is given the whole machine for it.
    if "away" in parts:
        away(checks)
    for name, size in LARGE.items():
        if name in parts:
            pool_of(checks, size, rounds)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true", help="also pools of 10 and 50, a longer day, more rounds")
    options.add_argument("--only", choices=PARTS, action="append", help="this part; may be given again")
    chosen = options.parse_args()
    parts = chosen.only or (PARTS if chosen.full else SMALL)
    sys.exit(run({"pool_load": lambda checks: program(checks, parts, chosen.full)}, Checks()))


if __name__ == "__main__":
    main()
