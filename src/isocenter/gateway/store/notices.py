"""What others tell of the instances that a study has."""

from __future__ import annotations

import time

from sqlalchemy import delete, insert, update

from isocenter.dicom.network.receiving import Notice
from isocenter.gateway.store.schema import evidence
from isocenter.gateway.store.store import Store


def keep_notice(store: Store, notice: Notice) -> bool:
    """Write a notice down; False where it changes one that is not known.

    Raises:
        StoreBusy: the database cannot be reached now.
    """
    this = (evidence.c.kind == notice.kind, evidence.c.notice_uid == notice.notice_uid)
    listed = sorted(set(notice.sop_uids))
    with store.database.writing() as connection:
        if notice.is_new:
            connection.execute(delete(evidence).where(*this))
            connection.execute(
                insert(evidence).values(
                    study_uid=notice.study_uid,
                    kind=notice.kind,
                    notice_uid=notice.notice_uid,
                    at=time.time(),
                    sop_uids=listed,
                )
            )
            return True
        done = connection.execute(
            update(evidence).where(*this).values(sop_uids=listed, at=time.time())
        )
        return bool(done.rowcount)
