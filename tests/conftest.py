"""What every test may use: the folder of real scans, and which tests run where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).parents[1]

# The same examples everywhere, and no time limit on a busy machine.
settings.register_profile("isocenter", deadline=None, derandomize=True)
settings.load_profile("isocenter")


def real_data_folder() -> Path:
    """The real scans: ISOCENTER_DATA, or ../shared/data beside the repository."""
    named = os.environ.get("ISOCENTER_DATA")
    return Path(named) if named else REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real scans, for tests marked ``real_data``."""
    return real_data_folder()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker, reason, runs_here in (
        ("real_data", "no real scans here; name their folder in ISOCENTER_DATA", _has_real_data),
        ("slow", "takes minutes; run with --slow", lambda: bool(config.getoption("--slow"))),
        ("gpu", "no CUDA device", _has_gpu),
    ):
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not runs_here():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


def _has_real_data() -> bool:
    return real_data_folder().is_dir()


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
