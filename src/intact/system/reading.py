"""Acts. What is in an open file?"""

from typing import BinaryIO

from intact.model.entries import Digest

__all__ = ["digest_of"]

_HASHED = 1 << 17  # to fill a larger buffer takes longer than to hash a small file


def digest_of(source: BinaryIO) -> Digest:
    """Hash the rest of a file, opened without a buffer."""
    import hashlib  # noqa: PLC0415  loading OpenSSL takes longer than most questions

    state = hashlib.sha256()
    view = memoryview(bytearray(_HASHED))
    while count := source.readinto(view):  # type: ignore[attr-defined]  # FileIO has it
        state.update(view[:count])
    return Digest(state.hexdigest())
