from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.recipes.run_folder import RUN, begin_run, check_output


@dataclass(frozen=True, kw_only=True)
class Recipe:
    steps: int = 3
    workers: int = 0


def test_a_run_goes_on_with_what_it_was_begun_with(tmp_path: Path) -> None:
    begin_run(tmp_path, Recipe(), {"images": "ab"})
    begin_run(tmp_path, Recipe(workers=2), {"images": "ab"})
    with pytest.raises(InputRefused, match="other settings: steps"):
        begin_run(tmp_path, Recipe(steps=4), {"images": "ab"})
    with pytest.raises(InputRefused, match="the images are not those"):
        begin_run(tmp_path, Recipe(), {"images": "cd"})
    with pytest.raises(OutputRefused, match="--resume"):
        check_output(tmp_path, resume=False)


def test_a_setting_that_is_gone_stops_a_run_unless_it_changed_no_weight(tmp_path: Path) -> None:
    begin_run(tmp_path, Recipe(), {})
    began = json.loads((tmp_path / RUN).read_text())
    began["recipe"]["gone"] = 4000
    (tmp_path / RUN).write_text(json.dumps(began))
    begin_run(tmp_path, Recipe(), {}, harmless=("gone",))
    with pytest.raises(InputRefused, match="gone"):
        begin_run(tmp_path, Recipe(), {})
