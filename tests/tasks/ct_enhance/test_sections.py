"""The report of an enhancement stands alone, says what happened, and names nobody."""

from __future__ import annotations

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
from isocenter.tasks.ct_enhance.observations import Observations, Observer
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
    observer = Observer(num_slices=len(scan), spacing_mm=scan.geometry.spacing_mm[1:])
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
def seen(make_scan: Make, doubles: Any) -> Seen:
    return make_report(make_scan(), doubles.ModelDouble())


@pytest.fixture
def report(seen: Seen) -> Report:
    return seen.report


def text_of(page: str) -> str:
    page = re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", page)
    return " ".join(unescape(page).split())


def test_it_needs_no_other_file_and_no_script(report: Report) -> None:
    page = render(report)
    assert "<script" not in page
    sources = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^">)]+)', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_every_tag_is_closed(report: Report) -> None:
    open_tags: list[str] = []
    single = {"meta", "img", "br"}

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
        "Muscle",
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
    assert "<script" not in page
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
    changes = {each.tissue: each.change_hu for each in seen.observations.tissues}
    assert changes == pytest.approx(dict.fromkeys(changes, 3.0), abs=0.01)
    assert {"lung", "fat", "muscle"} <= changes.keys()
    assert [check.passed for check in checks_of(seen.report)] == [True, False, True, True]


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
    assert observed.spectrum_before is not None
    assert observed.spectrum_after is not None
    assert observed.noise_after_hu < 0.5 * observed.noise_before_hu
    before, after = observed.spectrum_before, observed.spectrum_after
    assert after.mean_frequency_per_mm < before.mean_frequency_per_mm
    assert before.num_regions == after.num_regions > 0


def test_intervals_are_summarized_by_tissue(seen: Seen) -> None:
    assert {each.half_width_median_hu for each in seen.observations.tissues} == {10.0}


def test_the_page_gives_one_noise_level(seen: Seen) -> None:
    """Tile, headline and check say the same, and it is what the guard measures."""
    observed = seen.observations
    text = text_of(render(seen.report))
    pair = f"{observed.noise_before_hu:.1f} to {observed.noise_after_hu:.1f} HU"
    assert pair in text
    assert pair.replace("to", "→", 1) in text
    assert f"{observed.noise_before_hu:.1f} HU before, {observed.noise_after_hu:.1f} HU" in text
    assert observed.spectrum_before is not None
    assert f"{observed.spectrum_before.noise_hu:.2f}" not in text
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
    seen = observe(make_scan(shape=(40, 96, 96)), doubles.unchanged())
    assert [piece.index for piece in seen.pictures] == [6, 20, 33]
    assert len(seen.noise.of_slices) == 24
