"""The one way of all tasks: several scans, none, arrays, files of other kinds, wrong input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from isocenter.core.acquisition import Acquisition, MrAcquisition
from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.outputs import NO_UNIT, Code, MaskOutput, SeriesOutput
from isocenter.core.seeds import generator_for
from isocenter.core.volume import Geometry, Volume
from isocenter.image.volume_files import read_volume_file, write_volume_file
from isocenter.tasks.run import RunResult, run
from isocenter.tasks.settings import Settings, setting
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Case, Reads, SliceResult, Task, Work

SHAPE = (4, 6, 5)
MADE = Code("MADE", "99ISOCENTER", "Made")


@dataclass(frozen=True, kw_only=True)
class MixSettings(Settings):
    """How two scans are mixed."""

    share: float = setting(0.5, help="Share of the first.", at_least=0, at_most=1)
    seed: int = setting(0, help="Same seed, same pixels.", at_least=0)


def mixed(case: Case[MixSettings, Any]) -> Iterator[SliceResult]:
    share, first = case.settings.share, case.scans["t1"]
    for index in range(len(first)):
        before = first.values(index)
        image = before
        if "flair" in case.scans:
            image = share * before + (1 - share) * case.scans["flair"].values(index)
        yield SliceResult(
            index=index,
            before=before,
            valid=first.valid(index),
            values={"mixed": image, "bright": image > image.mean()},
        )


def start(case: Case[MixSettings, Any], suitability: Suitability) -> Work[MixSettings]:
    return Work(results=mixed(case), description="Mixed.", settings=case.settings)


MIX: Task[MixSettings, Any] = Task(
    name="mr_mix",
    command="mix",
    summary="Mix two contrasts on the grid of the first.",
    settings=MixSettings,
    outputs=(
        SeriesOutput(
            name="mixed",
            label="Mixed series",
            modality="MR",
            unit=NO_UNIT,
            derivation=MADE,
            absolute=True,
        ),
        MaskOutput(name="bright", label="Bright voxels", derivation=MADE, category=MADE, kind=MADE),
    ),
    start=start,
    reads=(
        Reads(name="t1", what="a T1-weighted series", modality="MR", unit=""),
        Reads(name="flair", what="a FLAIR series", modality="MR", unit="", optional=True),
    ),
)


def generated(settings: MixSettings) -> Iterator[SliceResult]:
    for index in range(SHAPE[0]):
        image = generator_for(settings.seed, "slice", index).normal(size=SHAPE[1:])
        yield SliceResult(index=index, values={"mixed": image, "bright": image > 0})


GENERATE: Task[MixSettings, Any] = replace(
    MIX,
    name="mr_generate",
    command="generate",
    reads=(),
    start=lambda case, _: Work(
        results=generated(case.settings),
        description="Generated.",
        settings=case.settings,
        geometry=Geometry(shape=SHAPE, spacing_mm=(3.0, 1.0, 1.0)),
        acquisition=MrAcquisition(),
    ),
)


def mr(seed: int, **options: Any) -> Volume:
    array = np.random.default_rng(seed).random(SHAPE).astype(np.float32)
    geometry = Geometry(shape=SHAPE, spacing_mm=(3.0, 1.0, 1.0))
    volume = Volume(array=array, geometry=geometry, unit="", acquisition=MrAcquisition())
    return replace(volume, **options)


def values(result: RunResult, name: str) -> Volume:
    """The one volume file of an output."""
    (path,) = result.files[name]
    return read_volume_file(path, unit="")


Make = Callable[..., RunResult]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def mix(name: str = "out", **options: Any) -> RunResult:
        inputs = {"t1": mr(1), "flair": mr(2)} | options.pop("inputs", {})
        return run(MIX, inputs, tmp_path / name, **options)

    return mix


def test_two_scans_become_one_on_the_grid_of_the_first(make: Make) -> None:
    result = make(settings=MixSettings(share=0.25))
    mixed = values(result, "mixed")
    wanted = 0.25 * mr(1).array + 0.75 * mr(2).array
    np.testing.assert_allclose(mixed.array, wanted, atol=1e-6)
    assert mixed.geometry == mr(1).geometry
    assert set(np.unique(values(result, "bright").array)) == {0, 1}
    assert [path.name for path in result.files["mixed"]] == ["mixed.nii.gz"]
    assert result.report.exists()


def test_an_optional_scan_can_be_left_out(make: Make) -> None:
    result = make(inputs={"flair": None})
    np.testing.assert_array_equal(values(result, "mixed").array, mr(1).array)


def test_every_scan_and_setting_decides_the_result(make: Make) -> None:
    same, again, share, scan = (
        make("same").record.digest(),
        make("again").record.digest(),
        make("share", settings=MixSettings(share=1)).record.digest(),
        make("scan", inputs={"flair": mr(3)}).record.digest(),
    )
    assert same == again
    assert len({same, share, scan}) == 3


def test_what_has_no_header_says_that_no_dicom_was_written(make: Make) -> None:
    result = make()
    assert "no DICOM header" in result.notes[-1]
    assert "--dicom" in result.report.read_text()
    assert result.record.settings["written_as"] == ".nii.gz"


def test_a_volume_file_gives_files_of_its_own_kind(make: Make, tmp_path: Path) -> None:
    write_volume_file(mr(1), tmp_path / "scan.mha")
    result = make(inputs={"t1": tmp_path / "scan.mha"})
    assert [path.name for path in result.files["mixed"]] == ["mixed.mha"]


def test_dicom_can_be_asked_for_and_is_of_nobody(make: Make) -> None:
    result = make(dicom=True)
    images = [pydicom.dcmread(path) for path in result.files["mixed"]]
    assert len(images) == 4
    assert {image.Modality for image in images} == {"MR"}
    assert {image.SyntheticData for image in images} == {"YES"}
    (mask,) = (pydicom.dcmread(path) for path in result.files["bright"])
    assert mask.StudyInstanceUID == images[0].StudyInstanceUID
    assert mask.FrameOfReferenceUID == images[0].FrameOfReferenceUID
    slope, intercept = (
        float(images[0][name].value) for name in ("RescaleSlope", "RescaleIntercept")
    )
    wanted = (0.5 * mr(1).array + 0.5 * mr(2).array)[0]
    np.testing.assert_allclose(images[0].pixel_array * slope + intercept, wanted, atol=1e-3)
    assert result.record.settings["written_as"] == "DICOM"


def test_dicom_of_what_has_no_header_is_noted_as_new_and_of_nobody(make: Make) -> None:
    result = make(dicom=True)
    assert "new and of nobody" in result.notes[-1]
    assert "new and of nobody" in result.report.read_text()


def test_a_unit_that_a_file_does_not_say_is_noted(make: Make, tmp_path: Path) -> None:
    path = write_volume_file(mr(1), tmp_path / "scan.mha")
    path.write_bytes(path.read_bytes().replace(b"ITK_FileNotes = unit=", b"ITK_FileNotes = other"))
    stated, unstated = make("stated"), make("unstated", inputs={"t1": path})
    assert not any("does not say" in note for note in stated.notes)
    assert "The file does not say what its numbers are" in unstated.notes[0]


@pytest.mark.parametrize("reads", [MIX.reads, ()])
@pytest.mark.parametrize(
    ("modality", "words"), [("PT", "modality 'PT' cannot be written"), ("CT", "CT series hold HU")]
)
def test_an_output_that_cannot_be_dicom_is_refused_before_any_work(
    tmp_path: Path, reads: tuple[Reads, ...], modality: str, words: str
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("work began")

    declared = MIX.outputs[0]
    assert isinstance(declared, SeriesOutput)
    task = replace(
        MIX,
        outputs=(replace(declared, modality=modality),),
        reads=reads,
        start=never,
        load_model=never,
    )
    inputs = {"t1": mr(1)} if reads else None
    with pytest.raises(
        InputRefused, match=f"mix declares the output mixed as '{modality}' .*{words}"
    ):
        run(task, inputs, tmp_path / "out", dicom=True)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_measured_becomes_padding_of_a_new_series(tmp_path: Path) -> None:
    valid = np.ones(SHAPE, bool)
    valid[:, 0] = False
    volume = mr(1, valid=valid)
    result = run(MIX, {"t1": volume}, tmp_path / "out", dicom=True)
    image = pydicom.dcmread(result.files["mixed"][0])
    padding = image.PixelPaddingValue
    assert (image.pixel_array[0] == padding).all()
    assert (image.pixel_array[1:] != padding).all()


def test_a_task_that_reads_nothing_makes_its_own_grid(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    one = run(
        GENERATE, None, tmp_path / "one", progress=lambda done, total: calls.append((done, total))
    )
    other = run(GENERATE, None, tmp_path / "other", settings=MixSettings(seed=1))
    assert calls == [(done, 4) for done in range(5)]
    assert one.record.source_digest == ""
    assert one.record.digest() != other.record.digest()
    assert not np.array_equal(values(one, "mixed").array, values(other, "mixed").array)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"t1": None}, "t1 is missing: a T1-weighted series"),
        ({"t3": mr(1)}, "no input t3; the task reads t1, flair"),
        ({"t1": 7}, "must be a path, a Volume or a source of slices, got int"),
        ({"t1": mr(1, unit="HU")}, "in HU, this task reads values without a unit"),
        ({"t1": mr(1, acquisition=Acquisition(modality="CT"))}, "t1 is CT; this task reads MR"),
        ({"t1": mr(1, array=np.full(SHAPE, np.nan))}, "slice 1 of 4 holds values that are not"),
        ({"t1": "no such place"}, "the input does not exist"),
        ({"t1": ""}, "an empty name"),
    ],
)
def test_wrong_input_is_refused_in_words(make: Make, inputs: Any, words: str) -> None:
    with pytest.raises(InputRefused, match=words):
        make(inputs=inputs)


def test_the_scan_that_is_wrong_is_named(make: Make) -> None:
    with pytest.raises(InputRefused) as refusal:
        make(inputs={"flair": mr(1, unit="HU")})
    assert refusal.value.__notes__ == ["flair"]


def test_a_single_scan_for_a_task_of_several_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="mix reads t1, flair; name each scan"):
        run(MIX, mr(1), tmp_path / "out")


def test_a_series_cannot_be_chosen_in_a_volume_file(make: Make, tmp_path: Path) -> None:
    write_volume_file(mr(1), tmp_path / "scan.nii")
    with pytest.raises(InputRefused, match="holds one scan"):
        make(inputs={"t1": tmp_path / "scan.nii"}, series={"t1": "2"})


def test_values_that_are_not_finite_are_never_written(make: Make, tmp_path: Path) -> None:
    broken = replace(
        MIX,
        start=lambda case, _: Work(
            results=(
                replace(result, values=dict(result.values) | {"mixed": np.full(SHAPE[1:], np.nan)})
                for result in mixed(case)
            ),
            description="Broken.",
            settings=case.settings,
        ),
    )
    with pytest.raises(ModelRefused, match="no finite image for slice 0"):
        run(broken, {"t1": mr(1)}, tmp_path / "broken")
    assert list(tmp_path.iterdir()) == []
