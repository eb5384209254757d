"""Rules that a person can read, and the reasons that they give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from isocenter.core.errors import InputRefused
from isocenter.gateway.configuration.configuration import Configuration
from isocenter.gateway.configuration.keys import read_table
from isocenter.gateway.rules.decide import Rule, checked_rules, decide
from isocenter.gateway.rules.deciding import decide_complete
from isocenter.gateway.rules.description import Series, description_of
from isocenter.gateway.rules.explain import explain_folder
from isocenter.gateway.store.schema import jobs, studies
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]


def rules_of(*tables: dict[str, Any]) -> tuple[Rule, ...]:
    archives = [{"name": "main", "url": "http://127.0.0.1/dicom-web"}]
    rules = [
        {"name": f"rule {number}", "task": "copy", "to": ["main"]} | table
        for number, table in enumerate(tables, start=1)
    ]
    whole = {"store": {"folder": "x"}, "archives": archives, "rules": rules}
    return checked_rules(read_table(Configuration, whole))


def series(number: int, *, num_images: int = 10, **described: str) -> Series:
    return Series(
        number=number, series_uid=f"1.2.{number}", described=described, num_images=num_images
    )


CHEST = series(1, Modality="CT", BodyPartExamined="CHEST", SliceThickness="1.25", KVP="120")
SCOUT = series(2, Modality="CT", ImageType="ORIGINAL\\PRIMARY\\LOCALIZER", num_images=1)
DWI = series(3, Modality="MR", DiffusionBValue="0\\1000", SeriesDescription="ep2d_diff")


@pytest.mark.parametrize(
    ("table", "fitting"),
    [
        ({"Modality": "ct"}, [1, 2]),
        ({"Modality": ["MR", "PT"]}, [3]),
        ({"ImageType": "LOCALIZER"}, [2]),
        ({"BodyPartExamined": {"given": False}}, [2, 3]),
        ({"SliceThickness": {"at_most": 1.5}}, [1]),
        ({"DiffusionBValue": {"at_least": 800}}, [3]),
        ({"num_images": {"at_least": 5}, "Modality": "CT"}, [1]),
        ({"SeriesDescription": {"has": ["DIFF", "dwi"]}}, [3]),
        ({"KVP": {"at_least": 80, "at_most": 100}}, []),
    ],
)
def test_a_series_fits_its_description(table: dict[str, Any], fitting: list[int]) -> None:
    description = description_of(table, "here")
    found = [each.number for each in (CHEST, SCOUT, DWI) if not description.failed(each)]
    assert found == fitting


def test_reasons_say_what_was_found_and_what_was_wanted() -> None:
    chest = {"Modality": "CT", "num_images": {"at_least": 5}}
    (decision,) = decide(rules_of({"inputs": {"input": chest}}), [CHEST, SCOUT, DWI])
    assert [each.series["input"].number for each in decision.wanted] == [1]
    assert decision.reasons == (
        "input: series 1 fits",
        "input: series 2 does not fit: num_images is 1, wanted at least 5",
        "input: series 3 does not fit: Modality is MR, wanted CT",
    )


def test_a_rule_does_not_hold_where_the_result_is_there() -> None:
    without = {"a diffusion series": {"DiffusionBValue": {"given": True}}}
    rules = rules_of({"inputs": {"input": {"Modality": "CT"}}, "without": without})
    assert [bool(each.wanted) for each in decide(rules, [CHEST])] == [True]
    (decision,) = decide(rules, [CHEST, DWI])
    assert not decision.wanted
    assert decision.reasons == ("series 3 is already a diffusion series",)


def test_a_task_is_asked_which_modality_it_reads() -> None:
    (decision,) = decide(rules_of({"inputs": {"input": {"num_images": {"at_least": 1}}}}), [DWI])
    assert not decision.wanted
    assert decision.reasons == ("input: series 3 does not fit: of another modality",)


def test_every_series_that_fits_is_a_job(
    store: Store, take: Callable[[Dataset], str], make_study: MakeStudy
) -> None:
    rules = rules_of({"inputs": {"input": {"Modality": "CT"}}, "priority": 7})
    for each in make_study():
        take(each)
    assert decide_complete(store, rules) == 0
    with store.database.writing() as connection:
        connection.execute(studies.update().values(state="complete"))
    assert decide_complete(store, rules) == 1
    assert decide_complete(store, rules) == 0
    with store.database.reading() as connection:
        job = connection.execute(select(jobs)).one()
        study = connection.execute(select(studies)).one()
    assert (job.state, job.priority, len(job.request["inputs"]["input"])) == ("queued", 7, 3)
    assert study.state == "decided"
    assert "rule 1: holds" in study.reasons


def test_the_same_input_is_one_job_and_more_input_another(
    store: Store, take: Callable[[Dataset], str], make_study: MakeStudy
) -> None:
    rules = rules_of({"inputs": {"input": {"Modality": "CT"}}})
    study = make_study()

    def decided_again() -> int:
        with store.database.writing() as connection:
            connection.execute(studies.update().values(state="complete"))
        return decide_complete(store, rules)

    for each in study[:2]:
        take(each)
    assert [decided_again(), decided_again()] == [1, 0]
    with store.database.writing() as connection:
        connection.execute(jobs.update().values(state="done"))
    take(study[2])
    assert decided_again() == 1
    with store.database.reading() as connection:
        first, second = connection.execute(select(jobs).order_by(jobs.c.at)).all()
    assert second.supersedes == first.id
    assert (first.state, second.state) == ("done", "queued")


def test_a_folder_is_explained_without_a_store(make_study: MakeStudy, tmp_path: Path) -> None:
    study = make_study()
    folder = tmp_path / f"study-1-{len(study)}-8"
    rules = rules_of({"inputs": {"input": {"Modality": "CT"}}})
    asked: list[Any] = []

    def ask(request: Any) -> dict[str, Any]:
        asked.append(sorted(path.name for path in Path(request["inputs"]["input"]).iterdir()))
        return {"outcome": "refused", "reason": "trunk", "message": "too small"}

    found = explain_folder(folder, rules, device="cpu", ask=ask)
    assert [each.num_images for each in found.series] == [3]
    assert len(asked[0]) == 3
    assert [(each.accepts, each.message) for each in found.says] == [(False, "too small")]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputRefused, match="no DICOM file"):
        explain_folder(empty, rules, device="cpu")
