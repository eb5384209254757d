from __future__ import annotations

import math

import numpy as np
import pytest

from isocenter.evaluation.bootstrap import bootstrap_mean


def test_interval_of_a_normal_mean_has_the_textbook_width() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = bootstrap_mean(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * 2 / 20, rel=0.15)


def test_slices_of_one_patient_do_not_pass_for_independent() -> None:
    of_patient = np.random.default_rng(1).normal(0, 1, 8)
    values = np.repeat(of_patient, 50)
    patients = np.repeat(np.arange(8), 50).tolist()
    by_patient = bootstrap_mean(values, patients=patients)
    by_slice = bootstrap_mean(values)
    assert by_patient.num_units == 8
    assert by_patient.high - by_patient.low > 4 * (by_slice.high - by_slice.low)


def test_weights_decide_the_mean_and_nan_is_left_out() -> None:
    assert bootstrap_mean([0, 10, math.nan], weights=[3, 1, 5]).mean == pytest.approx(2.5)


def test_one_unit_has_no_interval() -> None:
    one = bootstrap_mean([1.0, 2.0], patients=["a", "a"])
    assert one.mean == 1.5
    assert math.isnan(one.low)
    assert math.isnan(bootstrap_mean([]).mean)


def test_patients_must_be_named_for_each_value() -> None:
    with pytest.raises(ValueError, match="2 patients"):
        bootstrap_mean([1.0], patients=["a", "b"])
