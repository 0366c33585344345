"""Acts. How do other installers take the same trees? Those that are on this machine; nobody is needed.

What each of them promises when it is done, as its sources say:

    dpkg                     each file's data is durable before its rename; no signature, no digest of the package
    dpkg --force-unsafe-io   nothing of that; only its database is durable
    rpm                      one sync at the end; digests, no way back
    pacman                   nothing is durable; the old files are deleted first
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.stock import Item, Stock

__all__ = ["PEERS", "Peer", "package_of", "present"]


@dataclass(frozen=True)
class Peer:
    """Another installer; commands are the shell's, with {root}, {file} and {name}."""

    name: str
    needs: tuple[str, ...]
    suffix: str
    make: Callable[[Item, int, Path, Path], None]
    begin: str
    install: str
    remove: str


def present() -> list[Peer]:
    """Name those that are installed here."""
    return [one for one in PEERS if all(shutil.which(word) for word in one.needs)]


def package_of(peer: Peer, stock: Stock, item: Item) -> Path:
    """Return the item's tree as the peer's package."""
    return stock.foreign(
        item, peer.suffix, lambda scratch, target: peer.make(item, stock.level, scratch, target)
    )


def _shell(line: str) -> None:
    subprocess.run(["sh", "-c", line], check=True, capture_output=True)


def _copy_tree(item: Item, scratch: Path) -> None:
    subprocess.run(["cp", "-al", f"{item.tree}/.", scratch], check=True)


def _make_deb(item: Item, level: int, scratch: Path, target: Path) -> None:
    _copy_tree(item, scratch)
    control = scratch / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        f"Package: {item.package}\nVersion: {item.version}.0\nArchitecture: all\n"
        "Maintainer: bench <bench@example.org>\nDescription: what the benchmark installs\n"
    )
    _shell(f"dpkg-deb --root-owner-group -Zzstd -z{level} -b {scratch} {target}")


def _make_rpm(item: Item, level: int, scratch: Path, target: Path) -> None:
    lines = []
    for folder, _, names in os.walk(item.tree):
        inner = Path(folder).relative_to(item.tree)
        lines += [f'%dir "/{inner}"'] if inner.parts else []
        lines += [f'"/{inner / name}"' for name in sorted(names)]
    (scratch / "files").write_text("\n".join(lines) + "\n")
    spec = scratch / "bench.spec"
    spec.write_text(
        "%global __os_install_post %{nil}\n%global debug_package %{nil}\n%global _build_id_links none\n"
        f"%define _binary_payload w{level}.zstdio\nName: {item.package}\nVersion: {item.version}.0\n"
        "Release: 1\nSummary: bench\nLicense: none\nBuildArch: noarch\nAutoReqProv: no\n%description\nbench\n"
        f"%install\nmkdir -p %{{buildroot}}\ncp -a {item.tree}/. %{{buildroot}}/\n"
        f"%files -f {scratch}/files\n%defattr(-,root,root)\n"
    )
    _shell(
        f"rpmbuild --quiet --define '_topdir {scratch}/top' -bb {spec} && mv {scratch}/top/RPMS/*/*.rpm {target}"
    )


def _make_pacman(item: Item, level: int, scratch: Path, target: Path) -> None:
    _copy_tree(item, scratch)
    (scratch / ".PKGINFO").write_text(
        f"pkgname = {item.package}\npkgbase = {item.package}\npkgver = {item.version}.0-1\npkgdesc = bench\n"
        "url = http://localhost\nbuilddate = 1700000000\npackager = bench\nsize = 1\narch = any\n"
    )
    tops = " ".join(sorted(path.name for path in item.tree.iterdir()))
    kept = "!all,use-set,type,uid,gid,mode,time,size,md5,sha256,link"
    _shell(
        f"cd {scratch} && bsdtar -czf .MTREE --format=mtree --options='{kept}' --uid 0 --gid 0 .PKGINFO {tops}"
        f" && tar --sort=name --numeric-owner --owner=0 --group=0 -cf - .PKGINFO .MTREE {tops}"
        f" | zstd -q -{level} -T1 -f -o {target}"
    )


_DPKG = "dpkg --root={root} --log=/dev/null "
_DPKG_BEGIN = (
    "mkdir -p {root}/var/lib/dpkg/info {root}/var/lib/dpkg/updates && : >{root}/var/lib/dpkg/status"
    " && : >{root}/var/lib/dpkg/available"
)
_RPM = "rpm --root={root} --dbpath /var/lib/rpm "
_PACMAN = (
    "pacman --root {root} --dbpath {root}/var/lib/pacman --config {root}/pacman.conf --gpgdir {root}/gpg"
    " --logfile {root}/pacman.log --hookdir {root}/hooks --cachedir {root}/var/cache --noconfirm --noprogressbar "
)
_PACMAN_BEGIN = (
    "mkdir -p {root}/var/lib/pacman {root}/var/cache {root}/gpg {root}/hooks && printf '[options]\\n"
    "Architecture = auto\\nSigLevel = Never\\nLocalFileSigLevel = Never\\n' >{root}/pacman.conf"
)

PEERS = (
    Peer(
        "dpkg",
        ("dpkg", "dpkg-deb"),
        ".deb",
        _make_deb,
        _DPKG_BEGIN,
        _DPKG + "--no-force-unsafe-io -i {file}",
        _DPKG + "--no-force-unsafe-io -P {name}",
    ),
    Peer(
        "dpkg --force-unsafe-io",
        ("dpkg", "dpkg-deb"),
        ".deb",
        _make_deb,
        _DPKG_BEGIN,
        _DPKG + "--force-unsafe-io -i {file}",
        _DPKG + "--force-unsafe-io -P {name}",
    ),
    Peer(
        "rpm",
        ("rpm", "rpmbuild"),
        ".rpm",
        _make_rpm,
        "rpmdb --root={root} --dbpath /var/lib/rpm --initdb",
        _RPM + "--nodeps -U {file}",
        _RPM + "-e {name}",
    ),
    Peer(
        "pacman",
        ("pacman", "bsdtar"),
        ".pkg.tar.zst",
        _make_pacman,
        _PACMAN_BEGIN,
        _PACMAN + "-U {file}",
        _PACMAN + "-R {name}",
    ),
)
