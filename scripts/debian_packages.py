"""Take Debian packages through a whole life in scratch roots, and print a table of what happened."""

import argparse
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PKG = Path(sys.executable).with_name("pkg")
PACKAGES = (
    "hello", "git", "perl-base", "sudo", "passwd", "systemd", "ca-certificates", "python3.11-minimal",
    "libpython3.11-stdlib", "libc6", "coreutils", "ncurses-base", "ncurses-term", "ncurses-bin", "bash", "dash",
    "tzdata", "iputils-ping", "man-db", "dbus", "cron", "at", "exim4-base", "openssh-client", "util-linux", "login",
    "mount", "libpam-modules", "libssl3", "openssl", "udev", "e2fsprogs", "vim-tiny", "nginx-common", "base-files",
    "locales", "linux-headers-*-common",
)  # fmt: skip

Tree = dict[str, tuple[object, ...]]


@dataclass
class Life:
    """What became of one package."""

    name: str
    versions: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    steps: list[str] = field(default_factory=list)
    fault: str = ""


def tree_of(top: Path) -> Tree:
    """Describe every object below `top`: type, mode, owner, target or content."""
    return dict(_objects(top, ""))


def _objects(top: Path, inner: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    for name in sorted(os.listdir(top / inner)):  # noqa: PTH208  names only
        path = f"{inner}/{name}" if inner else name
        if path == "var/lib/intact":
            continue
        status = (top / path).lstat()
        owner = (status.st_uid, status.st_gid)
        if stat.S_ISLNK(status.st_mode):
            yield path, ("link", owner, str((top / path).readlink()))
        elif stat.S_ISDIR(status.st_mode):
            yield path, ("directory", owner, stat.S_IMODE(status.st_mode))
            yield from _objects(top, path)
        else:
            digest = hashlib.sha256((top / path).read_bytes()).hexdigest()
            # No times: an upgrade leaves a file alone whose content did not change, and so its time.
            facts = (stat.S_IMODE(status.st_mode), status.st_nlink, digest)
            yield path, ("file", owner, *facts)


def difference(left: Tree, right: Tree) -> str:
    """Name the first path that differs, or nothing."""
    for path in sorted(left.keys() | right.keys()):
        if left.get(path) != right.get(path) and path not in {"var", "var/lib"}:
            return f"/{path}: {left.get(path)} is not {right.get(path)}"
    return ""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command; its output is the result, its failure the end."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def download(name: str, place: Path) -> list[Path]:
    """Fetch the two newest versions of a package that apt knows, oldest first."""
    if "*" in name:
        known = run("apt-cache", "pkgnames", name.partition("*")[0]).split()
        tail = name.rpartition("*")[2]
        matching = sorted(one for one in known if one.endswith(tail))
        if not matching:
            raise RuntimeError(f"apt knows no package like {name}")
        name = matching[-1]
    versions = [line.split("|")[1].strip() for line in run("apt-cache", "madison", name).splitlines()]
    found: list[Path] = []
    for version in reversed(list(dict.fromkeys(versions))[:2]):
        folder = place / f"{name}-{len(found)}"
        folder.mkdir()
        run("apt-get", "download", f"{name}={version}", cwd=folder)
        found += list(folder.glob("*.deb"))
    return found


class Root:
    """A scratch root."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def pkg(self, *arguments: str | Path) -> str:
        """Run pkg on it."""
        return run(PKG, "--root", self.path, "--quiet", *arguments)

    def tree(self) -> Tree:
        """Describe it."""
        return tree_of(self.path)


def live(name: str, place: Path) -> Life:
    """Build, install, compare, verify, upgrade, roll back, remove."""
    life = Life(name)
    since = time.monotonic()
    try:
        _live(life, place)
    except RuntimeError as error:
        life.fault = str(error)
    life.seconds = time.monotonic() - since
    return life


def _live(life: Life, place: Path) -> None:
    root = Root(place / "root")
    run(PKG, "key", "generate", place / "key")
    root.pkg("key", "trust", "--yes", place / "key.pub")
    wanted: list[Tree] = []
    for number, deb in enumerate(download(life.name, place)):
        bundle = place / f"{number}.tar.zst"
        built = run(PKG, "--json", "build", deb, "-o", bundle, "--key", place / "key", "--level", "3")
        life.versions.append(json.loads(built)["version"])
        run("tar", "--zstd", "-tf", bundle)
        reference = place / f"reference-{number}"
        run("dpkg-deb", "-x", deb, reference)
        wanted.append(tree_of(reference))
        root.pkg("install", bundle, "--assume-installed", "*", "--allow-downgrade")
        _check(life, "installed" if number == 0 else "upgraded", root, wanted[-1])
    for facts in wanted[-1].values():
        kind = str(facts[0])
        if kind == "file" and int(str(facts[2])) & 0o6000:
            life.kinds["set-id"] = life.kinds.get("set-id", 0) + 1
        life.kinds[kind] = life.kinds.get(kind, 0) + 1
    if len(wanted) > 1:
        root.pkg("rollback")
        _check(life, "rolled back", root, wanted[0])
        root.pkg("rollback")
        _check(life, "forward again", root, wanted[1])
    package = root.pkg("list").split()[0]
    root.pkg("remove", package)
    _check(life, "removed", root, {})
    root.pkg("rollback")
    _check(life, "restored", root, wanted[-1])


def _check(life: Life, step: str, root: Root, expected: Tree) -> None:
    found = difference(root.tree(), expected)
    if found:
        raise RuntimeError(f"{step}: {found}")
    root.pkg("verify")
    life.steps.append(step)


def main() -> int:
    """Take every package through its life; exit 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    chosen = parser.parse_args().packages
    print(
        "| package | versions | files | dirs | links | set-id | seconds | result |\n|---|---|--:|--:|--:|--:|--:|---|"
    )
    failed = 0
    for name in chosen:
        place = Path(tempfile.mkdtemp(prefix="demo-debian-", dir=Path(__file__).parent.parent))
        try:
            life = live(name, place)
        finally:
            shutil.rmtree(place)
        failed += bool(life.fault)
        counts = [str(life.kinds.get(kind, 0)) for kind in ("file", "directory", "link", "set-id")]
        result = f"FAILED: {life.fault}" if life.fault else ", ".join(life.steps)
        print(
            f"| {name} | {' → '.join(life.versions)} | {' | '.join(counts)} | {life.seconds:.1f} | {result} |",
            flush=True,
        )
    print(f"\n{len(chosen) - failed} of {len(chosen)} passed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
