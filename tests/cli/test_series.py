"""The listing says what fits and why the rest does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from typer.testing import Result

from isocenter.dicom.reading.discover import SeriesSummary
from isocenter.dicom.reading.mr_contrast import RecognizedContrast

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"


def summary(**facts: Any) -> SimpleNamespace:
    common = {"number": 1, "key": "1.2.3", "modality": "CT", "sop_class_name": "CT Image Storage"}
    size = {"num_images": 40, "rows": 512, "columns": 512, "kernel": "B30f"}
    verdict = {"series_number": None, "slice_thickness_mm": None, "fits": True, "why_not": ""}
    counted = {"num_damaged": 0, "num_unreadable": 0}
    rest = {
        "exposure_mas": None,
        "folder": "DOE JANE/ct",
        "reason": "",
        "contrast": None,
        **counted,
    }
    return SimpleNamespace(**common | size | verdict | rest | facts)


def test_series_lists_what_fits_and_why_the_rest_does_not(invoke: Invoke, stand: Stand) -> None:
    found = [summary(), summary(number=2, fits=False, why_not="it is a localizer")]
    stand("isocenter.dicom.reading.open", "find_series", found)
    lines = invoke("series", SCAN).stdout.splitlines()
    assert any("B30f" in line and "yes" in line for line in lines)
    assert "2: it is a localizer" in lines


def test_series_gives_one_reason_once(invoke: Invoke, stand: Stand) -> None:
    unfit = [summary(number=k, fits=False, why_not="a scout") for k in (1, 3, 4, 5, 8)]
    stand("isocenter.dicom.reading.open", "find_series", [*unfit, summary(number=2)])
    assert invoke("series", SCAN).stdout.splitlines()[-1] == "1, 3-5, 8: a scout"


def test_series_of_two_doses_can_be_told_apart(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "find_series", [summary(), summary(exposure_mas=52.5)])
    assert "52.5" in invoke("series", SCAN).stdout


def test_folders_are_shown_when_asked_for_only(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "find_series", [summary()])
    assert "DOE" not in invoke("series", SCAN).stdout
    assert "Folder of 1: DOE JANE/ct" in invoke("series", SCAN, "--folders").stdout


def test_series_shows_the_number_that_the_scanner_gave(invoke: Invoke, stand: Stand) -> None:
    stand(
        "isocenter.dicom.reading.open",
        "find_series",
        [summary(series_number=603), summary(number=2)],
    )
    output = invoke("series", SCAN).stdout
    assert "603" in output
    assert "None" not in output


def test_series_shows_how_thick_slices_are(invoke: Invoke, stand: Stand) -> None:
    found = [summary(slice_thickness_mm=1.25), summary(number=2)]
    stand("isocenter.dicom.reading.open", "find_series", found)
    assert invoke("series", SCAN).stdout.count(" mm ") == 1


def test_series_without_pixels_shows_no_size(invoke: Invoke, stand: Stand) -> None:
    found = [summary(modality="RWV", rows=0, columns=0, fits=False, why_not="not a CT")]
    stand("isocenter.dicom.reading.open", "find_series", found)
    assert "0 x 0" not in invoke("series", SCAN).stdout


def test_identifiers_are_shown_when_asked_for_only(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "find_series", [summary()])
    assert "1.2.3" not in invoke("series", SCAN).stdout
    assert "1.2.3" in invoke("series", SCAN, "--uids").stdout


def test_a_program_gets_the_listing_without_identifiers(invoke: Invoke, stand: Stand) -> None:
    unfit = summary(number=2, fits=False, why_not="it is a localizer", reason="localizer")
    stand("isocenter.dicom.reading.open", "find_series", [summary(), unfit])
    result = invoke("series", SCAN, "--json")
    document = json.loads(result.stdout)
    assert document["counts"]["in"] == {"series": 2, "fitting": 1, "images": 80}
    assert [one["reason"] for one in document["result"]["series"]] == ["", "localizer"]
    assert "1.2.3" not in result.output
    assert "DOE" not in result.output


def test_a_program_gets_identifiers_when_it_asks_for_them(invoke: Invoke, stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "find_series", [summary()])
    document = json.loads(invoke("series", SCAN, "--json", "--uids", "--folders").stdout)
    (one,) = document["result"]["series"]
    assert (one["series_instance_uid"], one["folder"]) == ("1.2.3", "DOE JANE/ct")


def test_series_says_what_mr_shows_and_why(invoke: Invoke, stand: Stand) -> None:
    flair = RecognizedContrast(contrast="FLAIR", because="TI 2500 ms nulls CSF")
    common = {"number": 2, "key": "1.2", "series_number": 3, "num_images": 20, "kernel": ""}
    size = {"rows": 256, "columns": 256, "slice_thickness_mm": 5.0, "fits": False}
    names = {"modality": "MR", "sop_class_name": "MR Image Storage", "why_not": "no CT"}
    one = SeriesSummary(**common, **size, **names, contrast=flair)  # type: ignore[arg-type]
    stand("isocenter.dicom.reading.open", "find_series", [one])
    assert "Contrast of 2: FLAIR, sure: TI 2500 ms nulls CSF" in invoke("series", SCAN).stdout
    document = json.loads(invoke("--json", "series", SCAN).stdout)
    assert document["result"]["series"][0]["contrast"]["name"] == "FLAIR"
