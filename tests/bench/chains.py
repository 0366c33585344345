"""Acts. In which order are the commands of a row run, ours and the others', each side on a filesystem of its own?

A chain is one life of a payload: install, verify, install again, upgrade, roll back, remove. Every step is a row.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench import peers, phases
from bench.cases import CASES, OURS, REFERENCE, Sample
from bench.crowd import make_crowd
from bench.ground import fetch_memory, filesystem
from bench.measure import CommandFailed, Meter, warm
from bench.peers import Peer
from bench.stock import PKG, Item, Stock
from bench.throng import throng

__all__ = ["CHAINS", "Bench"]

_MIB = {"S": 256, "M": 1024, "L": 3584, "R": 1024}
_TOUCHED = {"M": 1024, "L": 4096}  # MiB that a command of such a case uses, as files or for the image
_QUICK_STEPS = 5  # of what takes no time: so many runs for one of the others
_PROCESSES = 10_000
_PYTHON = (sys.executable, "-c", "pass")


@dataclass
class Bench:
    """What a chain needs.

    Attributes:
        wanted: names of the cases to measure.
        parts: seconds of the parts of transactions, by case.
    """

    ground: Path
    stock: Stock
    meter: Meter
    wanted: frozenset[str]
    peers: list[Peer]
    parts: dict[str, list[dict[str, float]]]

    def wants(self, *cases: str) -> bool:
        """Tell whether one of these cases is wanted."""
        return bool(self.wanted.intersection(cases))

    def measure(self, case: str, who: str, *words: str | Path) -> None:
        """Run a command, and note it if the case is wanted."""
        self._fetch_memory(case)
        self.meter.run(case, who, words)

    def _fetch_memory(self, case: str) -> None:
        touched = _TOUCHED.get(case.rpartition("-")[2])
        if touched is not None and case in self.wanted:
            fetch_memory(touched)

    def shell(self, case: str, who: str, line: str) -> None:
        """The same with a line of the shell."""
        self.measure(case, who, "sh", "-c", line)

    def phases(self, case: str, root: Path, *words: str | Path) -> dict[str, float]:
        """Run pkg once more, and note how long each part of it takes."""
        self._fetch_memory(case)
        result = self.ground / "phases.json"
        done = subprocess.run(
            phases.command(result, "--root", root, *words), check=False, capture_output=True, cwd=self.ground
        )
        if done.returncode != 0:
            raise CommandFailed(f"{case}: {done.stderr.decode(errors='replace')}")
        found: dict[str, float] = json.loads(result.read_text())
        self.parts.setdefault(case, []).append(found)
        return found

    @contextmanager
    def root(self, name: str) -> Iterator[Path]:
        """Provide a root on a new filesystem that trusts our key."""
        with filesystem(self.ground, _MIB[name]) as top:
            root = top / "root"
            root.mkdir()
            self._run(PKG, "--root", root, "key", "trust", "--yes", f"{self.stock.key()}.pub")
            yield root

    def _run(self, *words: str | Path) -> None:
        subprocess.run(words, check=True, capture_output=True)


def _unpack(item: Item, top: Path) -> str:
    return " && ".join([*(f"tar --zstd -xf {one} -C {top}" for one in item.archives), f"sync -f {top}"])


def _sums(top: Path, files: int) -> str:
    return f"find {top} -type f -print0 | xargs -0 -P2 -n{files} sha256sum"


def _ours(bench: Bench, name: str) -> None:
    """One life with pkg."""
    item = bench.stock.real() if name == "R" else bench.stock.item(name)
    assert item is not None
    warm(*item.bundles)
    with bench.root(name) as root:
        pkg = (PKG, "--root", root)
        every = ("--assume-installed", "*") if name == "R" else ()
        bench.measure(f"install-{name}", OURS, *pkg, "install", *item.bundles, *every)
        if bench.wants(f"verify-{name}"):
            bench.measure(f"verify-{name}", OURS, *pkg, "verify")
        if bench.wants(f"again-{name}"):
            for _ in range(_QUICK_STEPS):
                bench.measure(f"again-{name}", OURS, *pkg, "install", *item.bundles)
        if bench.wants(f"upgrade-{name}", f"rollback-{name}", f"commit-{name}"):
            _upgrade(bench, name, root)
        if bench.wants(f"remove-{name}"):
            bench.measure(f"remove-{name}", OURS, *pkg, "remove", item.package)
    with bench.root(name) as root:
        bench.phases(f"install-{name}", root, "install", *item.bundles, *every)


def _upgrade(bench: Bench, name: str, root: Path) -> None:
    item = bench.stock.item(name, "2")
    warm(*item.bundles)
    pkg = (PKG, "--root", root)
    bench.measure(f"upgrade-{name}", OURS, *pkg, "install", *item.bundles)
    bench.measure(f"rollback-{name}", OURS, *pkg, "rollback")
    forward = bench.phases(f"upgrade-{name}", root, "install", *item.bundles)
    back = bench.phases(f"rollback-{name}", root, "rollback")
    commit = Sample(forward[phases.COMMIT])
    bench.meter.note(f"rollback-{name}", REFERENCE, commit)
    bench.meter.note(f"commit-{name}", REFERENCE, commit)
    bench.meter.note(f"commit-{name}", OURS, Sample(back[phases.COMMIT]))


def _reference(bench: Bench, name: str) -> None:
    """The same without any promise."""
    item = bench.stock.real() if name == "R" else bench.stock.item(name)
    assert item is not None
    warm(*item.archives)
    with bench.root(name) as top:
        bench.shell(f"install-{name}", REFERENCE, _unpack(item, top))
        if bench.wants(f"verify-{name}"):
            bench.shell(f"verify-{name}", REFERENCE, _sums(top, 1 if name == "L" else 128))
        if bench.wants(f"again-{name}"):
            for _ in range(_QUICK_STEPS):
                bench.measure(f"again-{name}", REFERENCE, *_PYTHON)
        if bench.wants(f"remove-{name}"):
            bench.shell(f"remove-{name}", REFERENCE, f"rm -rf {top}/opt && sync -f {top}")
    if bench.wants(f"upgrade-{name}"):
        item = bench.stock.item(name, "2")
        warm(*item.archives)
        with bench.root(name) as top:
            bench.shell(f"upgrade-{name}", REFERENCE, _unpack(item, top))


def _peer(bench: Bench, peer: Peer, name: str) -> None:
    """The same with another installer."""
    files = {
        version: peers.package_of(peer, bench.stock, bench.stock.item(name, version))
        for version in (("1", "2") if bench.wants(f"upgrade-{name}") else ("1",))
    }
    warm(*files.values())
    package = bench.stock.item(name).package
    with filesystem(bench.ground, _MIB[name]) as top:
        subprocess.run(["sh", "-c", peer.begin.format(root=top)], check=True, capture_output=True)
        for version, file in files.items():
            step = "install" if version == "1" else "upgrade"
            bench.shell(f"{step}-{name}", peer.name, peer.install.format(root=top, file=file, name=package))
        if not any((top / "opt").iterdir()):
            raise CommandFailed(f"{peer.name} has installed nothing")
        if bench.wants(f"remove-{name}"):
            bench.shell(f"remove-{name}", peer.name, peer.remove.format(root=top, name=package))


def _life(name: str) -> Callable[[Bench, int], None]:
    def chain(bench: Bench, number: int) -> None:
        sides: list[Callable[[], None]] = [lambda: _ours(bench, name), lambda: _reference(bench, name)]
        if name != "R":
            sides += [lambda peer=peer: _peer(bench, peer, name) for peer in bench.peers]  # type: ignore[misc]
        for side in sides[number % len(sides) :] + sides[: number % len(sides)]:
            side()

    return chain


def _many(bench: Bench, _number: int) -> None:
    """Questions to a root that knows a lot."""
    root = bench.ground / "crowd"
    if not root.exists():
        path = make_crowd(root, 300, 1000)
        (bench.ground / "asked").write_text(path)
    asked = "/" + (bench.ground / "asked").read_text()
    for _ in range(_QUICK_STEPS):
        for case, words in (("list", ["list"]), ("owner", ["owner", asked])):
            bench.measure(case, REFERENCE, *_PYTHON)
            bench.measure(case, OURS, PKG, "--root", root, *words)


def _throng(bench: Bench, _number: int) -> None:
    """Who uses old files, of 10,000 processes: a share of processor time was promised, so that is the figure."""
    item = bench.stock.item("S")
    with bench.root("S") as root:
        for words in (["install", *map(str, item.bundles)], ["remove", item.package]):
            subprocess.run([PKG, "--root", root, *words], check=True, capture_output=True)
        with throng(_PROCESSES):
            for _ in range(_QUICK_STEPS):
                sample = bench.meter.run("", OURS, (PKG, "--root", root, "ps"))
                bench.meter.note("ps", OURS, replace(sample, seconds=sample.processor))
                bench.meter.note("ps", REFERENCE, Sample(1.0))


def _build(bench: Bench, _number: int) -> None:
    item = bench.stock.item("L")
    warm(*(path for path in item.tree.rglob("*") if path.is_file()))
    manifest = item.tree.parent / "manifest.toml"
    with filesystem(bench.ground, _MIB["L"]) as top:
        bench.measure("build-L", OURS, *bench.stock.build_command(manifest, top / "bundle"))
        bench.shell("build-L", REFERENCE, bench.stock.archive_command(item.tree, top / "archive", threads=2))


CHAINS: dict[str, Callable[[Bench, int], None]] = {
    **{name: _life(name) for name in ("S", "M", "L", "R")},
    "many": _many,
    "throng": _throng,
    "build": _build,
}
assert {case.chain for case in CASES} == set(CHAINS)
