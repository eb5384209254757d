from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from isocenter.core.errors import InputRefused
from isocenter.core.settings import (
    assignments_of,
    read_settings_file,
    setting_names,
    with_settings,
)


@dataclass(frozen=True, kw_only=True)
class Loop:
    steps: int = 100
    rate: float = 1e-3
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not self.steps > 0:
            raise ValueError(f"steps must be positive, got {self.steps}")


@dataclass(frozen=True, kw_only=True)
class Run:
    seed: int = 1
    fast: bool = False
    limit: float | None = None
    widths: tuple[int, ...] = (4, 8)
    noise: tuple[float, float] = (1.0, 2.0)
    mean: Loop = field(default_factory=Loop)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("mean.steps", "500", 500),
        ("mean.steps", 500, 500),
        ("mean.rate", "1e-4", 1e-4),
        ("mean.rate", 1, 1.0),
        ("mean.precision", "bf16", "bf16"),
        ("fast", "true", True),
        ("fast", False, False),
        ("limit", "3", 3.0),
        ("limit", "none", None),
        ("widths", "8, 16,24", (8, 16, 24)),
        ("widths", "(8,)", (8,)),
        ("widths", [3], (3,)),
        ("widths", "", ()),
        ("noise", [4, 16.5], (4.0, 16.5)),
    ],
)
def test_a_value_is_read_by_the_kind_of_its_setting(name: str, value: object, read: object) -> None:
    found: object = with_settings(Run(), {name: value})
    for part in name.split("."):
        found = getattr(found, part)
    assert found == read
    assert type(found) is type(read)


def test_what_is_not_named_stays() -> None:
    changed = with_settings(Run(), {"mean.steps": "7", "seed": "3"})
    assert changed == Run(seed=3, mean=Loop(steps=7))
    assert with_settings(Run(), {}) == Run()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("mean.step", "mean.steps"),
        ("means.steps", "mean.steps"),
        ("steps", "mean.steps"),
        ("sed", "seed"),
        ("seed.steps", "mean.steps"),
        ("mean.steps.more", "mean.steps"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InputRefused, match=f"the nearest is {nearest}"):
        with_settings(Run(), {name: "1"})


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("mean.steps", "many", "a whole number"),
        ("mean.steps", "1.5", "a whole number"),
        ("mean.steps", 1.5, "a whole number"),
        ("mean.steps", True, "a whole number"),
        ("mean.rate", "fast", "a number"),
        ("mean.rate", "nan", "a number"),
        ("mean.rate", False, "a number"),
        ("mean.precision", 3, "text"),
        ("fast", "1", "true or false"),
        ("fast", 1, "true or false"),
        ("widths", "4,x", "a whole number"),
        ("noise", "1", "2 values"),
        ("mean.steps", "0", "steps must be positive"),
        ("mean", "3", "group of settings; name one of it: steps, rate, precision"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_is_accepted(
    name: str, value: object, accepted: str
) -> None:
    with pytest.raises(InputRefused, match=accepted) as refusal:
        with_settings(Run(), {name: value})
    assert name in str(refusal.value)


def test_assignments_are_split_at_the_first_equals_sign() -> None:
    assert assignments_of(["mean.steps = 5", "note=a=b"]) == {"mean.steps": "5", "note": "a=b"}


@pytest.mark.parametrize("text", ["mean.steps", "=5", ""])
def test_a_setting_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(InputRefused, match="NAME=VALUE"):
        assignments_of([text])


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(InputRefused, match="given twice"):
        assignments_of(["seed=1", "seed=2"])


def test_a_file_names_settings_as_tables_or_dotted(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("seed = 3\nmean.steps = 5\n[mean.more]\nx = [1, 2]\n")
    assert read_settings_file(path) == {"seed": 3, "mean.steps": 5, "mean.more.x": [1, 2]}


def test_a_file_that_is_not_toml_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("steps: 5")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for name, word in (("bad.toml", "not TOML"), ("bytes.toml", "read"), ("none.toml", "read")):
        with pytest.raises(InputRefused, match=word):
            read_settings_file(tmp_path / name)


def test_all_names_are_listed() -> None:
    assert "mean.rate" in set(setting_names(Run()))
    assert "mean" not in set(setting_names(Run()))
