"""Pure. What stands in frame 0, byte for byte?

Whole tar members: the manifest, then one to sixteen signatures, each an armored SSHSIG over the manifest's bytes.
The bytes around the content are a function of names and sizes, as everywhere in a bundle.
"""

from collections.abc import Sequence
from typing import Final

from intact.bundle.tarstream import BLOCK, TarFault, member_header, padding, size_in_header
from intact.model.limits import Limits

__all__ = ["MANIFEST_NAME", "head_bytes", "split_head"]

MANIFEST_NAME: Final = ".intact/manifest.toml"
_MODE = 0o644


def _signature_name(number: int) -> str:
    """``manifest.toml.sig`` for the first, ``manifest.toml.2.sig`` and so on for the others."""
    return f"{MANIFEST_NAME}.sig" if number == 1 else f"{MANIFEST_NAME}.{number}.sig"


def head_bytes(manifest: bytes, signatures: Sequence[bytes]) -> bytes:
    """Return the content of frame 0."""
    named = [(MANIFEST_NAME, manifest)]
    named += [(_signature_name(number), armor) for number, armor in enumerate(signatures, 1)]
    parts = []
    for name, content in named:
        parts += [member_header(name, len(content), _MODE, 0), content, bytes(padding(len(content)))]
    return b"".join(parts)


def split_head(content: bytes | memoryview, limits: Limits) -> tuple[bytes, tuple[bytes, ...]]:
    """Take frame 0 apart into (manifest, signatures).

    Raises:
        TarFault: it has another structure, or something in it is too large.
    """
    manifest, at = _member(content, 0, MANIFEST_NAME, limits.manifest)
    signatures: list[bytes] = []
    while at < len(content):
        if len(signatures) == limits.signatures:
            raise TarFault(f"there are more than {limits.signatures} signatures")
        name = _signature_name(len(signatures) + 1)
        armor, at = _member(content, at, name, limits.signature)
        signatures.append(armor)
    return manifest, tuple(signatures)


def _member(content: bytes | memoryview, at: int, name: str, most: int) -> tuple[bytes, int]:
    """Return (content, offset of what follows) of the member that must start at `at`."""
    header = bytes(content[at : at + BLOCK])
    if len(header) < BLOCK:
        raise TarFault(f"at byte {at}, the header of {name} is cut off")
    size = size_in_header(header)
    if size > most:
        raise TarFault(f"{name} has {size} bytes, and {most} is the most")
    if header != member_header(name, size, _MODE, 0):
        raise TarFault(f"at byte {at} there is not the header of {name}")
    start = at + BLOCK
    end = start + size
    following = end + padding(size)
    if following > len(content) or bytes(content[end:following]).strip(b"\0"):
        raise TarFault(f"{name} is cut off, or something is hidden behind it")
    return bytes(content[start:end]), following
