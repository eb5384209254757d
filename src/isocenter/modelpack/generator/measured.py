"""What was measured of a generator after it was made: how often images show what was asked for.

A benchmark publishes the figures as ``measured.json`` in the model's folder. They explain the model
and decide no pixel, so a folder may lack them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isocenter.core.errors import ModelRefused

MEASURED = "measured"
VERSION = 1


def obedience_in_words(
    measured: Mapping[str, Any] | None, *, family: str, weights_sha256: str
) -> str:
    """How often images of a family showed what was asked for; "" where nobody measured it.

    Args:
        measured: the figures of the model's folder.
        family: by name.
        weights_sha256: of the model; figures of other weights are left aside, and that is said.

    Raises:
        ModelRefused: the figures are not what a benchmark publishes.
    """
    if measured is None:
        return ""
    if measured.get("version") != VERSION:
        raise _refusal(f"has version {measured.get('version')!r:.20}, and {VERSION} is read")
    if measured.get("weights_sha256") != weights_sha256:
        return (
            f"The model folder's {MEASURED}.json was measured on other weights and is left aside; "
            "measure this model again."
        )
    figures = _table(_table(measured, "families"), family)
    found, judge = _table(figures, "found"), _table(figures, "judge")
    said = [
        f"the {asked} {_percent(found, asked)} ({_percent(judge, asked)} on real images)"
        for asked in found
        if asked in judge
    ]
    if not said:
        return ""
    return (
        f"Not every image shows what was asked for: measured on this model, a judge finds "
        f"{', '.join(said)}."
    )


def _table(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = whole.get(name, {})
    if not isinstance(found, Mapping):
        raise _refusal(f"needs an object for {name!s:.40}")
    return found


def _percent(shares: Mapping[str, Any], asked: str) -> str:
    share: Any = _table(shares, asked).get("mean")
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not is_number or not 0 <= share <= 1:  # not a number is neither
        raise _refusal(f"needs a share from 0 to 1 for {asked!s:.40}, got {share!r:.40}")
    return f"in {100 * share:.0f} %"


def _refusal(what: str) -> ModelRefused:
    return ModelRefused(
        f"the model's file {MEASURED}.json {what}; publish the figures again, or remove the file "
        "and its line in SHA256SUMS"
    )
