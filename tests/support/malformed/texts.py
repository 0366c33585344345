"""A good manifest, and what can be done to its text before it is signed."""

import hashlib

from intact.bundle.zstdframes import compress_frame
from support.malformed.case import STREAM, Case, frame_row, head_of, manifest_of

__all__ = [
    "NOISE",
    "PATH",
    "TEXT",
    "case_of",
    "replaced",
    "with_list",
    "with_package",
    "with_path",
    "with_row",
    "with_top",
]

_PAYLOAD = compress_frame(STREAM, 3)
TEXT = manifest_of([frame_row(_PAYLOAD, len(STREAM))]).decode()
NOISE = "".join(hashlib.sha256(b"%d" % one).hexdigest() for one in range(1 << 14)).upper()
"""A mebibyte that does not compress too well for a head."""
PATH = '"usr/share/m/b"'
"""Of the second file, as it stands in the manifest."""


def _signed(text: str | bytes) -> bytes:
    stored = text if isinstance(text, bytes) else text.encode()
    return head_of(stored) + _PAYLOAD


def case_of(kind: str, name: str, text: str | bytes, said: str) -> Case:
    return Case(f"manifest-{name}", kind, _signed(text), said)


def replaced(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


def with_top(lines: str) -> str:
    return lines + "\n" + TEXT


def with_package(lines: str) -> str:
    return replaced("[package]\n", f"[package]\n{lines}\n")


def with_path(toml: str) -> str:
    """Give the second file another path, written as TOML."""
    return replaced(f"path = {PATH}", f"path = {toml}")


def with_row(keys: str) -> str:
    """Give the second file more keys."""
    before, bracket, behind = TEXT.rpartition("},\n")
    return f"{before}, {keys}{bracket}{behind}"


def with_list(lines: str) -> str:
    """Add a list of entries."""
    return TEXT + lines + "\n"
