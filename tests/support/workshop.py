"""Makes bundles and roots for tests, and describes what is in a root."""

import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from intact.bundle.build import build_bundle
from intact.bundle.package import PackageSource
from intact.bundle.read import UnverifiedBundle, open_bundle
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.hooks import Hook
from intact.model.manifest import Manifest, PackageIdentity, Relations
from intact.model.paths import RelPath
from intact.model.relations import parse_relation, parse_requirement
from intact.model.versions import Version
from intact.operations.install import install
from intact.operations.prepare import InstallOptions
from intact.operations.receipt import Receipt
from intact.operations.remove import remove
from intact.operations.rollback import roll_back_to
from intact.operations.root import Environment, Root, open_root
from intact.system.port import Disk
from support.faulty_disk import FaultyDisk

__all__ = [
    "MTIME",
    "Package",
    "Snapshot",
    "Workshop",
    "directory",
    "file",
    "hardlink",
    "program",
    "snapshot",
    "state_files",
    "symlink",
]

import hashlib

Snapshot = dict[str, tuple[object, ...]]
MTIME = 1_600_000_000


@dataclass(frozen=True)
class Part:
    """An entry with its content."""

    entry: Entry
    content: bytes = b""


def file(path: str, content: str = "", mode: int = 0o644, *, config: bool = False, owner: str = "0") -> Part:
    """A regular file."""
    data = content.encode()
    digest = Digest(hashlib.sha256(data).hexdigest())
    return Part(FileEntry(RelPath(path), mode, owner, owner, MTIME, len(data), digest, config), data)


def program(path: str, version: str, *, of: str = "/bin/sleep") -> Part:
    """A real program of this machine, as a version of its own."""
    data = Path(of).read_bytes() + version.encode()
    digest = Digest(hashlib.sha256(data).hexdigest())
    return Part(FileEntry(RelPath(path), 0o755, "0", "0", MTIME, len(data), digest, config=False), data)


def directory(path: str, mode: int = 0o755, *, owner: str = "0") -> Part:
    """A directory."""
    return Part(DirectoryEntry(RelPath(path), mode, owner, owner))


def symlink(path: str, target: str) -> Part:
    """A symbolic link."""
    return Part(SymlinkEntry(RelPath(path), target, "0", "0"))


def hardlink(path: str, target: str) -> Part:
    """A further name of a file."""
    return Part(HardlinkEntry(RelPath(path), RelPath(target)))


class Package:
    """A package to be built."""

    def __init__(
        self,
        name: str,
        version: str,
        *parts: Part,
        architecture: str = "all",
        hooks: tuple[Hook, ...] = (),
        **relations: list[str],
    ) -> None:
        contents = {part.entry.path: part.content for part in parts}
        entries = tuple(sorted((part.entry for part in parts), key=lambda entry: entry.path))
        upgrade_from = relations.pop("upgrade_from", None)
        manifest = Manifest(
            identity=PackageIdentity(name, Version(version), architecture),
            relations=Relations(
                requires=tuple(map(parse_requirement, relations.get("requires", []))),
                conflicts=tuple(map(parse_relation, relations.get("conflicts", []))),
                provides=tuple(map(parse_relation, relations.get("provides", []))),
                replaces=tuple(map(parse_relation, relations.get("replaces", []))),
            ),
            upgrade_from=Version(upgrade_from[0]) if upgrade_from else None,
            created=MTIME,
            requires_features=("hooks",) if hooks else (),
            hooks=hooks,
            entries=entries,
        )

        def open_content(entry: FileEntry) -> BinaryIO:
            return BytesIO(contents[entry.path])

        self.source = PackageSource(manifest, open_content)


class Workshop:
    """A root, and a place for bundles beside it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.path = place / "root"
        self.path.mkdir(parents=True)
        self.bundles: dict[Package, Path] = {}

    def bundle(self, package: Package) -> Path:
        """Build a package, once."""
        known = self.bundles.get(package)
        if known is None:
            known = build_bundle(package.source, self.place / f"{len(self.bundles)}.tar.zst", level=1).path
            self.bundles[package] = known
        return known

    @contextmanager
    def opened(self, disk: Disk | None = None) -> Iterator[Root]:
        """Open the root."""
        with open_root(str(self.path), disk) as root:
            yield root

    def install(self, *packages: Package, disk: Disk | None = None, **options: object) -> Receipt:
        """Install packages; unsigned is fine here."""
        chosen = InstallOptions(**{"allow_unsigned": True, **options})  # type: ignore[arg-type]
        opened: list[UnverifiedBundle] = [open_bundle(self.bundle(one), "test bundle") for one in packages]
        try:
            with self.opened(disk) as root:
                return install(root, opened, chosen, Environment("pkg install", lock_timeout=0.2))
        finally:
            for one in opened:
                one.close()

    def give_shell(self) -> None:
        """Put /bin/sh and the libraries that it needs into the root, as somebody's files."""
        shell = Path("/bin/sh").resolve()
        needed = subprocess.run(["ldd", str(shell)], check=True, capture_output=True, text=True).stdout
        found = [word for word in needed.split() if word.startswith("/")]
        for name in (*found, "/bin/sh"):
            target = self.path / name[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(name).resolve(), target)
            target.chmod(0o755)

    def remove(self, *names: str, disk: Disk | None = None, **options: object) -> Receipt:
        """Remove packages."""
        with self.opened(disk) as root:
            return remove(root, names, InstallOptions(**options), Environment("pkg remove"))  # type: ignore[arg-type]

    def roll_back(self, number: int | None = None, disk: Disk | None = None) -> Receipt:
        """Roll back."""
        with self.opened(disk) as root:
            return roll_back_to(root, number, Environment("pkg rollback"))

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Put a file of a person into the root, as an editor does: by a rename."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(target.name + ".swp")
        scratch.write_text(text)
        scratch.chmod(mode)
        scratch.rename(target)
        return target

    def read(self, path: str) -> str:
        """Read a file of the root."""
        return (self.path / path).read_text()

    def copy(self, name: str) -> "Workshop":
        """Copy everything, hardlinks, owners and times included."""
        return self.copy_to(self.place.parent / name)

    def copy_to(self, place: Path) -> "Workshop":
        """Copy everything to a place of any name, on another filesystem too."""
        other = Workshop.__new__(Workshop)
        other.place = place
        shutil.rmtree(other.place, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.place), str(other.place)], check=True)
        other.path = other.place / "root"
        other.bundles = dict(self.bundles)
        return other

    def discard(self) -> None:
        """Take it away."""
        shutil.rmtree(self.place)

    def faulty(self) -> FaultyDisk:
        """Open a disk that can be told to fail."""
        return FaultyDisk(self.path)


def _describe(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return ("symlink", str(path.readlink()))
    if stat.S_ISDIR(status.st_mode):
        return ("directory", mode, status.st_uid, status.st_gid)
    return ("file", mode, status.st_uid, status.st_gid, path.read_bytes(), status.st_nlink)


def _walk(top: Path, inner: str = "") -> Iterator[str]:
    for name in sorted(one.name for one in (top / inner).iterdir()):
        path = f"{inner}/{name}" if inner else name
        if path == "var/lib/intact":
            continue
        yield path
        if stat.S_ISDIR((top / path).lstat().st_mode):
            yield from _walk(top, path)


def snapshot(workshop: Workshop, *, links: bool = True) -> Snapshot:
    """Describe everything in a root but the state directory; `links` includes link counts."""
    found = {}
    for path in _walk(workshop.path):
        described = _describe(workshop.path / path)
        found[path] = described if links or described[0] != "file" else described[:-1]
    found.pop("var", None)
    found.pop("var/lib", None)
    return found


def state_files(workshop: Workshop) -> set[str]:
    """Name what is in the state directory, backups by their slots only."""
    top = workshop.path / "var/lib/intact"
    return set(_walk(top)) if top.is_dir() else set()
