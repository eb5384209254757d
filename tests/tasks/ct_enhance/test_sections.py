"""The report of an enhancement stands alone, says what happened, and names nobody."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.record import RunRecord
from isocenter.core.volume import Geometry
from isocenter.modelpack.ct_enhance.measured import Measured, from_json
from isocenter.tasks.ct_enhance.observations import Observations, Observer, num_shown_slices
from isocenter.tasks.ct_enhance.rules import judge_scan
from isocenter.tasks.ct_enhance.sections import EnhanceFacts, headline, page_of
from isocenter.tasks.ct_enhance.settings import EnhanceSettings
from isocenter.tasks.ct_enhance.stream import enhanced_slices
from isocenter.tasks.ct_enhance.task import TASK
from isocenter.tasks.report.page import Report, checks_of, conclusion, render

Make = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A report with what it was made from."""

    report: Report
    observations: Observations
    facts: EnhanceFacts


def observe(scan: Any, model: Any) -> Observations:
    observer = Observer(scan.geometry)
    for piece in enhanced_slices(scan, model, EnhanceSettings()):
        observer.take(piece)
    return observer.observations()


def make_report(scan: Any, model: Any, **changed: Any) -> Seen:
    suitability = judge_scan(scan, model.accepted)
    settings = EnhanceSettings(strength=0.5, samples=2, seed=11, dose_fraction=0.3)
    facts = EnhanceFacts(
        geometry=scan.geometry,
        acquisition=scan.acquisition,
        settings=settings,
        suitability=suitability,
        card=model.card,
        measured=model.measured,
    )
    seen = replace(observe(scan, model), **changed)
    report = Report(
        task=TASK,
        record=RunRecord(
            task="ct_enhance",
            product_version="0.0.test",
            model_name=model.name,
            model_version=model.version,
            weights_sha256=model.weights_sha256,
            settings=asdict(settings) | {"device": "cpu"},
            source_digest="cd" * 32,
            warnings=suitability.warnings,
            library_versions={"torch": "9.9"},
        ),
        card=model.card,
        suitability=suitability,
        page=page_of(seen, facts),
    )
    return Seen(report=report, observations=seen, facts=facts)


@pytest.fixture
def measured() -> Measured:
    """Figures as a benchmark publishes them, of no model."""
    sets = [
        {"name": "one", "patients": 2, "pooled": 0.88, "tissues": {"lung": 0.87}},
        {"name": "two", "patients": 3, "pooled": 0.91, "tissues": {}},
    ]
    return from_json(
        {
            "version": 1,
            "weights_sha256": "ab" * 32,
            "coverage": {"promised": 0.9, "sets": sets},
            "contrast": {
                "contrast_hu": -20.0,
                "diameter_mm": [4, 8],
                "noise_hu": [30, 80],
                "strength": 0.0,
                "kept": [[0.6, 0.9], [0.4, 0.7]],
            },
        }
    )


@pytest.fixture
def seen(make_scan: Make, doubles: Any) -> Seen:
    return make_report(make_scan(), doubles.ModelDouble())


@pytest.fixture
def report(seen: Seen) -> Report:
    return seen.report


def text_of(page: str) -> str:
    page = re.sub(r"(?s)<style>.*?</style>|<script.*?</script>|<[^>]+>", " ", page)
    return " ".join(unescape(page).split())


def without_script(page: str) -> str:
    return re.sub(r"(?s)<script.*?</script>", "", page)


def test_it_needs_no_other_file(report: Report) -> None:
    page = render(report)
    sources = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^">)]+)', without_script(page))
    assert sources
    assert all(
        source.startswith("data:image/png;base64,") or source == "#viewer" for source in sources
    )
    assert not re.findall(r"https?://|fetch\(|XMLHttp|import\(|eval\(", page)


def test_its_policy_lets_nothing_load_and_one_script_run(report: Report) -> None:
    page = render(report)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert "default-src 'none'" in policy[1]
    (script,) = re.findall(r"(?s)<script>(.*?)</script>", page)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in unescape(policy[1])
    assert page.count("<script>") == 1


def test_every_tag_is_closed(report: Report) -> None:
    open_tags: list[str] = []
    single = {"meta", "img", "br", "input"}

    class Walker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in single:
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Walker().feed(render(report))
    assert open_tags == []


def test_it_says_what_was_done_and_with_what(report: Report) -> None:
    text = text_of(render(report))
    for expected in (
        "NOT FOR DIAGNOSIS",
        "double 1",
        "ab" * 32,
        "cd" * 32,
        report.record.digest(),
        "--strength 0.5 --samples 2 --steps 4 --seed 11",
        "torch 9.9",
        "No interval of this model was ever checked.",
        "Soft tissue",
        "coverage not measured",
        "No measured figures come with this model",
        "average of 2 samples",
    ):
        assert expected in text


def test_forced_warnings_are_prominent(make_scan: Make, doubles: Any) -> None:
    model = doubles.ModelDouble(accepted=doubles.Accepted(pixel_spacing_mm=(0.5, 1.0)))
    report = make_report(make_scan(), model).report
    text = text_of(render(report))
    assert "Forced: this scan is outside what the model was made for" in text
    assert report.record.warnings[0] in text
    assert text.index("Forced:") < text.index("1 · Images")
    assert "--force" in text
    assert "the interval was not calibrated for it" in text
    assert checks_of(report)[0].passed is False
    assert "a look" in conclusion(checks_of(report))


def test_nothing_is_said_to_be_forced_when_nothing_was(report: Report) -> None:
    text = text_of(render(report))
    assert "Forced" not in text
    assert "--force" not in text


def test_a_scanner_without_a_model_name_is_named_plainly(make_scan: Make, doubles: Any) -> None:
    scan = make_scan(acquisition=CtAcquisition(manufacturer="ACME"))
    assert "Scanner: ACME." in text_of(render(make_report(scan, doubles.ModelDouble()).report))


def test_text_from_headers_cannot_become_markup(make_scan: Make, doubles: Any) -> None:
    acquisition = CtAcquisition(kernel="<script>alert(1)</script>", manufacturer="<b>M</b>")
    page = render(make_report(make_scan(acquisition=acquisition), doubles.ModelDouble()).report)
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<b>M" not in page


def test_the_headline_follows_the_numbers(make_scan: Make, doubles: Any) -> None:
    smoothed = headline(observe(make_scan(), doubles.ModelDouble()))
    assert smoothed.startswith("Noise in the quietest soft tissue fell from")
    kept = headline(observe(make_scan(), doubles.unchanged()))
    assert "stayed at" in kept
    assert "at most 0.0 HU" in kept


def test_an_unchanged_scan_passes_every_check(make_scan: Make, doubles: Any) -> None:
    checks = checks_of(make_report(make_scan(), doubles.unchanged()).report)
    assert [check.passed for check in checks] == [True] * 4
    assert conclusion(checks) == "All 4 checks of this result passed."


def test_a_shift_of_numbers_is_found(make_scan: Make, doubles: Any) -> None:
    class Shifted(doubles.ModelDouble):
        def estimate(self, window_hu: Any, **options: Any) -> Any:
            estimate = super().estimate(window_hu, **options)
            estimate.mean_hu = window_hu[1] + np.float32(3)
            return estimate

    seen = make_report(make_scan(), Shifted())
    changes = {each.kind.key: each.change_hu for each in seen.observations.regions}
    assert changes == pytest.approx(dict.fromkeys(changes, 3.0), abs=0.01)
    assert {"lung", "soft_tissue_10_80_hu"} <= changes.keys()
    assert [check.passed for check in checks_of(seen.report)] == [True, False, True, True]


def test_few_voxels_in_much_noise_are_not_judged(make_scan: Make, doubles: Any) -> None:
    scan = make_scan(shape=(1, 96, 96), noise_hu=150.0, spacing_mm=(3.0, 1.0, 1.0))
    seen = make_report(scan, doubles.ModelDouble())
    check = checks_of(seen.report)[1]
    assert check.passed is None
    assert "told from noise" in check.answer
    assert check.looks
    assert "Mean HU of even regions" not in headline(seen.observations)


def test_what_needs_a_look_says_what_to_do_and_leads_there(make_scan: Make, doubles: Any) -> None:
    report = make_report(make_scan(), doubles.unchanged(), num_clipped=7).report
    check = checks_of(report)[3]
    page = render(report)
    assert check.advice in text_of(page)
    (target,) = [json.loads(unescape(each)) for each in re.findall(r'data-show="([^"]+)"', page)]
    assert target == {"stack": 0, "frame": 3, "layer": "side", "window": "", "at": None}
    assert text_of(page).count("What to do:") == 1


def test_clipped_pixels_are_counted(make_scan: Make, doubles: Any) -> None:
    report = make_report(make_scan(), doubles.unchanged(), num_clipped=7).report
    assert "7 of 55 296 voxels" in checks_of(report)[3].answer
    assert "7 of 55 296 voxels were clipped" in text_of(render(report))
    assert not checks_of(report)[3].passed


def test_a_few_clipped_voxels_of_a_long_scan_are_told_but_need_no_look(
    make_scan: Make, doubles: Any
) -> None:
    long = {"num_clipped": 4, "num_voxels": 2_359_296}
    check = checks_of(make_report(make_scan(), doubles.unchanged(), **long).report)[3]
    assert check.passed
    assert check.answer.startswith("4 of 2 359 296")


def test_noise_spectra_show_what_smoothing_does(seen: Seen) -> None:
    observed = seen.observations
    assert observed.noise_after_hu < 0.5 * observed.noise_before_hu
    removed = observed.uniform.removed
    assert removed is not None
    assert removed.num_regions == observed.uniform.num_regions > 0
    assert removed.noise_hu < observed.uniform.integral_hu[0]
    text = text_of(render(seen.report))
    assert "No spectrum before: it would integrate to" in text  # pixels of 3.5 mm show too little
    assert "removed is the spectrum of the difference" in text


def test_intervals_are_summarized_by_tissue(seen: Seen) -> None:
    assert {each.half_width_median_hu for each in seen.observations.regions} == {10.0}


def test_the_page_gives_one_noise_level(seen: Seen) -> None:
    """Tile, headline and check say the same, and it is what the guard measures."""
    observed = seen.observations
    text = text_of(render(seen.report))
    pair = f"{observed.noise_before_hu:.1f} to {observed.noise_after_hu:.1f} HU"
    assert pair in text
    assert pair.replace("to", "→", 1) in text
    assert f"{observed.noise_before_hu:.1f} HU before, {observed.noise_after_hu:.1f} HU" in text
    guarded = [
        finding for finding in seen.report.suitability.findings if finding.rule == "noise_level"
    ]
    assert guarded[0].measured == f"{observed.noise_before_hu:.1f} HU"


def test_a_scan_without_soft_tissue_still_gets_a_page(make_scan: Make, doubles: Any) -> None:
    scan = make_scan()
    scan.array = np.full_like(scan.array, -1000)
    text = text_of(render(make_report(scan, doubles.ModelDouble()).report))
    assert "Noise could not be measured" in text
    assert "not judged" in text
    assert "nan" not in text.lower()


def test_few_slices_are_kept_however_long_the_series(make_scan: Make, doubles: Any) -> None:
    seen = observe(make_scan(shape=(60, 96, 96)), doubles.unchanged())
    assert len(seen.views.indices) == 12
    assert len(seen.views.slices) == 3
    assert len(seen.noise.of_slices) == 24
    assert set(seen.views.indices) <= {each.index for each in seen.noise.of_slices}


@pytest.mark.parametrize(("side", "most"), [(96, 12), (512, 12), (768, 6), (1024, 3), (4096, 3)])
def test_large_matrices_get_fewer_slices(side: int, most: int) -> None:
    geometry = Geometry(shape=(600, side, side), spacing_mm=(1.0, 0.5, 0.5))
    assert num_shown_slices(geometry) == most


def test_there_is_no_lung_window_and_no_lung_row_where_there_is_no_lung(
    make_scan: Make, doubles: Any
) -> None:
    scan = make_scan()
    scan.array[scan.array < -400] = -1000
    belly = scan.array.copy()
    row, column = np.mgrid[-1:1:96j, -1:1:96j]
    belly[:, row**2 + column**2 < 0.5] = 40
    for array, lung in ((make_scan().array, True), (belly, False)):
        scan.array = array
        page = render(make_report(scan, doubles.ModelDouble()).report)
        assert ("Lung" in text_of(page)) == lung
        assert ("lung window" in page) == lung


def test_measured_figures_are_shown_beside_what_is_promised(
    make_scan: Make, doubles: Any, measured: Measured
) -> None:
    text = text_of(render(make_report(make_scan(), doubles.ModelDouble(measured=measured)).report))
    assert text.count("90 % interval (measured: 88 to 91 %)") >= 3
    assert "coverage not measured" not in text
    assert "Share of a faint" not in text  # a description, not words of the page
    assert "Contrast kept at this scan's noise" in text
    assert "lies outside the 30 to 80 HU that were measured" in text
    assert "This run has strength 0.5" in text


def test_the_largest_change_is_found_where_it_was_made(make_scan: Make, doubles: Any) -> None:
    class Eraser(doubles.ModelDouble):
        def estimate(self, window_hu: Any, **options: Any) -> Any:
            estimate = super().estimate(window_hu, **options)
            estimate.mean_hu = window_hu[1].copy()
            estimate.mean_hu[58:62, 48:52] -= 60
            return estimate

    seen = make_report(make_scan(noise_hu=3.0), Eraser())
    for place in seen.observations.changed:
        assert (abs(place.row - 59.5), abs(place.column - 49.5)) < (2, 2)
        assert place.change_hu < -20
        assert place.around_hu == pytest.approx(40, abs=5)
    text = text_of(render(seen.report))
    assert "Look here first" in text
    assert "where the scan has 4" in text
