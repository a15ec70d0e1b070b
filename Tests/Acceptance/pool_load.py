"""The load of pools of 1, 3, 10 and 50 workers while pods come, drain and die and sessions move: soon right after each event, and right till the next."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from kit.autoscaler import Policy, Sample, desired, differences
from kit.census import Kind
from kit.checks import Checks, eventually, run, side_by_side
from kit.crew import Crew, Look, Terms
from kit.fleet import Pod
from kit.model import Ask, ModelServer, Reply, echo

REPORT = 2.5  # seconds: a report's interval, that in which it is read, and the asking
GONE = 6.5  # a pod that died is left out 5 s after its last report
EXPIRY = 1.0 + REPORT  # sessions that were idle for too long are looked for each second
LIMITS: dict[Kind, float] = {"turns": REPORT, "drained": REPORT, "killed": GONE, "idle": EXPIRY}
STEADY = 0.7  # seconds in which the answers must stay right before the next event
SESSIONS = 5  # made at each pod
RUNNING, PENDING = 4, 3  # turns that are held open at a pod
STOPPED = 9.0  # seconds for which Redis is stopped
HOLD = "hold this turn open"


class Gate:
    """A model whose turns wait, where they say so, until they are let go."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.model = ModelServer(self._reply, keeps_asks=False)
        self.waiting = 0
        self._lock = threading.Lock()

    def _reply(self, ask: Ask) -> Reply:
        answer = echo(ask)
        if HOLD in ask.said and ask.kind == "chat":
            with self._lock:
                self.waiting += 1
            answer.before_each = lambda index: None if self._open.wait(120) else None
        return answer

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Turns that ask for it are held for as long as the body takes."""
        self._open.clear()
        self.waiting = 0
        try:
            yield
        finally:
            self._open.set()


@dataclass
class Story:
    """The events of one pool, and how long its sum was wrong after each kind of them."""

    crew: Crew
    checks: Checks
    what: str
    took: dict[str, float] = field(default_factory=dict)

    def settles(self, kind: str, limit: float = REPORT, since: float | None = None) -> list[Look]:
        """Every answer is right once the limit is over, and stays so; all looks since the event."""
        since = since or time.monotonic()
        expected = self.crew.census.rows()
        time.sleep(max(0, since + limit + STEADY - time.monotonic()))
        looks = [look for look in self.crew.looks if look.asked >= since]
        wrong = [look for look in looks if not look.is_right(expected)]
        right = [look for look in looks if look.is_right(expected)]
        last = wrong[-1].asked if wrong else since
        first = next((look.answered for look in right if look.asked >= last), None)
        took = first - since if first is not None else float("inf")
        shown = f"{took:.2f} s" if took <= limit else f"{wrong[-1]}; expected {expected}"
        self.checks.holds(f"{self.what}, {kind}: right within {limit:.1f} s", took <= limit, shown)
        self.took[kind] = max(self.took.get(kind, 0), took)
        return looks

    def line(self) -> str:
        return f"{self.what}: seconds until right: " + ", ".join(f"{kind} {s:.2f}" for kind, s in self.took.items())


def together(calls: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()


def sessions_come(story: Story, pods: list[Pod], name: str) -> list[Look]:
    crew = story.crew
    together([lambda s=f"{name}-{pod.name}-{n}", p=pod: crew.say(s, p) for pod in pods for n in range(SESSIONS)])
    return story.settles("sessions made")


def sessions_stray(story: Story) -> None:
    """Asked at another worker than theirs, they stay where they are and count once."""
    crew = story.crew
    calls: list[Callable[[], None]] = []
    for home in crew.pods:
        for session in crew.census.sessions_of(home.name)[:2]:
            calls.append(lambda s=session, h=home: crew.say(s, crew.choose(but=h.name), at=h.name))
    together(calls)
    story.settles("asked elsewhere")


def sessions_move(story: Story, kind: str, names: list[str]) -> None:
    """The sessions of pods that can't have them any more speak at others."""
    crew = story.crew
    sessions = [s for name in names for s in crew.census.sessions_of(name)]
    together([lambda s=session: crew.say(s, crew.choose()) for session in sessions])
    story.settles(kind)


@contextmanager
def held(story: Story, gate: Gate, pods: list[Pod], name: str, pending: int) -> Iterator[None]:
    """Turns run at the pods, and wait there, until the body is done; some come by way of other workers."""
    crew = story.crew
    with ExitStack() as undo:
        pool = undo.enter_context(ThreadPoolExecutor(len(pods) * (RUNNING + pending)))
        undo.enter_context(gate.closed())

        def begin(pod: Pod, session: str, way: Pod) -> None:
            turns.append(pool.submit(crew.say, session, way, pod.name, HOLD))

        turns = []
        for pod in pods:
            for n, session in enumerate(crew.census.sessions_of(pod.name)[:RUNNING]):
                begin(pod, session, crew.choose(but=pod.name) if n % 2 else pod)
        if not eventually(lambda: gate.waiting == len(turns) == len(pods) * RUNNING, 20):
            raise RuntimeError(f"{gate.waiting} of {len(turns)} turns run")
        for pod in pods:
            for n in range(pending):
                begin(pod, f"{name}-{pod.name}-waits-{n}", pod)
        for pod in pods:
            undo.enter_context(crew.census.held(pod.name, RUNNING, pending))
        time.sleep(0.3)  # those that are to wait have arrived
        yield
    for turn in turns:
        turn.result()


def turns_are_held(story: Story, gate: Gate, pods: list[Pod], name: str) -> None:
    with held(story, gate, pods, name, PENDING):
        story.settles("turns begun")
    story.settles("turns ended")


def pods_drain(story: Story, gate: Gate, pods: list[Pod], name: str) -> None:
    """Marked from the beginning, counted to their end; their sessions go to others meanwhile."""
    crew, names = story.crew, [pod.name for pod in pods]
    with held(story, gate, pods, name, 0):
        running = [s for n in names for s in crew.census.sessions_of(n)[:RUNNING]]
        for pod in pods:
            crew.begin_drain(pod)
        story.settles("draining")
        moving = [s for n in names for s in crew.census.sessions_of(n) if s not in running]
        together([lambda s=session: crew.say(s, crew.choose()) for session in moving])
        story.settles("moved from a draining pod")
    codes = [crew.end_drain(pod) for pod in pods]
    story.checks.equal(f"{story.what}: drained pods end with 0", codes, [0] * len(pods))
    story.settles("drained")
    sessions_move(story, "moved from a drained pod", names)


def pods_die(story: Story, pods: list[Pod]) -> None:
    crew, names = story.crew, [pod.name for pod in pods]
    since = time.monotonic()
    for pod in pods:
        crew.kill(pod)
    story.settles("killed", GONE, since)
    sessions_move(story, "moved from a dead pod", names)


def pods_come(story: Story, count: int) -> list[Pod]:
    new = story.crew.add(count)
    story.settles("pods came")
    return new


def redis_stops(story: Story) -> None:
    """That nobody knows must not look like few: an error comes, and then the truth."""
    crew, checks, what = story.crew, story.checks, story.what
    expected = crew.census.rows()
    crew.redis.pause()
    stopped = time.monotonic()
    time.sleep(STOPPED)
    resumed = time.monotonic()
    crew.redis.resume()
    looks = story.settles("Redis back", limit=REPORT + 2, since=resumed)
    before = [look for look in crew.looks if stopped <= look.asked < resumed]
    unknown = [look.answered - stopped for look in before if look.status == 503]
    late = [str(look) for look in before if look.asked > stopped + 6 and look.status != 503]
    checks.equal(f"{what}: without Redis the load is unknown after 5 s", late, [])
    checks.holds(f"{what}: and not before 4 s", min(unknown) > 4, f"{min(unknown):.1f} s")
    wrong = [look for look in before + looks if look.status == 200 and not look.is_right(expected)]
    told = [f"{look.answered - resumed:+.2f} s: {look}" for look in wrong]
    checks.equal(f"{what}: and then right, at once", told, [])


def pool_of(checks: Checks, size: int, rounds: int) -> None:
    """A tenth of the pods, or one, does everything that pods do."""
    what, gate = f"pool of {size}", Gate()
    with Crew(f"load-{size}", size, Terms(idle=3600, running=RUNNING), gate.model) as crew:
        story = Story(crew, checks, what)
        story.settles("pods came")
        share = max(1, size // 10)
        looks = sessions_come(story, crew.pods, "first")
        if size > 1:
            expected = crew.census.rows()
            alone = [look.rows[look.pod].active for look in looks if look.rows and look.is_right(expected)]
            true = sum(row.active for row in expected.values())
            checks.holds(
                f"{what}, control: no pod's own number is the pool's",
                bool(alone) and true not in alone,
                f"{sorted(set(alone))}, {true} in the pool",
            )
            sessions_stray(story)
        for number in range(rounds):
            new = pods_come(story, share)
            sessions_come(story, new, f"round-{number}")
            turns_are_held(story, gate, crew.pods[:share], f"held-{number}")
            pods_drain(story, gate, crew.pods[:share], f"drain-{number}")
            pods_come(story, share)
            pods_die(story, crew.pods[:share])
        checks.note(story.line())
        redis_stops(story)
    gate.model.close()


def away(checks: Checks) -> None:
    """A worker stands still and loses its connections while its sessions go on elsewhere; then it comes back."""
    model = ModelServer(keeps_asks=False)
    with Crew("load-away", 3, Terms(idle=3600), model) as crew:
        story = Story(crew, checks, "a pod that was away")
        sessions_come(story, crew.pods, "first")
        pod = crew.pods[0]
        with paused(crew, pod):
            time.sleep(GONE)
            sessions = crew.census.sessions_of(pod.name)
            together([lambda s=session: crew.say(s, crew.choose()) for session in sessions])
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


class Day:
    """Users who come and go by a script, in hours of some seconds, and an autoscaler that starts and drains real workers."""

    HOUR = 8.0
    IDLE = 12  # an hour and a half: who doesn't come back is idle in the middle of the next hour

    def __init__(self, users: list[int], policy: Policy) -> None:
        self.users, self.policy = users, policy
        self.samples: list[Sample] = []
        self.alone: list[Sample] = []  # the same, had each asked worker told of itself only
        self.sizes: list[int] = []
        self._scaled: list[tuple[float, int]] = []  # when, and how many pods there were before

    def live(self, crew: Crew, kill_at: int) -> None:
        for hour, users in enumerate([*self.users, 0, 0]):
            ends = time.monotonic() + self.HOUR
            together([lambda n=number: self._visit(crew, f"user-{n}") for number in range(users)])
            if hour == kill_at:
                crew.kill(crew.pods[0])
                crew.add()
            while time.monotonic() < ends:
                self._scale(crew)
                time.sleep(0.1)
            self.sizes.append(len(crew.pods))

    def _visit(self, crew: Crew, user: str) -> None:
        """At whichever worker; the turn runs where the session is."""
        pod = crew.choose()
        crew.say(user, pod, at=crew.census.home(user))

    def _scale(self, crew: Crew) -> None:
        look = crew.looks[-1]
        if look.status != 200 or look.rows is None or (self.samples and look.asked <= self.samples[-1].at):
            return
        pods, true = len(crew.pods), crew.census.total(look.asked)
        before = next((count for at, count in self._scaled if at > look.asked - self.HOUR), pods)
        sample = Sample(look.asked, pods, before, look.total[0], true)
        own = look.rows[look.pod].active if look.pod in look.rows else 0
        self.samples.append(sample)
        self.alone.append(Sample(look.asked, pods, before, own, true))
        wanted = desired(sample.seen, pods, before, self.policy)
        if wanted != pods:
            self._scaled.append((time.monotonic(), pods))
        if wanted > pods:
            crew.add(wanted - pods)
        for pod in crew.pods[wanted:]:
            crew.begin_drain(pod)
        for pod in [pod for pod in crew.pods if pod.is_leaving]:
            crew.end_drain(pod)


def day(checks: Checks, users: list[int], policy: Policy) -> None:
    model = ModelServer(keeps_asks=False)
    with Crew("load-day", policy.least, Terms(idle=Day.IDLE, delay=0), model) as crew:
        through = Day(users, policy)
        through.live(crew, kill_at=len(users) // 2)
        changes = crew.census.changes(time.monotonic())
    model.close()
    found, alone = differences(through.samples, policy), differences(through.alone, policy)
    seconds = [difference.seconds for difference in found]
    checks.note(
        f"a day of {len(users)} hours of {Day.HOUR:.0f} s: users {users}, pods {through.sizes}; of {len(through.samples)} looks "
        f"{sum(not s.agrees(policy) for s in through.samples)} asked for another number, for {max(seconds, default=0):.2f} s at most"
    )
    most = max(sample.pods for sample in through.samples)
    checks.holds("the pool grew and shrank", most >= policy.most - 1 and through.sizes[-1] < most, through.sizes)
    overdue = [vars(difference) for difference in found if difference.is_overdue(changes, LIMITS)]
    checks.equal("the pods that are asked for are those of the true sum, but for the time of a report", overdue, [])
    checks.equal("in the end nobody is active", through.samples[-1].seen, 0)
    noticed = [difference for difference in alone if difference.is_overdue(changes, LIMITS)]
    checks.holds("control: single pods' own numbers are caught", bool(noticed), f"{len(noticed)} times")


SHORT = ("one", "three", "day", "away")
LARGE = {"ten": 10, "fifty": 50}
PARTS = (*SHORT, *LARGE)


def program(checks: Checks, parts: Sequence[str] = SHORT, full: bool = False) -> None:
    users = [5, 18, 34, 26, 14, 4]
    policy = Policy(target=10, least=1, most=4)
    if full:
        users = [4, 6, 12, 25, 48, 70, 88, 95, 80, 90, 72, 50, 30, 18, 9, 4]
        policy = Policy(target=10, least=1, most=10)
    rounds = 3 if full else 1
    small: dict[str, Callable[[Checks], None]] = {
        "one": lambda checks: pool_of(checks, 1, rounds),
        "three": lambda checks: pool_of(checks, 3, rounds),
        "day": lambda checks: day(checks, users, policy),
        "away": away,
    }
    side_by_side({name: small[name] for name in small if name in parts}, checks)
    for name, size in LARGE.items():
        if name in parts:
            pool_of(checks, size, rounds)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true", help="also pools of 10 and 50, a longer day, and more rounds")
    options.add_argument("--only", choices=PARTS, action="append", help="this part; may be given again")
    chosen = options.parse_args()
    parts = chosen.only or (PARTS if chosen.full else SHORT)
    sys.exit(run({"pool_load": lambda checks: program(checks, parts, chosen.full)}, Checks()))


if __name__ == "__main__":
    main()
