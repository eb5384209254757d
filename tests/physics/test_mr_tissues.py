from __future__ import annotations

import pytest

from isocenter.physics.mr_tissues import TISSUES, relaxation, tissue_values


@pytest.mark.parametrize("tissue", TISSUES)
def test_a_stronger_field_lengthens_t1_and_shortens_t2(tissue: str) -> None:
    low, high = (tissue_values(tissue, field_tesla=field) for field in (1.5, 3.0))
    between = tissue_values(tissue, field_tesla=2.0)
    assert low.t1_ms <= between.t1_ms <= high.t1_ms
    assert low.t2_star_ms >= between.t2_star_ms >= high.t2_star_ms
    assert 0 < low.t2_star_ms <= low.t2_ms <= low.t1_ms
    assert 0 < high.t2_star_ms <= high.t2_ms <= high.t1_ms
    assert 0 < low.proton_density <= 1
    assert 0 < low.adc_um2_s <= 3000
    assert relaxation(tissue, field_tesla=2.0) == (
        between.t1_ms,
        between.t2_ms,
        between.proton_density,
    )


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from 1\.5 to 3"):
        tissue_values("cortex", field_tesla=7.0)
