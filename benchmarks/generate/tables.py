"""How figures stand in tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.evaluation.bootstrap import bootstrap_mean


def share(
    hits: NDArray | Sequence[float], patients: Sequence[str] | None = None, *, seed: int = 0
) -> dict[str, Any]:
    """A mean with its 95 % interval, over patients where they are given."""
    return asdict(bootstrap_mean(np.asarray(hits, float), patients=patients, seed=seed))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join(lines)


def number(value: float | None, form: str = "{:.3f}") -> str:
    """A number, "" where there is none."""
    return "" if value is None else form.format(value)


def percent(one: Mapping[str, Any] | None) -> str:
    """A share with its interval, in percent."""
    if one is None or one["mean"] is None:
        return ""
    if one["low"] is None:
        return f"{100 * one['mean']:.0f} %"
    return f"{100 * one['mean']:.0f} % ({100 * one['low']:.0f} to {100 * one['high']:.0f})"


def spread(value: float | None, low: float | None, high: float | None, form: str) -> str:
    """A figure with its interval."""
    if value is None:
        return ""
    if low is None or high is None:
        return form.format(value)
    return f"{form.format(value)} ({form.format(low)} to {form.format(high)})"
