"""What does not fit is refused in words, or forced with warnings."""

from __future__ import annotations

import pytest

from isocenter.core.errors import UnsuitableScan
from isocenter.tasks.suitability import Finding, Suitability, refuse_unsuitable


def finding(rule: str, *, fits: bool) -> Finding:
    return Finding(
        rule=rule,
        label=f"Label of {rule}",
        measured="3 mm",
        accepted="0.5 to 1 mm",
        advice="Reconstruct again.",
        fits=fits,
    )


def test_what_fits_passes_in_silence() -> None:
    suitability = Suitability(findings=(finding("spacing", fits=True),))
    refuse_unsuitable(suitability)
    assert suitability.warnings == ()


def test_every_broken_rule_is_named_and_the_first_is_the_reason() -> None:
    suitability = Suitability(
        findings=(finding("a", fits=True), finding("b", fits=False), finding("c", fits=False))
    )
    with pytest.raises(UnsuitableScan) as refusal:
        refuse_unsuitable(suitability)
    assert refusal.value.reason == "b"
    assert refusal.value.can_be_forced
    for words in ("Label of b: measured 3 mm; accepted 0.5 to 1 mm.", "Label of c", "--force"):
        assert words in str(refusal.value)
    assert "Label of a" not in str(refusal.value)


def test_force_goes_on_and_leaves_the_warnings() -> None:
    suitability = Suitability(findings=(finding("b", fits=False),))
    refuse_unsuitable(suitability, force=True)
    assert suitability.warnings == (suitability.findings[0].sentence(),)
