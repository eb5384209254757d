"""Whether a study is complete, judged from what is known of it; DICOM itself never says so.

In the order of what it is worth: a modality says that the procedure step is completed (MPPS) and
lists its instances; an archive says that instances are available (IAN) and lists them; the archive
counts as many as there are here, twice, and nothing new came for a while; nothing new came for a
while and nobody could be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isocenter.gateway.configuration.configuration import CompletenessKeys

LISTS = {"mpps": "the modality", "ian": "the archive"}
"""Kinds of evidence that list instances, the stronger first."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """A list of instances that somebody says there are.

    Attributes:
        kind: out of :data:`LISTS`.
        num_listed, num_missing: instances on it, and those that are not here.
    """

    kind: str
    num_listed: int
    num_missing: int


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of one study.

    Attributes:
        num_instances: here.
        quiet_s: since the last new one.
        told: lists of instances.
        asks_archive: whether an archive is asked how many it has.
        archive_counts: its answers since the last new instance, the latest last.
    """

    num_instances: int
    quiet_s: float
    told: Sequence[Told] = ()
    asks_archive: bool = False
    archive_counts: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a study is complete.

    Attributes:
        is_complete: what was decided.
        by: kind of evidence: "mpps", "ian", "counts", "quiet" or "waited"; "" where it is not.
        why: in words.
    """

    is_complete: bool
    by: str = ""
    why: str


def judge(known: Known, keys: CompletenessKeys) -> Verdict:
    """Decide from evidence; the strongest that speaks decides, what is missing is waited for."""
    waited = known.quiet_s >= keys.longest_wait_s
    for kind, who in LISTS.items():
        lists = [each for each in known.told if each.kind == kind and each.num_listed]
        if not lists:
            continue
        missing = sum(each.num_missing for each in lists)
        listed = sum(each.num_listed for each in lists)
        if not missing:
            return Verdict(
                is_complete=True, by=kind, why=f"all {listed} instances that {who} lists are here"
            )
        if not waited:
            return _waiting(f"{missing} of {listed} instances that {who} lists are not here yet")
    if known.quiet_s < keys.quiet_s:
        return _waiting(
            f"the last new instance came {known.quiet_s:.1f} s ago; {keys.quiet_s:g} s must be "
            "quiet"
        )
    return _judge_quiet(known, keys, waited)


def _judge_quiet(known: Known, keys: CompletenessKeys, waited: bool) -> Verdict:
    quiet = f"nothing new came for {known.quiet_s:.1f} s"
    last_two = tuple(known.archive_counts[-2:])
    if known.asks_archive and last_two == (known.num_instances,) * 2:
        return Verdict(
            is_complete=True,
            by="counts",
            why=f"{quiet}, and the archive counted {known.num_instances} instances twice, as many "
            "as are here",
        )
    if waited:
        return Verdict(
            is_complete=True, by="waited", why=f"{quiet}, the longest time that is waited"
        )
    if known.asks_archive:
        counted = f"counts {last_two[-1]}" if last_two else "was not heard yet"
        return _waiting(f"{quiet}, but the archive {counted}; {known.num_instances} are here")
    return Verdict(is_complete=True, by="quiet", why=quiet)


def _waiting(why: str) -> Verdict:
    return Verdict(is_complete=False, why=why)
