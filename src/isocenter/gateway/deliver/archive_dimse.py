"""An archive by C-STORE and storage commitment."""

from __future__ import annotations

from collections.abc import Sequence

from isocenter.dicom.network.commitment import Commitments, ask_commitment
from isocenter.dicom.network.sending import Called, send_files
from isocenter.gateway.configuration.configuration import Archive
from isocenter.gateway.deliver.answers import Answer, of_status
from isocenter.gateway.deliver.archive_web import Seen, Sendable


class DimseArchive:
    """Sends to one archive."""

    def __init__(self, archive: Archive, commitments: Commitments) -> None:
        """Prepare; nothing is sent.

        Args:
            commitments: hears what the archive reports over associations of its own.
        """
        self._commitments = commitments
        self._called = Called(
            host=archive.host,
            port=archive.port,
            ae_title=archive.ae_title,
            own_ae_title=archive.own_ae_title,
            timeout_s=archive.timeout_s,
        )

    def send(self, results: Sequence[Sendable]) -> dict[str, Answer]:
        """Store results over one association; says what the archive answered of each."""
        statuses = send_files([each.file for each in results], self._called)
        silent = Answer(kind="transient", message="it refused the association or did not answer")
        return {
            each.sop_uid: silent if status is None else of_status(status)
            for each, status in zip(results, statuses, strict=True)
        }

    def committed(self, results: Sequence[Sendable]) -> dict[str, Seen]:
        """Ask for storage commitment; says what the archive answers for, by UID.

        "same" is its word: other than reading back, it tells nothing of pixels.
        """
        objects = [(each.sop_class_uid, each.sop_uid) for each in results]
        said = ask_commitment(objects, self._called, self._commitments)
        meaning: dict[str | None, Seen] = {"committed": "same", "failed": "absent", None: "unknown"}
        return {each.sop_uid: meaning[said.get(each.sop_uid)] for each in results}
