"""When a study is complete: the strongest evidence decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydicom.dataset import Dataset

from isocenter.gateway.complete.evidence import Known, Told, judge
from isocenter.gateway.complete.watch import Watch
from isocenter.gateway.configuration.configuration import CompletenessKeys
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]
KEYS = CompletenessKeys(quiet_s=60.0, longest_wait_s=1800.0)
WHOLE = Told(kind="mpps", num_listed=3, num_missing=0)
SHORT = Told(kind="mpps", num_listed=4, num_missing=1)
IAN = Told(kind="ian", num_listed=3, num_missing=0)


@pytest.mark.parametrize(
    ("facts", "by"),
    [
        ({"quiet_s": 0.0, "told": [WHOLE]}, "mpps"),
        ({"quiet_s": 0.0, "told": [IAN]}, "ian"),
        ({"quiet_s": 100.0, "told": [SHORT]}, ""),
        ({"quiet_s": 100.0, "told": [SHORT, IAN]}, ""),
        ({"quiet_s": 2000.0, "told": [SHORT]}, "waited"),
        ({"quiet_s": 59.0}, ""),
        ({"quiet_s": 61.0}, "quiet"),
        ({"quiet_s": 61.0, "asks_archive": True}, ""),
        ({"quiet_s": 61.0, "asks_archive": True, "archive_counts": [3]}, ""),
        ({"quiet_s": 61.0, "asks_archive": True, "archive_counts": [2, 3]}, ""),
        ({"quiet_s": 61.0, "asks_archive": True, "archive_counts": [3, 3]}, "counts"),
        ({"quiet_s": 61.0, "asks_archive": True, "archive_counts": [4, 4]}, ""),
        ({"quiet_s": 1900.0, "asks_archive": True, "archive_counts": [4, 4]}, "waited"),
    ],
)
def test_the_strongest_evidence_decides(facts: dict[str, Any], by: str) -> None:
    verdict = judge(Known(num_instances=3, **facts), KEYS)
    assert (verdict.is_complete, verdict.by) == (bool(by), by)
    assert verdict.why


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_study_is_quiet_from_its_last_new_instance(
    store: Store, take: Callable[[Dataset], str], make_study: MakeStudy
) -> None:
    clock = Clock()
    watch = Watch(store, KEYS, clock=clock)
    first, second, third = make_study()
    take(first)
    assert not watch.look()[0][1].is_complete
    clock.now += 50
    take(second)
    take(second)
    assert not watch.look()[0][1].is_complete
    clock.now += 50
    take(second)  # once more, which is nothing new
    assert not watch.look()[0][1].is_complete
    clock.now += 11
    ((uid, verdict),) = watch.look()
    assert (uid, verdict.by) == (first.StudyInstanceUID, "quiet")
    assert not watch.look()
    take(third)
    ((_, verdict),) = watch.look()
    assert not verdict.is_complete


def test_an_archive_is_asked_only_of_quiet_studies_and_not_too_often(
    store: Store, take: Callable[[Dataset], str], make_study: MakeStudy
) -> None:
    clock, asked = Clock(), []

    def count(study_uid: str) -> int:
        asked.append(study_uid)
        return 1

    watch = Watch(store, KEYS, count=count, clock=clock)
    take(make_study()[0])
    watch.look()
    assert not asked
    clock.now += 61
    for _ in range(3):
        assert not watch.look()[0][1].is_complete
    assert len(asked) == 1
    clock.now += KEYS.archive_poll_s
    ((_, verdict),) = watch.look()
    assert verdict.by == "counts"
