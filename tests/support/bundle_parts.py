"""Makes packages from plain values, keys from fixed seeds, and streams that misbehave."""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from intact.bundle.build import build_bundle
from intact.bundle.head import head_bytes
from intact.bundle.package import PackageSource
from intact.bundle.read import UnverifiedBundle, open_bundle
from intact.bundle.verified import VerifiedBundle, verify
from intact.bundle.zstdframes import compress_frame
from intact.model.entries import Digest, Entry, FileEntry
from intact.model.manifest import Manifest, PackageIdentity
from intact.model.paths import RelPath
from intact.model.versions import Version
from intact.trust.keys import SigningKey
from intact.trust.store import TrustEntry, TrustStore

__all__ = [
    "MTIME",
    "Pipe",
    "fixed_key",
    "head_frame",
    "make_bundle",
    "make_source",
    "opened",
    "store_of",
    "verified",
]

MTIME = 1_600_000_000


class Pipe(BytesIO):
    """A stream that can't seek and gives at most `most` bytes at once, as standard input does."""

    def __init__(self, content: bytes, most: int = 1000) -> None:
        super().__init__(content)
        self._most = most

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise OSError(29, f"Illegal seek to {offset} ({whence})")

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._most if size is None or size < 0 else min(size, self._most)
        return super().read(wanted)


def fixed_key(seed: int = 1) -> SigningKey:
    """The same key for the same seed, so that bundles of tests are reproducible."""
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32), f"key {seed}")


def store_of(*keys: SigningKey) -> TrustStore:
    """A trust store that trusts these keys with everything."""
    return TrustStore(tuple(TrustEntry(key.public) for key in keys))


def make_source(
    files: dict[str, bytes], others: Iterable[Entry] = (), *, name: str = "hello", version: str = "1.0"
) -> PackageSource:
    """A package with these files, mode 0644, and further entries."""
    entries: list[Entry] = [
        FileEntry(
            RelPath(path), 0o644, "root", "root", MTIME, len(data), Digest(hashlib.sha256(data).hexdigest())
        )
        for path, data in files.items()
    ]
    ordered = sorted([*entries, *others], key=lambda entry: entry.path)
    manifest = Manifest(PackageIdentity(name, Version(version), "all"), created=MTIME, entries=tuple(ordered))

    def open_content(entry: FileEntry) -> BinaryIO:
        return BytesIO(files[entry.path])

    return PackageSource(manifest, open_content)


def make_bundle(
    folder: Path, files: dict[str, bytes], others: Iterable[Entry] = (), *, keys: Iterable[SigningKey] = ()
) -> Path:
    """Build such a package into `folder`."""
    folder.mkdir(exist_ok=True)
    return build_bundle(make_source(files, others), folder, signers=[key.sign for key in keys]).path


def head_frame(manifest: bytes, signatures: Iterable[bytes]) -> bytes:
    """Return frame 0 of a bundle with any manifest, as a careless or hostile publisher could make it."""
    return compress_frame(head_bytes(manifest, list(signatures)), 3)


def opened(stored: bytes, *, most: int | None = None) -> UnverifiedBundle:
    """Open bundle bytes as a file, or as a pipe that gives at most `most` bytes at once."""
    return open_bundle(BytesIO(stored) if most is None else Pipe(stored, most), "test.tar.zst")


def verified(stored: bytes, *keys: SigningKey, most: int | None = None) -> VerifiedBundle:
    """Open and verify bundle bytes; without keys, unsigned ones are let in."""
    return verify(opened(stored, most=most), store_of(*keys), now=MTIME, allow_unsigned=not keys)
