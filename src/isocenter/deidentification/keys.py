"""What takes the place of identifiers: functions of a secret key, so that they fit each other.

Whoever has the key and an original can tell which replacement is its own; without the key nobody
can, as HMAC cannot be tried out on a list of likely identifiers. The key is as confidential as the
identities.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import OutputRefused, SettingRefused
from isocenter.core.files import writing_to
from isocenter.core.reasons import reason_not_written

KEY_BYTES = 32
LEAST_SHIFT_DAYS = 30
MOST_SHIFT_DAYS = 3650
_PSEUDONYM_LETTERS = 16
_STANDARD_ROOT = "1.2.840.10008."


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """Makes replacements; it never shows what it is made of.

    Attributes:
        secret: 32 random bytes.
    """

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise SettingRefused(f"a key has {KEY_BYTES} bytes")

    def __repr__(self) -> str:
        return "SecretKey()"

    def _digest(self, role: str, text: str) -> bytes:
        content = f"isocenter deidentify\x1f{role}\x1f{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self.secret, content, hashlib.sha256)

    def uid(self, uid: str) -> str:
        """A UID in place of another: under 2.25, a UUID of version 8 (RFC 9562) from HMAC-SHA-256.

        UIDs of the standard itself, such as SOP classes, name nothing of a patient and stay.
        """
        return uid if uid.startswith(_STANDARD_ROOT) else self.name("uid", uid)

    def name(self, role: str, text: str) -> str:
        """A UID for anything, also for a UID of the standard; safe as a name of a file."""
        number = int.from_bytes(self._digest(role, text)[:16], "big")
        number = number & ~(0xF << 76) | (8 << 76)  # version
        number = number & ~(0x3 << 62) | (2 << 62)  # variant
        return f"2.25.{uuid.UUID(int=number).int}"

    def pseudonym(self, identifier: str) -> str:
        """A Patient ID in place of another: 16 letters and digits, 80 bits."""
        letters = base64.b32encode(self._digest("patient", identifier)).decode("ascii")
        return letters[:_PSEUDONYM_LETTERS]

    def shift_days(self, identifier: str) -> int:
        """By how many days the dates of a patient go back: 30 to 3650."""
        number = int.from_bytes(self._digest("days", identifier)[:8], "big")
        return -(LEAST_SHIFT_DAYS + number % (MOST_SHIFT_DAYS - LEAST_SHIFT_DAYS + 1))

    @property
    def mark(self) -> str:
        """Eight digits that tell one key from another and give nothing away."""
        return self._digest("mark", "").hex()[:8]


def new_key() -> SecretKey:
    """A random key."""
    return SecretKey(secret=secrets.token_bytes(KEY_BYTES))


def key_of(path: Path) -> SecretKey:
    """The key that a file holds; made there, for its owner alone, where there is no file.

    Raises:
        SettingRefused: others may read the file, or it holds no key.
        OutputRefused: it cannot be made.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        return _made(path)


def _read(path: Path) -> SecretKey:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise SettingRefused("the key is no file; name a file that holds a key, or a new one")
        if os.name == "posix" and stat.S_IMODE(facts.st_mode) & 0o077:
            raise SettingRefused(
                "others may read the file of the key, so it is none that can be relied on; take "
                "it from them with chmod 600, and ask who may have read it"
            )
        text = path.read_text(encoding="ascii").strip()
        return SecretKey(secret=bytes.fromhex(text))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise SettingRefused("the file of the key cannot be read as text") from error
    except SettingRefused:
        raise
    except ValueError as error:
        raise SettingRefused(
            f"the file of the key holds something else; a key is {2 * KEY_BYTES} hexadecimal digits"
        ) from error


def _made(path: Path) -> SecretKey:
    """A new key in a new file; of two processes that make one, both get the first's."""
    with writing_to(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    key = new_key()
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, key.secret.hex().encode("ascii") + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(part, path)  # fails where another was quicker
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise OutputRefused(
            f"the key cannot be written: {os.strerror(error.errno or 0)}; name a file in a folder "
            "that you may write to",
            reason=reason_not_written(error),
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return key
