"""Acts. What do we and the others unpack? The same trees as bundles, archives and foreign packages, made once and kept."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.payloads import Sizes, make_tree

__all__ = ["PKG", "Item", "Stock"]

PKG = Path(sys.executable).with_name("pkg")
_REAL = ("git", "vim-runtime", "python3-numpy", "tzdata")  # every Debian and Ubuntu has them
_MANIFEST = """format = 1
[package]
name = "bench-{name}"
version = "{version}"
architecture = "all"
summary = "What the benchmark installs"
[[tree]]
source = "{tree}"
"""


@dataclass(frozen=True)
class Item:
    """One payload, one version.

    Attributes:
        name: ``S``, ``M``, ``L`` or ``R``.
        tree: unpacked.
        bundles: ours, signed.
        archives: `tar | zstd` of the same content, at the same level.
    """

    name: str
    version: str
    tree: Path
    bundles: tuple[Path, ...]
    archives: tuple[Path, ...]

    @property
    def package(self) -> str:
        """What our package is called."""
        return f"bench-{self.name.lower()}"


@dataclass
class Stock:
    """What was made.

    Attributes:
        place: where it is kept.
        level: of zstd, for everybody.
        tell: called with what is being made.
        with_archives: others shall unpack the same.
    """

    place: Path
    sizes: Sizes
    level: int
    tell: Callable[[str], None] = lambda _line: None
    with_archives: bool = True
    _items: dict[tuple[str, str], Item | None] = field(default_factory=dict)

    def key(self) -> Path:
        """Return our private key."""
        path = self.place / "key"
        if not path.exists():
            self.place.mkdir(parents=True, exist_ok=True)
            _run(PKG, "key", "generate", path)
        return path

    def item(self, name: str, version: str = "1") -> Item:
        """Return a payload."""
        if (name, version) not in self._items:
            folder = self.place / f"{name}{version}"
            self._made(folder, lambda: self._make(name, version, folder))
            self._items[name, version] = self._described(name, version, folder)
        found = self._items[name, version]
        assert found is not None
        return found

    def real(self) -> Item | None:
        """Return real packages, or None where apt cannot fetch them."""
        if ("R", "1") not in self._items:
            folder = self.place / "R1"
            try:
                self._made(folder, lambda: self._fetch(folder))
                self._items["R", "1"] = self._described("R", "1", folder)
            except (OSError, subprocess.CalledProcessError):
                self._items["R", "1"] = None
        return self._items["R", "1"]

    def foreign(self, item: Item, suffix: str, make: Callable[[Path, Path], None]) -> Path:
        """Return a foreign package of an item's tree.

        Args:
            make: called with a scratch directory, and the file to make.
        """
        path = self.place / f"{item.name}{item.version}" / f"foreign{suffix}"
        if not path.exists():
            self.tell(f"making {item.name}{item.version}{suffix}")
            scratch = path.parent / "scratch"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            partial = path.with_name(f"partial{suffix}")
            make(scratch, partial)
            partial.rename(path)
            shutil.rmtree(scratch)
        return path

    def _made(self, folder: Path, make: Callable[[], None]) -> None:
        """Make it unless it is there, complete and of these sizes."""
        mark = folder / "complete"
        wanted = json.dumps([self.sizes.files, self.sizes.large, self.level])
        if mark.exists() and mark.read_text() == wanted:
            return
        self.tell(f"making {folder.name}")
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tree").mkdir(parents=True)
        make()
        mark.write_text(wanted)

    def _described(self, name: str, version: str, folder: Path) -> Item:
        bundles, archives = sorted(folder.glob("bundle*")), sorted(folder.glob("archive*"))
        return Item(name, version, folder / "tree", tuple(bundles), tuple(archives))

    def _make(self, name: str, version: str, folder: Path) -> None:
        before = self.item(name, "1").tree if version != "1" else None
        words = (name, version, folder / "tree", self.sizes, before)
        make_tree(*words)
        manifest = folder / "manifest.toml"
        manifest.write_text(_MANIFEST.format(name=name.lower(), version=version, tree=folder / "tree"))
        self.build(manifest, folder / "bundle.tar.zst")
        if self.with_archives:
            self._archive(folder / "tree", folder / "archive.tar.zst")

    def build(self, source: Path, output: Path) -> None:
        """Make a bundle."""
        _run(*self.build_command(source, output))

    def build_command(self, source: Path, output: Path) -> list[str]:
        """Return the command that makes a bundle."""
        level = str(self.level)
        return list(map(str, (PKG, "build", source, "-o", output, "--key", self.key(), "--level", level)))

    def archive_command(self, tree: Path, output: Path, threads: int = 1) -> str:
        """Return the shell's command that makes a compressed archive."""
        tar = f"tar -C {tree} --sort=name --numeric-owner --owner=0 --group=0 -cf - ."
        return f"{tar} | zstd -q -{self.level} -T{threads} -f -o {output}"

    def _archive(self, tree: Path, output: Path) -> None:
        _run("sh", "-c", self.archive_command(tree, output))

    def _fetch(self, folder: Path) -> None:
        debs = folder / "debs"
        debs.mkdir()
        subprocess.run(["apt-get", "-q", "download", *_REAL], cwd=debs, check=True, capture_output=True)
        for number, deb in enumerate(sorted(debs.glob("*.deb"))):
            self.build(deb, folder / f"bundle{number}.tar.zst")
            _run("dpkg-deb", "-x", deb, folder / f"tree{number}")
            self._archive(folder / f"tree{number}", folder / f"archive{number}.tar.zst")


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True)
