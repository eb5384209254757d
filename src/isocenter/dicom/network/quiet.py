"""pynetdicom as we use it: it writes no logs, which quote headers, and closes its sockets."""

from __future__ import annotations

import logging
import socket
import warnings
from contextlib import suppress
from functools import cache
from typing import Any


@cache
def pynetdicom() -> Any:
    """The library, silent.

    Raises:
        ImportError: it is not installed; it comes with the extra "gateway".
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pynetdicom
        from pynetdicom import _config
        from pynetdicom.transport import AssociationSocket

    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    logger = logging.getLogger("pynetdicom")
    logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    AssociationSocket._shutdown_socket = _shut_down  # type: ignore[method-assign]
    return pynetdicom


def _shut_down(self: Any) -> None:
    """Shut down and close; the library's own leaves a socket open whose peer is gone already."""
    if self.socket is None:
        return
    with suppress(OSError):
        self.socket.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        self.socket.close()
