from __future__ import annotations

import pytest

from isocenter.core.errors import InputRefused
from isocenter.core.settings import with_settings
from isocenter.datasets.splits import PARTS, SplitRule, check_parts, count_parts

SHARES = SplitRule(validation_share=0.1, calibration_share=0.2, test_share=0.3, seed=4)
PATIENTS = [f"patient {k}" for k in range(4000)]


def test_named_patients_go_where_they_are_named_and_others_are_trained_on() -> None:
    rule = SplitRule(validation=("v",), calibration=("c", "d"), test=("t",))
    assert [rule.part_of(p) for p in "vcdtx"] == [
        "validation",
        "calibration",
        "calibration",
        "test",
        "train",
    ]


def test_others_are_shared_out_as_asked() -> None:
    counts = count_parts(map(SHARES.part_of, PATIENTS))
    assert tuple(counts) == PARTS
    for part, share in zip(PARTS, (0.4, 0.1, 0.2, 0.3), strict=True):
        assert counts[part] / len(PATIENTS) == pytest.approx(share, abs=0.03)


def test_a_name_goes_before_the_hash() -> None:
    someone = next(p for p in PATIENTS if SHARES.part_of(p) == "train")
    named = with_settings(SHARES, {"test": [someone]})
    assert named.part_of(someone) == "test"


def test_the_seed_alone_decides() -> None:
    """Nothing else of the collection enters, so that further patients move nobody."""
    again = with_settings(SHARES, {})
    assert [again.part_of(p) for p in PATIENTS] == [SHARES.part_of(p) for p in PATIENTS]
    other = with_settings(SHARES, {"seed": 5})
    assert [other.part_of(p) for p in PATIENTS] != [SHARES.part_of(p) for p in PATIENTS]


def test_a_larger_test_share_takes_nobody_out_of_test() -> None:
    larger = with_settings(SHARES, {"test_share": 0.4})
    assert all(larger.part_of(p) == "test" for p in PATIENTS if SHARES.part_of(p) == "test")


def test_a_patient_named_in_two_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="1 patient named in two parts, validation and test"):
        SplitRule(validation=("a", "b"), test=("b",))


@pytest.mark.parametrize("share", [-0.1, 0.5, 2.0])
def test_shares_must_leave_patients_to_train_on(share: float) -> None:
    with pytest.raises(ValueError, match="leave patients to train on"):
        SplitRule(validation_share=share, test_share=0.5)


def test_too_few_patients_are_told_by_part_with_what_to_do() -> None:
    parts = {"a": "train", "b": "train", "c": "calibration", "d": "validation", "e": "train"}
    with pytest.raises(InputRefused) as refusal:
        check_parts(parts, SHARES)
    said = str(refusal.value)
    assert "5 patients" in said
    assert "calibration has 1 of at least 3" in said
    assert "raise split.calibration_share" in said
    assert "split.seed" in said


def test_where_no_split_would_do_the_number_needed_is_said() -> None:
    with pytest.raises(InputRefused, match="At least 5 patients are needed"):
        check_parts({"a": "train"}, SHARES)


def test_enough_patients_pass() -> None:
    parts = {"a": "train", "b": "validation"} | dict.fromkeys("cde", "calibration")
    check_parts(parts, SHARES)
