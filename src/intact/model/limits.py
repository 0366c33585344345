"""Pure. Which ceilings hold for input that nobody has vouched for yet?"""

from intact.model.values import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]

_KIB = 1024
_MIB = 1024 * _KIB
_GIB = 1024 * _MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Every ceiling, in one table; sizes in bytes."""

    head_compressed: int = 96 * _MIB
    """Frame 0 as stored: manifest and signatures."""
    manifest: int = 256 * _MIB
    """The manifest's TOML text."""
    head_ratio: int = 64
    """Frame 0 may grow by this factor (above 1 MiB): bounds a decompression bomb before trust."""
    signatures: int = 16
    signature: int = 4 * _KIB
    window: int = 8 * _MIB
    """zstd window, see RFC 9659."""
    frame: int = 16 * _MIB
    """One payload frame, decompressed."""
    entries: int = 1_500_000
    """A million files with the directories that hold them."""
    content: int = 64 * _GIB
    """Sum of all file sizes of one bundle."""
    source_manifest: int = 8 * _MIB
    xattrs: int = 64 * _KIB
    """All extended attributes of one entry."""


DEFAULT_LIMITS = Limits()
