"""Codes for programs: those that the code gives are the ones that are listed and documented."""

from __future__ import annotations

import ast
import errno
import re
from pathlib import Path

import pytest

from isocenter.core import reasons
from isocenter.core.errors import OutputRefused, UnsuitableScan

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "src" / "isocenter"
GROUPS = {"Done": reasons.DONE, "Refused": reasons.REFUSED, "Failed": reasons.FAILED}
GROUPS["Stopped"] = reasons.STOPPED
# Rules of a task are reasons too; "not_ct" and the like are put together where they are raised.
MADE_UP = {"not_ct", "not_mr"}


def parsed() -> list[ast.Module]:
    files = [path for path in PACKAGE.rglob("*.py") if path.name != "reasons.py"]
    return [ast.parse(path.read_text()) for path in files]


def given_reasons() -> set[str]:
    """Every code that a call or an error class states."""
    found = set()
    for node in (node for module in parsed() for node in ast.walk(module)):
        if isinstance(node, ast.keyword) and node.arg in ("reason", "rule"):
            value = node.value
            cases = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            found |= {each.value for each in cases if isinstance(each, ast.Constant)}
    return {code for code in found if isinstance(code, str) and code}


def test_every_code_that_is_given_is_listed() -> None:
    given = given_reasons()
    assert len(given) > 40
    assert not given - set(reasons.ALL)


def test_every_listed_code_is_given_somewhere() -> None:
    constants = {
        node.value
        for module in parsed()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    raised = {"out_of_memory", "system", "not_writable", "disk_full", "unexpected"}
    assert not set(reasons.ALL) - constants - MADE_UP - raised


def test_no_code_has_two_meanings() -> None:
    assert len(reasons.ALL) == sum(map(len, GROUPS.values()))
    assert all(re.fullmatch(r"[a-z_]+", code) for code in reasons.ALL)


@pytest.mark.parametrize("group", GROUPS)
def test_the_page_lists_every_code_in_the_same_words(group: str) -> None:
    page = (REPOSITORY / "docs" / "json.md").read_text().partition("## Reasons")[2]
    table = re.search(rf"^{group}\b.*?:\n\n(\|.*?)\n(?:\n|\Z)", page, re.M | re.S)
    assert table
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table[1], re.M)
    assert dict(rows) == GROUPS[group]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnsuitableScan("no", reason="color"), "color"),
        (OutputRefused("no"), "output"),
        (OSError(errno.ENOSPC, "full"), "disk_full"),
        (OSError(errno.EACCES, "no"), "system"),
        (MemoryError(), "out_of_memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), "out_of_memory"),
        (KeyError("x"), "unexpected"),
    ],
)
def test_every_error_has_a_code(error: Exception, reason: str) -> None:
    assert reasons.reason_of(error) == reason


def test_a_failure_to_write_has_a_code() -> None:
    assert reasons.reason_not_written(OSError(errno.EDQUOT, "quota")) == "disk_full"
    assert reasons.reason_not_written(OSError(errno.EROFS, "read-only")) == "not_writable"


def test_an_error_of_others_cannot_choose_its_code() -> None:
    error = UnicodeDecodeError("utf-8", b"DOE", 0, 1, "DOE JANE")
    assert error.reason == "DOE JANE"
    assert reasons.reason_of(error) == "unexpected"
