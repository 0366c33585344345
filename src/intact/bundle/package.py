"""What does a builder need to know before it can make a bundle?"""

from collections.abc import Callable
from typing import BinaryIO, Final

from intact.model.entries import Digest, FileEntry
from intact.model.manifest import Manifest
from intact.model.values import dataclass

__all__ = ["UNREAD", "PackageSource"]

UNREAD: Final = Digest("")
"""Stands for the digest of content that is read when it is packed; no manifest with it is written."""


def _always(_entry: FileEntry, _content: BinaryIO) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A package that is ready to be built.

    Attributes:
        manifest: complete but for the frame table; entries sorted, sizes final, digests final or `UNREAD`.
        open_content: opens the content of one file entry for reading.
        notes: what a publisher should know (maintainer scripts that were left out, …).
        is_as_seen: tells whether opened content still is what its entry was made from.
    """

    manifest: Manifest
    open_content: Callable[[FileEntry], BinaryIO]
    notes: tuple[str, ...] = ()
    is_as_seen: Callable[[FileEntry, BinaryIO], bool] = _always
