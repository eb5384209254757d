"""The layers hold, the contracts notice a breach, and nothing heavy is loaded too early."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "isocenter"
HEAVY = ("torch", "matplotlib", "highdicom", "scipy", "skimage", "numpy", "pydicom")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    linter = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [linter, "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": ""},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The package's sources and contracts in a folder of their own."""
    ignored = shutil.ignore_patterns("__pycache__", "weights", "*.safetensors")
    shutil.copytree(PACKAGE, tmp_path / "src" / "isocenter", ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_are_kept(copied: Path) -> None:
    result = lint_imports(copied)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("core/bad.py", "import isocenter.image"),  # upwards
        ("image/bad.py", "import isocenter.physics"),  # sideways
        ("evaluation/bad.py", "import isocenter.training"),  # sideways
        ("image/bad.py", "import pydicom"),  # past the door
        ("tasks/bad.py", "import highdicom"),  # past the door
        ("evaluation/bad.py", "import bm3d"),  # a baseline's licence
        ("shelf/__init__.py", ""),  # a folder without a layer
    ],
)
def test_a_breach_is_noticed(copied: Path, module: str, statement: str) -> None:
    breach = copied / "src" / "isocenter" / module
    breach.parent.mkdir(exist_ok=True)
    breach.write_text(statement + "\n")
    result = lint_imports(copied)
    assert result.returncode != 0
    assert "BROKEN" in result.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import isocenter",
        "from isocenter.cli import main; main(['--help'])",
        "from isocenter.cli import main; main(['enhance', '--help'])",
        "from isocenter.cli import main; main(['--version'])",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = {name.partition(".")[0] for name in result.stdout.splitlines()[-1].split()}
    assert loaded.isdisjoint(HEAVY)
    assert "isocenter" in loaded


def test_every_folder_says_what_it_is_for() -> None:
    for folder in (path.parent for path in PACKAGE.rglob("*.py")):
        assert (folder / "__init__.py").read_text().startswith('"""'), folder.name


def test_no_module_is_a_drawer_for_everything() -> None:
    vague = re.compile(r"(^|_)(utils?|helpers?|misc|common)(_|$)")
    assert not [path for path in PACKAGE.rglob("*.py") if vague.search(path.stem)]


def test_tests_follow_the_tree_of_the_package_and_the_benchmarks() -> None:
    tests = REPOSITORY / "tests"
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    roots = {folder: folder.parts[:1] == ("benchmarks",) for folder in folders}
    assert all(
        ((REPOSITORY if beside else PACKAGE) / folder).is_dir() for folder, beside in roots.items()
    )
