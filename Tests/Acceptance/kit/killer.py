"""Chooses the moments of the kills, and says afterwards from evidence in which phase each one fell."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from kit.conversation import Attempt, Conversation
from kit.model import Ask, ModelServer
from kit.store import read_remains
from kit.worker import Worker

STREAMING, COMMITTING, ACKNOWLEDGED, ARCHIVING, ELSEWHERE = (
    "streaming",
    "committing",
    "acknowledged",
    "archiving",
    "elsewhere",
)
JUST_NOW = 0.005  # seconds after an event in which what follows it counts as its phase


def quotas(kills: int) -> dict[str, int]:
    """How many kills must fall in each phase: 40, 20 and 20 of 200, and as many just after an acknowledgement."""
    return {
        STREAMING: kills // 5,
        COMMITTING: kills // 10,
        ARCHIVING: kills // 10,
        ACKNOWLEDGED: kills // 20,
    }


@dataclass
class KillCount:
    """Kills by phase; of those that fell in a commit, how many the store turned out to hold already."""

    phases: Counter[str] = field(default_factory=Counter)
    committed_unseen: int = 0

    def of(self, phase: str) -> int:
        return self.phases[phase]

    def lines(self) -> list[str]:
        parts = ", ".join(f"{self.phases[p]} {p}" for p in (*quotas(0), ELSEWHERE))
        return [
            f"{self.phases.total()} kills: {parts}",
            f"of those committing, {self.committed_unseen} left a turn in the store whose end no client had seen",
        ]


class Killer:
    """Kills and restarts one worker while conversations go on."""

    def __init__(
        self, worker: Worker, model: ModelServer, talks: list[Conversation], rng: random.Random
    ) -> None:
        self.worker, self.model, self.talks, self.rng = worker, model, talks, rng
        self.count = KillCount()
        self._changed = threading.Condition()
        self._seen: Counter[str] = Counter()
        self._replied: dict[str, float] = {}  # a turn's text: when the model had sent all of its reply
        self._commit_window = 0.002
        self._least: dict[str, int] = {}
        model.on_sent_all = self._model_sent_all
        model.on_begun = self._model_begun
        for talk in talks:
            talk.notice = self._notice

    def kill_until(self, kills: int) -> KillCount:
        """Goes on until there were as many kills as asked for and every phase has had its share."""
        self._least = quotas(kills)
        while self.count.phases.total() < kills or any(self._lacks(phase) for phase in self._least):
            if self.count.phases.total() > 3 * kills:
                return self.count  # the shares will be found wanting
            lacking = [phase for phase in self._least if self._lacks(phase)]
            self._kill_in(self.rng.choice(lacking or [*self._least, ELSEWHERE]))
        return self.count

    def _kill_in(self, phase: str) -> None:
        if phase == ELSEWHERE:
            time.sleep(self.rng.uniform(0.005, 0.3))
        elif self._wait_for(phase):
            time.sleep(self._delay(phase))
        attempts = [talk.attempt for talk in self.talks if talk.attempt is not None]
        archive = self._archives_at_work()
        killed = time.monotonic()
        self.worker.kill()
        self._let_clients_notice(attempts)
        fell = self._phases_of(attempts, archive, killed)
        counted = self._counted(phase, fell)
        self.count.phases[counted] += 1
        if phase == COMMITTING:
            self._learn_window(COMMITTING in fell)
        if counted == COMMITTING:
            self._look_into_store(attempts, killed)
        self.worker.start()

    def _counted(self, aim: str, fell: list[str]) -> str:
        """A kill counts once: where it was aimed at, else in a phase that lacks kills, else in the shortest-lived one."""
        if aim in fell:
            return aim
        lacking = [phase for phase in fell if self._lacks(phase)]
        return next(iter(lacking or fell), ELSEWHERE)

    def _lacks(self, phase: str) -> bool:
        return self.count.of(phase) < self._least.get(phase, 0)

    def _delay(self, phase: str) -> float:
        longest = {STREAMING: 0.02, COMMITTING: self._commit_window, ACKNOWLEDGED: 0.001, ARCHIVING: 0.12}
        return self.rng.uniform(0, longest[phase])

    def _learn_window(self, hit: bool) -> None:
        """A commit's length is not known from outside: widen while kills fall into it, narrow while they come late."""
        self._commit_window = min(0.02, max(0.0001, self._commit_window * (1.25 if hit else 0.7)))

    def _wait_for(self, phase: str) -> bool:
        with self._changed:
            before = self._seen[phase]
            return self._changed.wait_for(lambda: self._seen[phase] > before, timeout=10)

    def _notice(self, phase: str) -> None:
        with self._changed:
            self._seen[phase] += 1
            self._changed.notify_all()

    def _model_sent_all(self, ask: Ask) -> None:
        if ask.kind == "chat":
            self._replied[ask.said] = time.monotonic()
            self._notice(COMMITTING)

    def _model_begun(self, ask: Ask) -> None:
        if ask.kind == "summary":
            self._notice(ARCHIVING)

    def _archives_at_work(self) -> bool:
        """A summary or its embedding is being made, or was handed over just now."""
        now = time.monotonic()
        return any(
            ask.sent_all is None or now - ask.sent_all < JUST_NOW
            for ask in self.model.asks[-50:]
            if ask.client_gone is None and now - ask.begun < 5 and (ask.kind == "summary" or _of_summary(ask))
        )

    def _let_clients_notice(self, attempts: list[Attempt]) -> None:
        """What the worker had sent before its death is still to be read: the clients see it, then the end."""
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            current = [talk.attempt for talk in self.talks]
            if all(a.acknowledged or not any(a is c for c in current) for a in attempts):
                return
            time.sleep(0.001)

    def _phases_of(self, attempts: list[Attempt], archive: bool, killed: float) -> list[str]:
        """The phases that some session was in, the shortest-lived first."""
        fell = set()
        for attempt in attempts:
            if attempt.acknowledged is not None:
                if killed - attempt.acknowledged < JUST_NOW:
                    fell.add(ACKNOWLEDGED)
            elif self._reply_was_whole(attempt, killed):
                fell.add(COMMITTING)
            elif attempt.first_text is not None and attempt.first_text <= killed:
                fell.add(STREAMING)
        if archive:
            fell.add(ARCHIVING)
        return [p for p in (COMMITTING, ACKNOWLEDGED, ARCHIVING, STREAMING) if p in fell]

    def _reply_was_whole(self, attempt: Attempt, killed: float) -> bool:
        return attempt.asked <= self._replied.get(attempt.text, 0) <= killed

    def _look_into_store(self, attempts: list[Attempt], killed: float) -> None:
        rows = read_remains(self.worker.data)
        stored = {turn.id for turns in rows.turns.values() for turn in turns}
        unseen = [a for a in attempts if a.acknowledged is None and self._reply_was_whole(a, killed)]
        self.count.committed_unseen += any(a.turn_id in stored for a in unseen)


def _of_summary(ask: Ask) -> bool:
    return ask.kind == "embedding" and "Summary:" in ask.prompt
