"""The tables. Times are seconds since 1970 (UTC), for people and for pauses."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

VERSION = 1
METADATA = MetaData()

facts = Table(
    "facts",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

studies = Table(
    "studies",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_uid", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False, index=True),  # open, complete, decided
    Column("generation", Integer, nullable=False),  # rises when a complete study opens again
    Column("num_instances", Integer, nullable=False),
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("completed_at", Float),
    Column("completed_by", String(32), nullable=False, default=""),
    Column("reasons", JSON, nullable=False, default=list),
)

instances = Table(
    "instances",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sop_uid", String(64), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("transfer_syntax", String(64), nullable=False),
    Column("pixel_digest", String(64), nullable=False),
    Column("file_digest", String(64), nullable=False),
    Column("num_bytes", Integer, nullable=False),
    Column("path", String(128), nullable=False, index=True),
    Column("described", JSON, nullable=False),
    Column("source", String(160), nullable=False),
    Column("at", Float, nullable=False),
    Column("is_conflict", Boolean, nullable=False),  # the UID was taken by other pixels
    Column("is_ours", Boolean, nullable=False),  # a result of ours that came back
    Column("is_missing", Boolean, nullable=False),  # the file is gone
    UniqueConstraint("sop_uid", "pixel_digest"),
)
Index(
    "one_instance_a_uid",
    instances.c.sop_uid,
    unique=True,
    sqlite_where=text("is_conflict = 0"),
    postgresql_where=text("NOT is_conflict"),
)

evidence = Table(
    "evidence",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("kind", String(16), nullable=False),  # mpps, ian
    Column("notice_uid", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("sop_uids", JSON, nullable=False),  # empty while a procedure step goes on
    UniqueConstraint("kind", "notice_uid"),
)

jobs = Table(
    "jobs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("rule", String(128), nullable=False),
    Column("task", String(64), nullable=False),
    Column("request", JSON, nullable=False),
    Column("destinations", JSON, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("failures", Integer, nullable=False),
    Column("worker", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("supersedes", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
)

steps = Table(
    "steps",
    METADATA,
    Column("job_id", String(64), ForeignKey("jobs.id"), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("output", JSON, nullable=False),
)

results = Table(
    "results",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("job_id", String(64), ForeignKey("jobs.id"), nullable=False, index=True),
    Column("sop_uid", String(64), nullable=False, unique=True),
    Column("sop_class_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("transfer_syntax", String(64), nullable=False),
    Column("pixel_digest", String(64), nullable=False),
    Column("num_bytes", Integer, nullable=False),
    Column("path", String(128), nullable=False, index=True),
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("result_id", Integer, ForeignKey("results.id"), nullable=False, index=True),
    Column("archive", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # due, delivered, dead, dropped
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("since", Float, nullable=False),
    Column("delivered_at", Float),
    Column("reason", String(32), nullable=False),
    Column("message", Text, nullable=False),
    UniqueConstraint("result_id", "archive"),
    Index("due_deliveries", "archive", "state", "next_at"),
)

events = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("kind", String(32), nullable=False, index=True),
    Column("detail", JSON, nullable=False),
)
