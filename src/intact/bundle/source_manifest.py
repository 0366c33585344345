"""Acts. What did a person write in a source manifest, and which files does that mean?

Globs and trees are spelled out, modes and digests read off the files. Every fault is collected, each with its
place, so that a manifest is mended once.
"""

import difflib
import errno
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, NamedTuple

from intact.bundle.entry_rules import check_entries
from intact.bundle.fields import Faults, Fields, parse_toml
from intact.bundle.hook_text import HOOKS_FEATURE, read_hooks
from intact.bundle.manifest_text import read_floor, read_identity, read_relations, read_version
from intact.bundle.package import UNREAD, PackageSource
from intact.bundle.patterns import files_named
from intact.bundle.source_files import Seen, look, open_source, seen_open, wait_past
from intact.bundle.tarstream import LARGEST_NUMBER, TarFault, insist_on_fitting
from intact.bundle.values import line_of, mode_of, owner_of, path_of, target_of
from intact.model.entries import DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry, Xattrs
from intact.model.errors import FeatureUnknown, ManifestInvalid, machine_error
from intact.model.limits import DEFAULT_LIMITS
from intact.model.manifest import FORMAT, Manifest
from intact.model.objects import CAPABILITY
from intact.model.paths import ROOT, RelPath
from intact.model.times import parse_time
from intact.model.values import replace

__all__ = ["read_source_manifest"]

_TOP = frozenset({"format", "package", "hook", "file", "tree", "directory", "symlink", "hardlink"})
_PACKAGE = frozenset(
    [
        "name",
        "version",
        "architecture",
        "summary",
        "license",
        "upgrade_from",
        "minimum_secure",
        "expires",
        "requires",
        "conflicts",
        "provides",
        "replaces",
    ]
)
_KEYS = {
    "file": frozenset({"source", "path", "mode", "owner", "group", "config"}),
    "tree": frozenset({"source", "path", "modes", "owner", "group", "exclude", "config"}),
    "directory": frozenset({"path", "mode", "owner", "group"}),
    "symlink": frozenset({"path", "target", "owner", "group"}),
    "hardlink": frozenset({"path", "target"}),
}
_NO_CAPABILITY = frozenset({errno.ENODATA, errno.ENOTSUP})
_AS_SOURCE = -1
_REMEDY = "correct the manifest and build again"


class _Collector:
    """Entries found so far, with the place in the manifest that each comes from."""

    def __init__(self, base: Path, faults: Faults, clamp: int | None) -> None:
        self.base = base
        self.faults = faults
        self.clamp = clamp
        self.entries: list[Entry] = []
        self.places: list[str] = []
        self.sources: dict[RelPath, tuple[Path, Seen]] = {}

    def add(self, entry: Entry, place: str) -> None:
        self.entries.append(entry)
        self.places.append(place)

    def add_file(
        self, source: Path, path: RelPath, row: Fields, place: str, mode: int, *, config: bool
    ) -> None:
        """Note a source file as an entry; its content is read when it is packed."""
        try:
            seen = look(source)
        except OSError as error:
            self.faults.add(place, f"{source} cannot be read: {error.strerror}")
            return
        size, mtime = seen[0], seen[1] // 10**9
        if self.clamp is not None:
            mtime = min(mtime, self.clamp)
        mtime = max(mtime, 0)
        try:
            insist_on_fitting(size, mtime)
        except TarFault as fault:
            mend = "split it" if size > LARGEST_NUMBER else "touch it, or set SOURCE_DATE_EPOCH"
            self.faults.add(place, f"{source}: {fault}; {mend}")
        self.add(FileEntry(path, mode, *_owners(row), mtime, size, UNREAD, config), place)
        self.sources[path] = source, seen


def read_source_manifest(path: Path, *, epoch: int | None = None) -> PackageSource:
    """Read a source manifest and everything that it names.

    Args:
        path: the manifest; sources are relative to its directory.
        epoch: SOURCE_DATE_EPOCH, the latest time that may appear in the bundle.

    Raises:
        ManifestInvalid: with every fault and its place.
        MachineError: the manifest itself cannot be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(DEFAULT_LIMITS.source_manifest + 1)
    except OSError as error:
        raise machine_error("read", error, str(path)) from error
    if len(text) > DEFAULT_LIMITS.source_manifest:
        raise ManifestInvalid("the manifest is too long", path=str(path), remedy=_REMEDY)
    table = parse_toml(text, str(path))
    found = table.get("format")
    if type(found) is int and found != FORMAT:
        raise FeatureUnknown(f"this pkg reads format {FORMAT}", path=str(path), remedy="upgrade pkg")
    faults = Faults()
    collector = _Collector(path.parent, faults, epoch)
    manifest = _read(table, collector)
    faults.refuse_if_any(str(path), _REMEDY)
    sources = collector.sources

    wait_past(max((seen[2] for _, seen in sources.values()), default=0))

    def open_content(entry: FileEntry) -> BinaryIO:
        return open_source(sources[entry.path][0])

    def is_as_seen(entry: FileEntry, content: BinaryIO) -> bool:
        return seen_open(content) == sources[entry.path][1]

    return PackageSource(manifest, open_content, is_as_seen=is_as_seen)


def _read(table: dict[str, object], collector: _Collector) -> Manifest:
    faults = collector.faults
    top = Fields(table, "", faults, _TOP)
    top.number("format", FORMAT, FORMAT, required=True)
    package = Fields(top.table_of("package", required=True), "package.", faults, _PACKAGE)
    hooks = read_hooks(top, faults)
    manifest = Manifest(
        identity=read_identity(package),
        summary=package.text("summary", line_of, ""),
        license=package.text("license", line_of, ""),
        relations=read_relations(package),
        upgrade_from=read_version(package, "upgrade_from"),
        minimum_secure=read_floor(package),
        expires=package.text("expires", _last_second, 0) if "expires" in package.table else None,
        requires_features=(HOOKS_FEATURE,) if hooks else (),
        hooks=hooks,
    )
    for kind, read in (
        ("file", _read_file),
        ("tree", _read_tree),
        ("directory", _read_directory),
        ("symlink", _read_symlink),
        ("hardlink", _read_hardlink),
    ):
        for number, row in enumerate(top.tables(kind)):
            place = f"{kind}[{number}]"
            read(Fields(row, f"{place}.", faults, _KEYS[kind]), place, collector)
    order = sorted(range(len(collector.entries)), key=lambda at: collector.entries[at].path)
    entries = tuple(collector.entries[at] for at in order)
    places = [collector.places[at] for at in order]
    check_entries(entries, lambda at: places[at], faults)
    newest = max((entry.mtime for entry in entries if isinstance(entry, FileEntry)), default=0)
    return replace(manifest, created=newest if collector.clamp is None else collector.clamp, entries=entries)


def _last_second(text: str) -> int:
    return parse_time(text, end=True)


def _owners(row: Fields) -> tuple[str, str]:
    return row.text("owner", owner_of, "root"), row.text("group", owner_of, "root")


def _read_file(row: Fields, place: str, collector: _Collector) -> None:
    source = row.text("source", line_of, "", required=True)
    destination = row.text("path", line_of, "", required=True)
    prefix = row.text("path", lambda text: path_of(text.rstrip("/")), ROOT)
    chosen_mode = row.text("mode", mode_of, _AS_SOURCE)
    config = row.flag("config")
    _owners(row)  # notes what is wrong with them, even if no file is found
    if not source or not destination:
        return
    try:
        found = files_named(collector.base, source)
    except ValueError as fault:  # "**" beside other characters
        row.fault("source", f"{source!r} is not a glob: {fault}")
        return
    except OSError as error:
        row.fault("source", f"{error.filename} cannot be read: {error.strerror}")
        return
    if not found and (collector.base / source).exists():
        is_directory = (collector.base / source).is_dir()
        what = "a directory; [[tree]] takes what is in it" if is_directory else "no regular file"
        row.fault("source", f"{source} is {what}")
        return
    if not found:
        near = difflib.get_close_matches(source, _names(collector.base), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        row.fault("source", f"{source} matches no file{hint}")
    is_directory = destination.endswith("/")
    if len(found) > 1 and not is_directory:
        row.fault(
            "path", f"{source} matches {len(found)} files; end the path with / to put them into a directory"
        )
        return
    for one in found if prefix else []:
        path = prefix / one.name if is_directory else prefix
        if _is_sound(path, row):
            mode = chosen_mode if chosen_mode != _AS_SOURCE else 0o755 if _is_executable(one) else 0o644
            collector.add_file(one, path, row, place, mode, config=config)


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _is_sound(path: RelPath, row: Fields) -> bool:
    if not path:
        return False
    try:
        path_of(path)
    except ValueError as fault:
        row.fault("path", f"{path!r}: {fault}")
        return False
    return True


def _names(base: Path) -> list[str]:
    return [one.name for one in base.iterdir()] if base.is_dir() else []


def _read_tree(row: Fields, place: str, collector: _Collector) -> None:
    source = row.text("source", line_of, "", required=True)
    prefix = row.text("path", lambda text: path_of(text.strip("/")) if text.strip("/") else ROOT, ROOT)
    keep = row.text("modes", _modes, "plain") == "keep"
    exclude, config = row.texts("exclude", line_of), row.texts("config", line_of)
    _owners(row)
    top = collector.base / source
    if not source:
        return
    if not top.is_dir():
        row.fault("source", f"{source} is not a directory")
        return
    try:
        for member in _walk(top, "", exclude):
            path = RelPath(f"{prefix}/{member.inner}" if prefix else member.inner)
            if _is_sound(path, row):
                is_config = any(fnmatchcase(member.inner, glob) for glob in config)
                _read_tree_member(member, path, row, place, collector, keep=keep, config=is_config)
    except OSError as error:
        row.fault("source", f"{error.filename} cannot be read: {error.strerror}")
    except RecursionError:
        row.fault("source", f"the directories of {source} are nested deeper than any path may be")


def _modes(text: str) -> str:
    if text not in {"plain", "keep"}:
        raise ValueError('must be "plain" (rwx bits as the owner has them) or "keep" (as they are)')
    return text


class _Member(NamedTuple):
    """What a walk through a tree finds; `inner` is its path in there."""

    source: Path
    inner: str
    status: os.stat_result


def _walk(directory: Path, inner: str, exclude: tuple[str, ...]) -> Iterator[_Member]:
    for source in sorted(directory.iterdir(), key=lambda one: one.name):
        path = f"{inner}/{source.name}" if inner else source.name
        if any(fnmatchcase(path, glob) for glob in exclude):
            continue
        status = source.lstat()
        yield _Member(source, path, status)
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(source, path, exclude)


def _read_tree_member(  # noqa: PLR0913  one step of a walk, with all that it needs
    member: _Member,
    path: RelPath,
    row: Fields,
    place: str,
    collector: _Collector,
    *,
    keep: bool,
    config: bool,
) -> None:
    source, status = member.source, member.status
    mode = stat.S_IMODE(status.st_mode)
    owner, group = _owners(row)
    if stat.S_ISLNK(status.st_mode):
        try:
            collector.add(SymlinkEntry(path, target_of(str(source.readlink())), owner, group), place)
        except ValueError as fault:
            row.fault("source", f"{path}: {fault}")
    elif stat.S_ISDIR(status.st_mode):
        collector.add(DirectoryEntry(path, mode if keep else 0o755, owner, group), place)
    elif stat.S_ISREG(status.st_mode):
        plain = 0o755 if mode & 0o100 else 0o644
        collector.add_file(source, path, row, place, mode if keep else plain, config=config)
        if keep:
            _take_capability(source, place, collector)
    else:
        row.fault("source", f"{path} is a device, pipe or socket, which no bundle can hold")


def _take_capability(source: Path, place: str, collector: _Collector) -> None:
    try:
        xattrs: Xattrs = ((CAPABILITY, os.getxattr(source, CAPABILITY)),)
    except OSError as error:
        if error.errno not in _NO_CAPABILITY:  # it may have one, and must not lose it silently
            collector.faults.add(place, f"the capability of {source} cannot be read: {error.strerror}")
        return
    last = collector.entries[-1]
    if isinstance(last, FileEntry):
        collector.entries[-1] = replace(last, xattrs=xattrs)


def _read_directory(row: Fields, place: str, collector: _Collector) -> None:
    path = row.text("path", lambda text: path_of(text.rstrip("/")), ROOT, required=True)
    mode = row.text("mode", mode_of, 0o755)
    if path:
        collector.add(DirectoryEntry(path, mode, *_owners(row)), place)


def _read_symlink(row: Fields, place: str, collector: _Collector) -> None:
    path = row.text("path", path_of, ROOT, required=True)
    target = row.text("target", target_of, "", required=True)
    if path and target:
        collector.add(SymlinkEntry(path, target, *_owners(row)), place)


def _read_hardlink(row: Fields, place: str, collector: _Collector) -> None:
    path = row.text("path", path_of, ROOT, required=True)
    target = row.text("target", path_of, ROOT, required=True)
    if path and target:
        collector.add(HardlinkEntry(path, target), place)
