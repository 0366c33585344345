"""What does a builder need to know before it can make a bundle?"""

from collections.abc import Callable
from typing import BinaryIO

from intact.model.entries import FileEntry
from intact.model.manifest import Manifest
from intact.model.values import dataclass

__all__ = ["PackageSource"]


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A package that is ready to be built.

    Attributes:
        manifest: complete but for the frame table; entries sorted, sizes and digests final.
        open_content: opens the content of one file entry for reading.
        notes: what a publisher should know (maintainer scripts that were left out, …).
    """

    manifest: Manifest
    open_content: Callable[[FileEntry], BinaryIO]
    notes: tuple[str, ...] = ()
