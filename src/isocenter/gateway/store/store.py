"""The store of one gateway: its spool and its database, and what is seen in them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert

from isocenter.gateway.configuration.configuration import MEBIBYTE, StoreKeys
from isocenter.gateway.store.database import Database
from isocenter.gateway.store.schema import events
from isocenter.gateway.store.spool import Spool


class Store:
    """Spool and database together.

    Attributes:
        spool, database: what it holds.
    """

    def __init__(self, keys: StoreKeys) -> None:
        """Open both, and make what is missing.

        Raises:
            OutputRefused: the folder is not writable.
            SettingRefused: the database URL.
            StoreBusy: the database cannot be reached.
        """
        self.spool = Spool(keys.folder, keep_free_bytes=keys.keep_free_mib * MEBIBYTE)
        self.database = Database(keys.database_url, busy_s=keys.busy_s)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def note(connection: Connection, kind: str, detail: Mapping[str, Any] | None = None) -> None:
    """Write down that something happened; rows are named by number, never by UID or person."""
    connection.execute(insert(events).values(at=time.time(), kind=kind, detail=dict(detail or {})))
