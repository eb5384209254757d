"""One database: SQLite with a write-ahead log and full synchronization, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from isocenter.core.errors import IsocenterError, SettingRefused
from isocenter.gateway.store.schema import METADATA, VERSION, facts

_MOST_CONNECTIONS = 64


class StoreBusy(IsocenterError):
    """The database is locked or cannot be reached; whoever asks may try again."""

    reason = "store_busy"


class Database:
    """Transactions on one database; threads may share it, processes open their own."""

    def __init__(self, url: str, *, busy_s: float = 10.0) -> None:
        """Open a database, and make its tables where there are none.

        Raises:
            SettingRefused: the URL cannot be used, or the tables are of another version.
            StoreBusy: it cannot be reached now.
        """
        self.engine = _engine(url, busy_s)
        with self.writing() as connection:
            METADATA.create_all(connection)
            stored = connection.scalar(select(facts.c.value).where(facts.c.name == "version"))
            if stored is None:
                connection.execute(insert(facts).values(name="version", value=str(VERSION)))
            elif stored != str(VERSION):
                raise SettingRefused(
                    f"store.database holds tables of version {stored}, this program works with "
                    f"{VERSION}; name another database"
                )

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed where the block ends well, else undone.

        Raises:
            StoreBusy: the database is locked for too long or cannot be reached.
        """
        with _saying_busy(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of everything and writes nothing.

        Raises:
            StoreBusy: as :meth:`writing`.
        """
        with _saying_busy(), self.engine.connect() as connection:
            yield connection.execution_options(isocenter_reads=True)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


@contextmanager
def _saying_busy() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (OperationalError, DBAPIError) as error:
        # The text of the error holds the statement and its values.
        raise StoreBusy(
            "the database is locked or cannot be reached; what was asked for can be asked again"
        ) from error.orig


def _engine(url: str, busy_s: float) -> Engine:
    try:
        if url.startswith("sqlite"):
            return _sqlite(url, busy_s)
        return create_engine(url, pool_pre_ping=True, max_overflow=_MOST_CONNECTIONS)
    except Exception as error:
        raise SettingRefused(
            "store.database is no URL that can be used, or the library for it is not installed"
        ) from error


def _sqlite(url: str, busy_s: float) -> Engine:
    engine = create_engine(
        url, connect_args={"timeout": busy_s}, max_overflow=_MOST_CONNECTIONS, pool_timeout=busy_s
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that will write takes its lock first: it waits rather than fails.
        reads = connection.get_execution_options().get("isocenter_reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
