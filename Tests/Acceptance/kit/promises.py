"""What is promised to clients, and to the tools that their turns call: whatever happens, of everything planned, and when workers die."""

from __future__ import annotations

from kit.checks import Checks
from kit.scene import Hits, Scene
from kit.traffic import Figures


def nothing_is_lost(checks: Checks, what: str, figures: Figures) -> None:
    """The promise about acknowledged turns, whatever happened."""
    checks.equal(f"{what}: events come in their order, none twice", figures.disorder, [])
    checks.equal(f"{what}: no acknowledged turn is lost", figures.lost, [])
    checks.equal(f"{what}: none is stored twice", figures.doubled, [])
    checks.equal(f"{what}: each is stored with the words that its client saw", figures.altered, [])
    checks.equal(f"{what}: what looks whole is what the model said", figures.wrong, [])


def tools_are_kept(checks: Checks, what: str, scene: Scene) -> None:
    """The promise about calls of tools, whatever happened."""
    if scene.desk is None:
        return
    verdict = scene.verdict
    checks.equal(f"{what}: calls of the tool that is not idempotent repeated", verdict.repeated, [])
    checks.equal(f"{what}: what clients were told of calls is what took place", verdict.untrue, [])
    checks.equal(f"{what}: nothing was called that no turn asked for", verdict.foreign, [])
    checks.equal(f"{what}: the tool server refused nothing", verdict.ledger.refusals, [])


def no_tool_is_hurt(checks: Checks, what: str, scene: Scene) -> None:
    """What is promised to calls of tools of everything planned."""
    if scene.desk is None:
        return
    verdict = scene.verdict
    checks.holds(f"{what}: native turns called tools", bool(verdict.told), len(verdict.told))
    checks.equal(f"{what}: every call was done", [o for o in verdict.outcomes if o != "done"], [])
    checks.equal(f"{what}: no call at all was repeated", verdict.repeated_rightly, {})
    checks.equal(f"{what}: every call of a whole turn took place", verdict.missing, [])


def nothing_is_cut(checks: Checks, what: str, scene: Scene, figures: Figures) -> None:
    """What is promised of everything planned."""
    ended = scene.fleet.ended
    if ended:
        print(f"  {len(ended)} pods ended, after {min(ended):.1f} to {max(ended):.1f} s", flush=True)
    checks.equal(f"{what}: every pod ended with 0 in its grace period", scene.fleet.faults, [])
    checks.equal(f"{what}: no reply is cut", figures.cuts, [])
    checks.equal(f"{what}: nobody sees a server's error", figures.server_errors, {})
    checks.equal(f"{what}: every turn came to its end", figures.unfinished, [])
    checks.equal(f"{what}: no client met an error of any kind", figures.troubled, [])
    nothing_is_lost(checks, what, figures)
    tools_are_kept(checks, what, scene)
    no_tool_is_hurt(checks, what, scene)


def nothing_dies_with_them(checks: Checks, what: str, scene: Scene, figures: Figures, hits: Hits) -> None:
    """What is promised when workers die."""
    if scene.desk:
        print(f"  {hits.line()}", flush=True)
    checks.equal(f"{what}: no pod ended by itself", scene.fleet.faults, [])
    nothing_is_lost(checks, what, figures)
    unfinished = [f"{s.recital.name}: {s.errors[-3:]}" for s in figures.of("native") if not s.whole]
    checks.equal(f"{what}: every native turn was completed", unfinished, [])
    tools_are_kept(checks, what, scene)
