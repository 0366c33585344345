"""Makes Debian packages byte by byte, in order or not."""

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping

__all__ = [
    "CONTROL",
    "MTIME",
    "Member",
    "ar",
    "deb",
    "device",
    "directory",
    "file",
    "hardlink",
    "symlink",
    "tar",
]

MTIME = 1_600_000_000
CONTROL = "Package: tool\nVersion: 1.0\nArchitecture: amd64\nDescription: does things\n"
Member = tuple[tarfile.TarInfo, bytes]


def _member(name: str, kind: bytes, facts: Mapping[str, object], content: bytes = b"") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = kind, len(content), MTIME
    info.uname = info.gname = "root"
    for key, value in facts.items():
        setattr(info, key, value)
    return info, content


def file(name: str, content: bytes = b"", **facts: object) -> Member:
    """A regular file."""
    return _member(name, tarfile.REGTYPE, facts, content)


def directory(name: str, **facts: object) -> Member:
    """A directory."""
    return _member(name, tarfile.DIRTYPE, {"mode": 0o755, **facts})


def symlink(name: str, target: str, **facts: object) -> Member:
    """A symbolic link."""
    return _member(name, tarfile.SYMTYPE, {"linkname": target, **facts})


def hardlink(name: str, target: str) -> Member:
    """A hard link."""
    return _member(name, tarfile.LNKTYPE, {"linkname": target})


def device(name: str, kind: bytes) -> Member:
    """A device node or pipe."""
    return _member(name, kind, {})


def tar(members: Iterable[Member], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Pack the members in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Pack the members as an ar archive."""
    parts = [b"!<arch>\n"]
    for name, content in members:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        parts += [header, content, b"\n" * (len(content) % 2)]
    return b"".join(parts)


def deb(
    data: Iterable[Member] = (), control: str = CONTROL, others: Mapping[str, bytes] | None = None
) -> bytes:
    """Make a package; `others` are further files of its control archive."""
    files = {"control": control.encode(), **(others or {})}
    packed = tar(file(f"./{name}", content) for name, content in files.items())
    return ar(
        [("debian-binary", b"2.0\n"), ("control.tar.gz", gzip.compress(packed)), ("data.tar", tar(data))]
    )
