"""Pure. How much of a bundle's manifest is read, once somebody has vouched for it: all, or what differs from another one?"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from intact.bundle.difference import difference
from intact.bundle.manifest_text import parse_manifest
from intact.bundle.tarstream import Span, layout, span_at
from intact.model.entries import Digest, FileEntry
from intact.model.errors import ManifestInvalid
from intact.model.limits import DEFAULT_LIMITS, Limits
from intact.model.manifest import Manifest
from intact.model.paths import RelPath
from intact.model.values import dataclass, field

__all__ = ["WHOLE", "ReadManifest", "Reading", "read_manifest", "read_whole"]

# Whoever uses what was read knows of which package the base is, and holds it against the name that was read.
_NAME = re.compile(rb'^name = "([a-z0-9][a-z0-9+._-]*)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a manifest is read.

    Attributes:
        limits: what it may ask for.
        base_of: returns another manifest of the package of that name, known to be right; then only what differs from
            that one is read, unless they are the same. What gives rights is always read.
    """

    limits: Limits = DEFAULT_LIMITS
    base_of: Callable[[str], bytes | None] = lambda _name: None


WHOLE: Final = Reading()


@dataclass(frozen=True, slots=True)
class ReadManifest:
    """A manifest that was read, as a whole or as far as it differs.

    Attributes:
        limits: what it may ask for.
        entries: number of all entries.
        size: bytes of all files.
        base: digest and number of entries of the one that it was compared with; None for a whole one.
        gone: paths that only `base` has.
        starts: where the files begin in the stream, if not all of them are there to count.
    """

    manifest: Manifest
    limits: Limits
    entries: int
    size: int
    base: tuple[Digest, int] | None = None
    gone: tuple[RelPath, ...] = ()
    starts: Mapping[RelPath, int] = field(default_factory=dict)

    def spans(self) -> Iterator[Span]:
        """Say where the files are in the stream, in its order."""
        files = (entry for entry in self.manifest.entries if isinstance(entry, FileEntry))
        if self.base is None:
            return layout(files)
        return (span_at(entry, self.starts[entry.path]) for entry in files)


def read_whole(text: bytes, name: str, limits: Limits) -> ReadManifest:
    """Read a manifest with all its entries; `name` is what errors call its bundle.

    Raises:
        ManifestInvalid, FeatureUnknown: it cannot be used.
    """
    manifest = parse_manifest(text, _place(name), limits)
    size = sum(entry.size for entry in manifest.entries if isinstance(entry, FileEntry))
    return ReadManifest(manifest, limits, len(manifest.entries), size)


def _read_changed(text: bytes, base: bytes, name: str, limits: Limits) -> ReadManifest | None:
    """Read what differs from another manifest; None if that cannot be told without reading the whole."""
    found = difference(base, text, limits)
    if found is None:
        return None
    try:
        manifest = parse_manifest(found.text, _place(name), limits, stream=found.length)
    except ManifestInvalid:  # told with its place in the whole manifest
        return None
    digest = Digest(hashlib.sha256(base).hexdigest())
    compared = (digest, found.entries_before)
    return ReadManifest(manifest, limits, found.entries, found.size, compared, found.gone, found.starts)


def _place(name: str) -> str:
    return f"{name}: .intact/manifest.toml"


def read_manifest(text: bytes, name: str, reading: Reading) -> ReadManifest:
    """Read a manifest as far as `reading` says; else as `read_whole`."""
    named = _NAME.search(text)
    base = None if named is None else reading.base_of(named[1].decode())
    read = None
    if base is not None and base != text:
        read = _read_changed(text, base, name, reading.limits)
    return read_whole(text, name, reading.limits) if read is None else read
