"""All odd inputs, and a sample of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.odd_inputs import folders, headers, pixels, texts, volumes
from benchmarks.odd_inputs.case import Expect, OddInput

EVALUATED_EVERY = 12
SOURCES = (headers, pixels, texts, folders, volumes)


def all_inputs() -> list[OddInput]:
    """Every odd input, by kind."""
    found = [case for source in SOURCES for case in source.inputs()]
    found += _evaluated(found)
    names = [(case.kind, case.name) for case in found]
    assert len(set(names)) == len(names), "two inputs have the same name"
    return found


def _evaluated(cases: Sequence[OddInput]) -> Iterator[OddInput]:
    """Some of what is refused, given to another command that reads."""
    refused = [case for case in cases if case.expect is Expect.REFUSED and not case.arguments]
    for case in refused[::EVALUATED_EVERY]:
        if case.commands[-1] == "enhance" and case.output == "result":
            name = f"{case.kind}: {case.name}"
            yield replace(
                case, kind="evaluate", name=name, commands=("evaluate",), expect=Expect.EITHER
            )


def sample_of(cases: Sequence[OddInput], *, every: int, seed: int = 0) -> list[OddInput]:
    """One in so many of each kind, at least one, drawn from a seed, in their order."""
    if every <= 1:
        return list(cases)
    rng = np.random.default_rng(seed)
    chosen: set[tuple[str, str]] = set()
    for kind in dict.fromkeys(case.kind for case in cases):
        names = [case.name for case in cases if case.kind == kind]
        count = max(1, round(len(names) / every))
        chosen |= {(kind, str(name)) for name in rng.choice(names, count, replace=False)}
    return [case for case in cases if (case.kind, case.name) in chosen]
