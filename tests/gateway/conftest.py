"""What the tests of the gateway share; without its extra they are left out."""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = ("sqlalchemy", "pynetdicom", "fastapi", "uvicorn", "httpx")

if all(find_spec(name) for name in NEEDED):
    from tests.gateway.fixtures import *  # noqa: F403
else:
    collect_ignore_glob = ["test_*.py"]
