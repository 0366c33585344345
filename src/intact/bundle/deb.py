"""Acts. What is in a Debian package, in terms of a bundle?

Files, directories, links, modes, owners, capabilities, configuration files, version and relations are taken over. Maintainer
scripts are not: the notes name those that were left out. `tarfile` is used as a reader of a publisher's own input at build time; it never
extracts, and never sees a bundle.
"""

import errno
import hashlib
import io
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.parser import HeaderParser
from pathlib import Path
from typing import BinaryIO, TypeVar

import zstandard

from intact.bundle.debfile import Part, Slice, decompressed, open_parts
from intact.bundle.entry_rules import check_entries
from intact.bundle.fields import Faults
from intact.bundle.package import PackageSource
from intact.bundle.read import damaged
from intact.bundle.tarstream import insist_on_fitting
from intact.bundle.values import (
    architecture_of,
    line_of,
    name_of,
    owner_of,
    path_of,
    provided_of,
    target_of,
)
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry, Xattrs
from intact.model.errors import ManifestInvalid, machine_error
from intact.model.limits import DEFAULT_LIMITS
from intact.model.manifest import Manifest, PackageIdentity, Relations
from intact.model.objects import CAPABILITY
from intact.model.paths import RelPath
from intact.model.relations import Relation, RelationFault, parse_relation, parse_requirement
from intact.model.values import dataclass, field
from intact.model.versions import Version, VersionFault
from intact.system.hostfiles import scratch_file

__all__ = ["read_deb"]

_T = TypeVar("_T")
_CHUNK = 1 << 20
_MOST_CONTROL = 32 << 20
_MOST_COPYRIGHT = 1 << 20
_MOST_HEADER = 1 << 20
_READ_AS_A_WHOLE = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    }
)
_READ = frozenset({"control", "conffiles"})
_CARRIED = _READ | {"md5sums"}
_PAX_XATTR = "SCHILY.xattr."
_COPYRIGHT_FORMAT = re.compile(
    r"Format:\s*https?://www\.debian\.org/doc/packaging-manuals/copyright-format/1\.0/?\s"
)
_REMEDY = "this package cannot become a bundle as it is; nothing was written"


@contextmanager
def read_deb(path: Path, spooled: Path | None = None) -> Iterator[PackageSource]:
    """Read a Debian package; its content is spooled to an anonymous file on the filesystem of `spooled`, a directory (the working one).

    Raises:
        BundleDamaged: it is not a Debian package, or damaged.
        ManifestInvalid: it holds what a bundle cannot hold; all of it is named.
        MachineError: the system refused to read the package or to write the spool.
    """
    name = str(path)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise machine_error("open", error, name) from error
        spool = stack.enter_context(scratch_file(spooled or Path.cwd()))
        try:
            source = _read(file, spool, name)
        except (
            tarfile.TarError,
            EOFError,
            lzma.LZMAError,
            zlib.error,
            zstandard.ZstdError,
            ValueError,
            OverflowError,  # a time that has no end
            RecursionError,  # thousands of long names, one after the other
        ) as error:
            raise damaged(name, f"this is not a Debian package in order: {error}") from error
        except MemoryError as error:
            # It says nothing itself, and nobody knows whether the package is at fault.
            raise machine_error("unpack", OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), name) from error
        except OSError as error:
            if error.errno is None:  # gzip and bz2 call damaged input so
                raise damaged(name, f"this is not a Debian package in order: {error}") from error
            raise machine_error("unpack", error, name) from error
        yield source


def _read(file: BinaryIO, spool: BinaryIO, name: str) -> PackageSource:
    parts = open_parts(file, name)
    control = _control_files(parts.control, name)
    faults = Faults()
    contents = _Contents(name, spool, faults, frozenset(_conffiles(control.get("conffiles", b""))))
    _read_data(parts.data, name, contents)
    manifest = _manifest(control.get("control", b"").decode(), contents, faults)
    faults.refuse_if_any(name, _REMEDY)
    return PackageSource(manifest, contents.open, tuple(_notes(control, contents)))


def _notes(control: dict[str, bytes], contents: "_Contents") -> Iterator[str]:
    left_out = sorted(set(control) - _CARRIED)
    if left_out:
        yield f"maintainer scripts and control files left out, not run: {', '.join(left_out)}"
    if contents.dropped:
        yield f"extended attributes left out: {', '.join(sorted(contents.dropped))}"


def _conffiles(text: bytes) -> Iterator[str]:
    """Name the configuration files; lines with a flag (``remove-on-upgrade``) are about files that are not there."""
    for line in text.decode().splitlines():
        if line.startswith("/"):
            yield line.rstrip().removeprefix("/")


# --- tar -------------------------------------------------------------------------------------------------
class _StrictTarInfo(tarfile.TarInfo):
    """Makes tarfile refuse a damaged or missing header; by itself it takes one for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: "bytes | bytearray", encoding: str, errors: str) -> "_StrictTarInfo":
        """Read a header; what follows that of a long name or of attributes is read into memory, and has a ceiling.

        Raises:
            tarfile.HeaderError: it is damaged or missing, or has too much of that.
        """
        found = super().frombuf(buf, encoding, errors)
        if found.type in _READ_AS_A_WHOLE and found.size > _MOST_HEADER:
            raise tarfile.HeaderError(f"a header has {found.size} bytes, and {_MOST_HEADER} is the most")
        return found

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_StrictTarInfo":
        """Read the next header; only a block of zeros ends an archive.

        Raises:
            tarfile.ReadError: the header is damaged or missing.
        """
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed does not know it
            raise
        except tarfile.HeaderError as fault:
            raise tarfile.ReadError(f"{fault}, at byte {archive.offset} of the archive") from fault


@contextmanager
def _archive(part: Part, name: str) -> Iterator[tarfile.TarFile]:
    """Read a tar archive as a stream, to its very end, so that a checksum there is checked."""
    with (
        decompressed(part, name) as stream,
        tarfile.open(
            fileobj=stream, mode="r|", tarinfo=_StrictTarInfo, encoding="utf-8", errors="surrogateescape"
        ) as archive,
    ):
        yield archive
        while chunk := archive.fileobj.read(_CHUNK):
            if chunk.strip(b"\0"):
                raise damaged(name, f"something follows the end of {part.name}")


def _control_files(part: Part, name: str) -> dict[str, bytes]:
    """Name all control files, with the content of those that are taken over."""
    found: dict[str, bytes] = {}
    with _archive(part, name) as archive:
        for member in archive:
            file_name = member.name.removeprefix("./")
            if not member.isreg():
                continue
            found[file_name] = b""
            content = archive.extractfile(member) if file_name in _READ else None
            if content is not None:
                if member.size > _MOST_CONTROL:
                    raise damaged(name, f"its control file {file_name} has more than {_MOST_CONTROL} bytes")
                found[file_name] = content.read()
    return found


# --- the data --------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Contents:
    """Entries found so far, and where their content lies in the spool.

    Attributes:
        name: of the package file, for messages.
        size: bytes of the spool.
    """

    name: str
    spool: BinaryIO
    faults: Faults
    conffiles: frozenset[str]
    entries: dict[RelPath, Entry] = field(default_factory=dict)
    offsets: dict[RelPath, tuple[int, int]] = field(default_factory=dict)

    dropped: list[str] = field(default_factory=list)
    size: int = 0

    def room_for(self, size: int) -> int:
        """Return where in the spool there is room for so much content.

        Raises:
            ManifestInvalid: readers of bundles would not accept so much.
        """
        start = self.size
        self.size += size
        if self.size > DEFAULT_LIMITS.content:  # a small package can hold any number of zeros
            raise self.too_much(f"its files have more than {DEFAULT_LIMITS.content} bytes together")
        return self.spool.seek(start)

    def too_much(self, what: str) -> ManifestInvalid:
        """Return the error for a package with more than readers of bundles accept."""
        return ManifestInvalid(f"{what}, and a bundle may not", path=self.name, remedy=_REMEDY)

    def open(self, entry: FileEntry) -> BinaryIO:
        """Open the content of a file."""
        return io.BufferedReader(Slice(self.spool, *self.offsets[entry.path]))


def _read_data(part: Part, name: str, contents: _Contents) -> None:
    with _archive(part, name) as archive:
        for count, member in enumerate(archive):
            if count > DEFAULT_LIMITS.entries:  # one of them may be the root, which is no entry
                raise contents.too_much(f"it has more than {DEFAULT_LIMITS.entries} entries")
            text = member.name.removeprefix("./").rstrip("/")
            if text in {"", "."}:
                continue
            try:
                path = path_of(text)
                entry = _entry(archive, member, path, contents)
            except ValueError as fault:
                contents.faults.add(_shown(text), str(fault))
                continue
            before = contents.entries.setdefault(path, entry)
            if before is not entry and not (before == entry and isinstance(entry, DirectoryEntry)):
                contents.faults.add(_shown(text), "is in the package twice")
    contents.spool.flush()  # a full disk is told here, not to whoever reads the content
    for path, entry in contents.entries.items():
        if isinstance(entry, HardlinkEntry):
            contents.entries[path] = _settled(entry, contents.entries)


def _shown(text: str) -> str:
    return f"/{text}" if text.isprintable() else f"/{text!r}"


def _settled(link: HardlinkEntry, entries: dict[RelPath, Entry]) -> Entry:
    """Lead a link to the file that it means, over other links; one to a symbolic link becomes the same symbolic link."""
    chain = [link]
    seen = {link.path}
    while isinstance(found := entries.get(chain[-1].target), HardlinkEntry) and found.path not in seen:
        chain.append(found)
        seen.add(found.path)
    for one in chain:  # all of them, so that no chain is gone along twice
        if isinstance(found, SymlinkEntry):
            entries[one.path] = SymlinkEntry(one.path, found.target, found.owner, found.group)
        else:
            entries[one.path] = HardlinkEntry(one.path, chain[-1].target)
    return entries[link.path]


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
    mtime = max(int(member.mtime), 0)
    insist_on_fitting(member.size, mtime)
    source = archive.extractfile(member)
    if source is None:
        raise ValueError("has no content")
    start = contents.room_for(member.size)
    state = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        state.update(chunk)
        contents.spool.write(chunk)
    contents.offsets.setdefault(path, (start, member.size))
    return FileEntry(
        path=path,
        mode=member.mode & 0o7777,
        owner=owners[0],
        group=owners[1],
        mtime=mtime,
        size=member.size,
        digest=Digest(state.hexdigest()),
        config=path in contents.conffiles,
        xattrs=_xattrs(member, path, contents),
    )


def _xattrs(member: tarfile.TarInfo, path: RelPath, contents: _Contents) -> Xattrs:
    """Take capabilities over, and note other extended attributes: they belong to the machine that made the package."""
    found = {
        key.removeprefix(_PAX_XATTR): value
        for key, value in member.pax_headers.items()
        if key.startswith(_PAX_XATTR)
    }
    contents.dropped += [f"{one} of /{path}" for one in found if one != CAPABILITY]
    value = found.get(CAPABILITY)
    if value is None:
        return ()
    capability = value.encode("utf-8", "surrogateescape")
    if len(CAPABILITY) + len(capability) > DEFAULT_LIMITS.xattrs:
        raise ValueError(f"its {CAPABILITY} is longer than any attribute of a bundle")
    return ((CAPABILITY, capability),)


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

    def checked_line(field_name: str, text: str) -> str:
        try:
            return line_of(text)
        except ValueError as fault:
            faults.add(f"control: {field_name}", str(fault))
            return ""

    name, architecture = checked("Package", name_of), checked("Architecture", architecture_of)
    try:
        version = Version(value("Version"))
    except VersionFault as fault:
        faults.add("control: Version", str(fault))
        version = Version("0")
    entries = tuple(contents.entries[path] for path in sorted(contents.entries))
    check_entries(entries, lambda at: f"/{entries[at].path}", faults)
    return Manifest(
        identity=PackageIdentity(name, version, architecture),
        summary=checked_line("Description", str(fields.get("Description", "")).partition("\n")[0].strip()),
        license=_license(name, contents),
        relations=_relations(value, faults),
        created=max((entry.mtime for entry in entries if isinstance(entry, FileEntry)), default=0),
        entries=entries,
    )


def _license(package: str, contents: _Contents) -> str:
    """Return the licence if the copyright file is machine-readable and knows just one, else nothing."""
    entry = contents.entries.get(RelPath(f"usr/share/doc/{package}/copyright"))
    if not isinstance(entry, FileEntry) or entry.size > _MOST_COPYRIGHT:
        return ""
    with contents.open(entry) as file:
        text = file.read().decode("utf-8", "replace")
    if not _COPYRIGHT_FORMAT.match(text):
        return ""
    names = set(re.findall(r"^License:[ \t]*(.*?)[ \t]*$", text, re.MULTILINE))
    name = names.pop() if len(names) == 1 else ""
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", name) else ""


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
        provides=parsed(provided_of, "Provides"),
        replaces=relations("Replaces"),
    )


def _plain(relation: str) -> str:
    """Drop an architecture qualifier (``python3:any``) and write the old operators ``<`` and ``>`` as Debian means them."""
    name, parenthesis, bound = relation.strip().partition("(")
    name = name.strip().partition(":")[0]
    if not parenthesis:
        return name
    bound = re.sub(r"^([<>])(?![<=>])", r"\1=", bound.strip())
    return f"{name} ({bound}"
