"""Acts. Does the cost grow with the size, and not faster? From 1,000 to a million files, and from 1 MiB to 10 GiB.

One run of each: it is the slope that counts, over three or four powers of ten.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cases import OURS, Sample
from bench.ground import filesystem
from bench.measure import Meter, warm
from bench.payloads import Sizes
from bench.stock import PKG, Stock

__all__ = ["FAMILIES", "STEPS", "Family", "Point", "scale"]

STEPS = ("install", "list", "owner", "verify", "upgrade", "rollback", "remove")
_BLOCK = 4096


@dataclass(frozen=True)
class Family:
    """One way to grow.

    Attributes:
        payload: which of the benchmark's payloads.
        sizes: how large it becomes, in `unit`.
    """

    name: str
    payload: str
    unit: str
    sizes: tuple[int, ...]


FAMILIES = (
    Family("files", "M", "files", (1_000, 10_000, 100_000, 1_000_000)),
    Family("bytes", "L", "MiB", (1, 10, 100, 1024, 10_240)),
)


@dataclass(frozen=True)
class Point:
    """What one size took, by step."""

    size: int
    samples: dict[str, Sample]


def scale(
    family: Family, most: int, ground: Path, place: Path, level: int, tell: Callable[[str], None]
) -> Iterator[Point]:
    """Measure one size after the other; what is made for it is deleted again.

    Args:
        most: larger sizes are left out.
        place: a directory on a disk with room for twice the largest payload.
    """
    for size in family.sizes:
        if size > most:
            return
        tell(f"{size:,} {family.unit}")
        folder = place / f"{family.name}-{size}"
        sizes = Sizes(size, 8) if family.payload == "M" else Sizes(0, size)
        try:
            stock = Stock(folder, sizes, level, tell, with_archives=False)
            yield Point(size, _measure(stock, family, ground))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _measure(stock: Stock, family: Family, ground: Path) -> dict[str, Sample]:
    bundles = {version: stock.item(family.payload, version).bundles[0] for version in ("1", "2")}
    tree = stock.item(family.payload).tree
    files = [path for path in tree.rglob("*") if path.is_file()]
    asked = "/" + str(files[len(files) // 2].relative_to(tree))
    blocks = sum(_BLOCK + -(-path.stat().st_size // _BLOCK) * _BLOCK for path in files)
    shutil.rmtree(tree)  # the room that it takes is needed
    package = stock.item(family.payload).package
    words = {
        "install": ["install", str(bundles["1"])],
        "list": ["list"],
        "owner": ["owner", asked],
        "verify": ["verify"],
        "upgrade": ["install", str(bundles["2"])],
        "rollback": ["rollback"],
        "remove": ["remove", package],
    }
    meter = Meter(ground)
    warm(*bundles.values())
    with filesystem(ground, 256 + blocks * 5 // 4 // (1 << 20), bytes_per_inode=_BLOCK) as top:
        root = top / "root"
        root.mkdir()
        meter.run("", OURS, [PKG, "--root", root, "key", "trust", "--yes", f"{stock.key()}.pub"])
        return {step: meter.run("", OURS, [PKG, "--root", root, *words[step]]) for step in STEPS}
