"""Pure. What does a mode make of an access list, and which mode does a list say?

A list (acl(5)) as Linux stores it: a version, then entries of tag, rights and id, little-endian.
"""

import struct
from collections.abc import Iterator

__all__ = ["ACCESS_LIST", "DEFAULT_LIST", "listed_mode", "under_mode"]

ACCESS_LIST = "system.posix_acl_access"
DEFAULT_LIST = "system.posix_acl_default"

_HEAD = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_VERSION = 2
_OWNER, _GROUP, _MASK, _OTHERS = 0x01, 0x04, 0x10, 0x20


def _entries(value: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield tag, rights and id; nothing if it is no list."""
    is_list = len(value) >= _HEAD.size and (len(value) - _HEAD.size) % _ENTRY.size == 0
    if is_list and _HEAD.unpack_from(value)[0] == _VERSION:
        yield from _ENTRY.iter_unpack(value[_HEAD.size :])


def _shifts(value: bytes) -> dict[int, int]:
    """Return where in a mode the rights of each tag stand; where there is a mask, it is the group's (chmod(2))."""
    has_mask = any(tag == _MASK for tag, _, _ in _entries(value))
    return {_OWNER: 6, _MASK if has_mask else _GROUP: 3, _OTHERS: 0}


def under_mode(value: bytes, mode: int) -> bytes:
    """Return the list as chmod(2) to `mode` leaves it: nobody whom it names gets more than the mode's group has.

    What is no list is returned as it is; the kernel refuses it.
    """
    shifts = _shifts(value)
    entries = [
        _ENTRY.pack(tag, mode >> shifts[tag] & 7 if tag in shifts else rights, number)
        for tag, rights, number in _entries(value)
    ]
    return value[: _HEAD.size] + b"".join(entries) if entries else value


def listed_mode(value: bytes) -> int:
    """Return the permission bits that a file with this list has."""
    shifts = _shifts(value)
    return sum((rights & 7) << shifts[tag] for tag, rights, _ in _entries(value) if tag in shifts)
