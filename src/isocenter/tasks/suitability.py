"""Whether a scan is one that a task was made for, measured before any work.

What is measured, and which values are accepted, is the task's own; how a refusal reads and what
``force`` does is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import UnsuitableScan


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule and what the scan showed.

    Attributes:
        rule: stable name, such as "pixel_spacing".
        label: the rule in words.
        measured, accepted: with units, for people.
        advice: what to do where the rule is broken.
        fits: whether the scan keeps the rule.
    """

    rule: str
    label: str
    measured: str
    accepted: str
    advice: str
    fits: bool

    def sentence(self) -> str:
        """The broken rule in one line."""
        return f"{self.label}: measured {self.measured}; accepted {self.accepted}. {self.advice}"


@dataclass(frozen=True, kw_only=True)
class Suitability:
    """The answer for one case.

    Attributes:
        findings: rule by rule, in a fixed order.
        measures: what the task measured on the way, for its own later steps.
    """

    findings: tuple[Finding, ...] = ()
    measures: Any = None

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules that the scan does not keep."""
        return tuple(finding for finding in self.findings if not finding.fits)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence a broken rule; what report and DICOM carry after ``force``."""
        return tuple(finding.sentence() for finding in self.broken)


def refuse_unsuitable(suitability: Suitability, *, force: bool = False) -> None:
    """Go on only with what keeps every rule, or is forced.

    Raises:
        UnsuitableScan: a rule is broken and ``force`` is not set. The message names each broken
            rule, what was measured, what is accepted and the nearest value that would do.
    """
    if not suitability.broken or force:
        return
    lines = "\n".join(f"  - {warning}" for warning in suitability.warnings)
    raise UnsuitableScan(
        "This scan is outside what the task was made and checked for:\n"
        f"{lines}\n"
        "With force (--force) the run goes on, and these lines are written into the report and "
        "into every DICOM object. Outside its range a result may blur or invent structure.",
        reason=suitability.broken[0].rule,
        can_be_forced=True,
    )
