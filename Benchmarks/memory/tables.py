"""Turns rows of values into Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

Cell = str | int | float


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Numbers stand to the right; a column is numbers where its first row is."""
    marks = ["---:" if rows and not isinstance(cell, str) else "---" for cell in (rows[0] if rows else heads)]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join(marks) + " |"]
    lines += ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _text(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def percent(part: float) -> str:
    return f"{part * 100:.1f}%"
