"""Pure. Which texts may stand in a manifest for a mode, an owner, a name and the like?

Each function turns the text into the value or raises ValueError with the reason.
"""

import base64
import re
import sys
import unicodedata
from typing import Final

from intact.model.entries import Digest
from intact.model.paths import RelPath
from intact.model.relations import NAME_PATTERN, Relation, RelationFault, parse_relation

__all__ = [
    "CAPABILITY",
    "MOST_ID",
    "architecture_of",
    "attribute_name_of",
    "bytes_of",
    "digest_of",
    "line_of",
    "mode_of",
    "name_of",
    "owner_of",
    "path_of",
    "provided_of",
    "target_of",
]

CAPABILITY: Final = "security.capability"
MOST_ID: Final = 2**31 - 2
_MOST_LINE = 1024
_MOST_TARGET_BYTES = 4095
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}[A-Za-z0-9_.$-]?")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_MODE = re.compile(r"[0-7]{4}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_USER_ATTRIBUTE = re.compile(r"user\.[!-~]{1,250}")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def path_of(text: str) -> RelPath:
    """Read a path of the root; ``.intact`` is no component of any."""
    path = RelPath.parse(text)
    if ".intact" in text and ".intact" in text.split("/"):
        raise ValueError(".intact is reserved for what pkg stages there")
    return path


def mode_of(text: str) -> int:
    """Read four octal digits."""
    if not _MODE.fullmatch(text):
        raise ValueError(f'{text!r} is not a mode; write four octal digits, such as "0644"')
    return int(text, 8)


def owner_of(text: str) -> str:
    """Read a user or group name, or a number from 0 to 2147483646."""
    if _NUMBER.fullmatch(text):
        if int(text) > MOST_ID:
            raise ValueError(f"the number {text} is out of range (0 to {MOST_ID})")
    elif not _ACCOUNT.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a user or group")
    return sys.intern(text)


def digest_of(text: str) -> Digest:
    """Read a SHA-256."""
    if not _DIGEST.fullmatch(text):
        raise ValueError("is not a SHA-256 (64 lower-case hexadecimal digits)")
    return Digest(text)


def name_of(text: str) -> str:
    """Read a package name."""
    if not NAME_PATTERN.fullmatch(text):
        raise ValueError(f"{text!r} is not a package name (lower-case letters, digits and + . _ -)")
    return text


def architecture_of(text: str) -> str:
    """Read an architecture in Debian's words: ``amd64``, ``arm64``, …, ``all``."""
    if not _ARCHITECTURE.fullmatch(text):
        raise ValueError(f"{text!r} is not an architecture (amd64, arm64, …, or all)")
    return text


def line_of(text: str) -> str:
    """Read one line of prose."""
    if len(text) > _MOST_LINE:
        raise ValueError(f"is longer than {_MOST_LINE} characters")
    _refuse_invisible(text)
    return text


def target_of(text: str) -> str:
    """Read a symbolic link's target; where it leads is not our business, we never follow it."""
    if not text:
        raise ValueError("the target is empty")
    _refuse_invisible(text)
    if len(text.encode()) > _MOST_TARGET_BYTES:
        raise ValueError(f"the target is longer than {_MOST_TARGET_BYTES} bytes")
    return text


def provided_of(text: str) -> Relation:
    """Read what a package provides: a name, perhaps with ``=`` and a version."""
    relation = parse_relation(text)
    if relation.comparison not in {None, "="}:
        raise RelationFault(f"{text!r} provides no definite version; write NAME or NAME (= VERSION)")
    return relation


def attribute_name_of(text: str) -> str:
    """Read the name of an extended attribute; others than these would change more than the file."""
    if text != CAPABILITY and not _USER_ATTRIBUTE.fullmatch(text):
        raise ValueError(f"only {CAPABILITY} and user.* attributes are installed")
    return sys.intern(text)


def bytes_of(text: str) -> bytes:
    """Read base64, canonical."""
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError("is not base64") from error
    if base64.b64encode(value).decode() != text:
        raise ValueError("is not canonical base64")
    return value


def _refuse_invisible(text: str) -> None:
    if text.isascii() and text.isprintable():
        return
    for character in text:
        if unicodedata.category(character) in _INVISIBLE:
            raise ValueError(f"has the unprintable character U+{ord(character):04X}")
