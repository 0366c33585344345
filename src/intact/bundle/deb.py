"""Acts. What is in a Debian package, in terms of a bundle?

Files, directories, links, modes, owners, capabilities, configuration files, version and relations are taken over. Maintainer
scripts are not: the notes name those that were left out. `tarfile` is used as a reader of a publisher's own input at build time; it never
extracts, and never sees a bundle.
"""

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.parser import HeaderParser
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, TypeVar, cast

import zstandard

from intact.bundle.entry_rules import check_entries
from intact.bundle.fields import Faults
from intact.bundle.package import PackageSource
from intact.bundle.read import damaged
from intact.bundle.values import architecture_of, line_of, name_of, owner_of, path_of, target_of
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry, Xattrs
from intact.model.errors import machine_error
from intact.model.manifest import Manifest, PackageIdentity, Relations
from intact.model.objects import CAPABILITY
from intact.model.paths import RelPath
from intact.model.relations import Relation, RelationFault, parse_relation, parse_requirement
from intact.model.versions import Version, VersionFault
from intact.system.hostfiles import scratch_file

__all__ = ["read_deb"]

_T = TypeVar("_T")
_CHUNK = 1 << 20
_MOST_CONTROL = 32 << 20
_AR_MAGIC = b"!<arch>\n"
_CARRIED = frozenset({"control", "md5sums", "conffiles"})
_PAX_XATTR = "SCHILY.xattr."
_REMEDY = "this package cannot become a bundle as it is; nothing was written"


@contextmanager
def read_deb(path: Path) -> Iterator[PackageSource]:
    """Read a Debian package; its content is spooled to an anonymous file beside the current directory's temporary ones.

    Raises:
        BundleDamaged: it is not a Debian package, or damaged.
        ManifestInvalid: it holds what a bundle cannot hold; all of it is named.
    """
    name = str(path)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise machine_error("open", error, name) from error
        spool = stack.enter_context(scratch_file(Path.cwd()))
        try:
            yield _read(file, spool, name)
        except (
            tarfile.TarError,
            EOFError,
            lzma.LZMAError,
            zlib.error,
            zstandard.ZstdError,
            UnicodeError,
        ) as error:
            raise damaged(name, f"this is not a Debian package in order: {error}") from error


def _read(file: BinaryIO, spool: BinaryIO, name: str) -> PackageSource:
    members = dict(_ar_members(file, name))
    control_name = next((one for one in members if one.startswith("control.tar")), None)
    data_name = next((one for one in members if one.startswith("data.tar")), None)
    if "debian-binary" not in members or control_name is None or data_name is None:
        raise damaged(name, "this is an ar archive, but not a Debian package")
    control = _control_files(_decompressed(members[control_name], control_name, name))
    faults = Faults()
    contents = _Contents(spool, faults, frozenset(_lines(control.get("conffiles", b""))))
    _read_data(_decompressed(members[data_name], data_name, name), contents)
    manifest = _manifest(control.get("control", b"").decode(), contents, faults)
    faults.refuse_if_any(name, _REMEDY)
    left_out = sorted(set(control) - _CARRIED)
    notes = (
        (f"maintainer scripts and control files left out, not run: {', '.join(left_out)}",)
        if left_out
        else ()
    )
    return PackageSource(manifest, contents.open, notes)


def _lines(text: bytes) -> list[str]:
    return [line.strip().removeprefix("/") for line in text.decode().splitlines() if line.strip()]


# --- the containers --------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Member:
    """A part of the .deb file."""

    file: BinaryIO
    start: int
    size: int


class _Part:
    """Reads one member as if it were a file."""

    def __init__(self, member: _Member) -> None:
        self._file = member.file
        self._left = member.size
        self._at = member.start

    def read(self, count: int = -1) -> bytes:
        """Read at most `count` bytes."""
        count = self._left if count < 0 else min(count, self._left)
        self._file.seek(self._at)
        data = self._file.read(count)
        self._at += len(data)
        self._left -= len(data)
        return data


def _ar_members(file: BinaryIO, name: str) -> Iterator[tuple[str, _Member]]:
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise damaged(name, "this is not a Debian package")
    end = file.seek(0, 2)
    at = len(_AR_MAGIC)
    while at < end:
        file.seek(at)
        header = file.read(60)
        size_text = header[48:58].strip()
        if len(header) != 60 or header[58:] != b"`\n" or not size_text.isdigit():
            raise damaged(name, f"the ar header at byte {at} is damaged")
        size = int(size_text)
        if at + 60 + size > end:
            raise damaged(name, "the package is cut off")
        yield header[:16].decode("ascii").rstrip(" /"), _Member(file, at + 60, size)
        at += 60 + size + size % 2


# tarfile and zstandard only ever call read() on a stream, so an object with that method is one for them.
def _decompressed(member: _Member, member_name: str, name: str) -> IO[bytes]:
    part = _Part(member)
    suffix = member_name.rpartition(".tar")[2]
    if suffix == ".zst":
        return cast("IO[bytes]", zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", part)))
    if suffix == ".xz":
        return cast("IO[bytes]", _Decoded(part, lzma.LZMADecompressor().decompress))
    if suffix == ".gz":
        return cast("IO[bytes]", _Decoded(part, zlib.decompressobj(31).decompress))
    if suffix == "":
        return cast("IO[bytes]", part)
    raise damaged(name, f"{member_name} is compressed in a way that is not known")


class _Decoded:
    """Reads a compressed stream piece by piece."""

    def __init__(self, part: _Part, decode: Callable[[bytes], bytes]) -> None:
        self._part = part
        self._decode = decode
        self._pending = b""

    def read(self, count: int) -> bytes:
        """Read exactly `count` bytes, fewer only at the end."""
        while len(self._pending) < count and (chunk := self._part.read(64 << 10)):
            self._pending += self._decode(chunk)
        data, self._pending = self._pending[:count], self._pending[count:]
        return data


def _control_files(stream: IO[bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() and member.size <= _MOST_CONTROL else None
            if content is not None:
                found[member.name.removeprefix("./")] = content.read()
    return found


# --- the data --------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Contents:
    """Entries found so far, and where their content lies in the spool."""

    spool: BinaryIO
    faults: Faults
    conffiles: frozenset[str]
    entries: dict[RelPath, Entry] = field(default_factory=dict)
    offsets: dict[RelPath, tuple[int, int]] = field(default_factory=dict)

    def open(self, entry: FileEntry) -> BinaryIO:
        """Open the content of a file."""
        start, size = self.offsets[entry.path]
        return _SpoolPart(self.spool, start, size)


class _SpoolPart(BytesIO):
    """A window of the spool; reads in pieces, so that a large file never is in memory."""

    def __init__(self, spool: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._spool = spool
        self._at = start
        self._end = start + size

    def read(self, size: int | None = -1, /) -> bytes:
        left = self._end - self._at
        count = left if size is None or size < 0 else min(size, left)
        self._spool.seek(self._at)
        data = self._spool.read(count)
        self._at += len(data)
        return data


def _read_data(stream: IO[bytes], contents: _Contents) -> None:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            text = member.name.removeprefix("./").rstrip("/")
            if text in {"", "."}:
                continue
            try:
                path = path_of(text)
                entry = _entry(archive, member, path, contents)
            except ValueError as fault:
                contents.faults.add(f"/{text}", str(fault))
                continue
            if path in contents.entries:
                contents.faults.add(f"/{text}", "is in the package twice")
            contents.entries[path] = entry


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, path: RelPath, contents: _Contents) -> Entry:
    owner = owner_of(member.uname or str(member.uid))
    group = owner_of(member.gname or str(member.gid))
    mode = member.mode & 0o7777
    if member.isreg():
        return _file(archive, member, path, contents, (owner, group))
    if member.isdir():
        return DirectoryEntry(path, mode, owner, group)
    if member.issym():
        return SymlinkEntry(path, target_of(member.linkname), owner, group)
    if member.islnk():
        return HardlinkEntry(path, path_of(member.linkname.removeprefix("./")))
    raise ValueError("is a device, pipe or socket, which no bundle can hold")


def _file(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: RelPath,
    contents: _Contents,
    owners: tuple[str, str],
) -> FileEntry:
    source = archive.extractfile(member)
    if source is None:
        raise ValueError("has no content")
    start = contents.spool.seek(0, 2)
    state = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        state.update(chunk)
        contents.spool.write(chunk)
    contents.offsets[path] = (start, member.size)
    xattrs: Xattrs = tuple(
        (key.removeprefix(_PAX_XATTR), value.encode("utf-8", "surrogateescape"))
        for key, value in sorted(member.pax_headers.items())
        if key == _PAX_XATTR + CAPABILITY
    )
    return FileEntry(
        path=path,
        mode=member.mode & 0o7777,
        owner=owners[0],
        group=owners[1],
        mtime=max(int(member.mtime), 0),
        size=member.size,
        digest=Digest(state.hexdigest()),
        config=path in contents.conffiles,
        xattrs=xattrs,
    )


# --- the control file ------------------------------------------------------------------------------------
def _manifest(text: str, contents: _Contents, faults: Faults) -> Manifest:
    fields = HeaderParser().parsestr(text)

    def value(name: str) -> str:
        return " ".join(str(fields.get(name, "")).split())

    def checked(name: str, convert: Callable[[str], str]) -> str:
        try:
            return convert(value(name))
        except ValueError as fault:
            faults.add(f"control: {name}", str(fault))
            return ""

    name, architecture = checked("Package", name_of), checked("Architecture", architecture_of)
    try:
        version = Version(value("Version"))
    except VersionFault as fault:
        faults.add("control: Version", str(fault))
        version = Version("0")
    entries = tuple(contents.entries[path] for path in sorted(contents.entries))
    check_entries(entries, lambda at: f"/{entries[at].path}", faults)
    summary = str(fields.get("Description", "")).splitlines()[:1]
    return Manifest(
        identity=PackageIdentity(name, version, architecture),
        summary=line_of(summary[0].strip()) if summary and summary[0].strip() else "",
        relations=_relations(value, faults),
        created=max((entry.mtime for entry in entries if isinstance(entry, FileEntry)), default=0),
        entries=entries,
    )


def _relations(value: Callable[[str], str], faults: Faults) -> Relations:
    def read(names: tuple[str, ...]) -> list[str]:
        texts = ",".join(filter(None, map(value, names))).split(",")
        return list(dict.fromkeys(text.strip() for text in texts if text.strip()))

    def parsed(parse: Callable[[str], _T], *names: str) -> tuple[_T, ...]:
        found: dict[_T, None] = {}
        for text in read(names):
            plain = "|".join(map(_plain, text.split("|")))
            try:
                found[parse(plain)] = None
            except RelationFault as fault:
                faults.add(f"control: {names[0]}", str(fault))
        return tuple(found)

    def relations(*names: str) -> tuple[Relation, ...]:
        return parsed(parse_relation, *names)

    return Relations(
        requires=parsed(parse_requirement, "Pre-Depends", "Depends"),
        conflicts=relations("Conflicts", "Breaks"),
        provides=relations("Provides"),
        replaces=relations("Replaces"),
    )


def _plain(relation: str) -> str:
    """Drop an architecture qualifier (``python3:any``) and write the old operators ``<`` and ``>`` as Debian means them."""
    name, parenthesis, bound = relation.strip().partition("(")
    name = name.strip().partition(":")[0]
    if not parenthesis:
        return name
    bound = bound.strip()
    if bound.startswith(("< ", "> ")):
        bound = f"{bound[0]}={bound[1:]}"
    return f"{name} ({bound}"
