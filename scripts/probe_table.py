"""Probe ext4, xfs, btrfs, tmpfs, overlayfs and two FUSE mirrors, and write what was measured into the documentation.

scripts/probe-table            writes docs/explanation/filesystems.md
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proof.images import missing_tools, mounted, scratch

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs/explanation/filesystems.md"
PKG = Path(sys.executable).with_name("pkg")
BEGIN, END = "<!-- begin: scripts/probe-table -->\n", "<!-- end: scripts/probe-table -->\n"
# The mirrors of tests/support/weather.py, under the names that proof.images has for their manners.
KINDS = {
    "ext4": "ext4",
    "xfs": "xfs",
    "btrfs": "btrfs",
    "tmpfs": "tmpfs",
    "overlayfs": "overlayfs",
    "FUSE, no flags": "fuse without flags",
    "FUSE, no flags, no links": "fuse without links",
}


@contextmanager
def place_on(kind: str, below: Path) -> Iterator[Path]:
    """Yield a directory on a filesystem of this kind; `below` is in memory."""
    if kind != "overlayfs":
        with scratch(kind, below) as place:
            yield place
        return
    for layer in ("lower", "upper", "work"):
        (below / layer).mkdir()
    layers = f"lowerdir={below}/lower,upperdir={below}/upper,workdir={below}/work"
    with mounted("overlay", below / "merged", "overlay", layers) as place:
        yield place


def probed(kind: str) -> dict[str, Any]:
    """Let `pkg` probe such a filesystem."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as below, place_on(kind, Path(below)) as place:
        done = subprocess.run([PKG, "--json", "probe", place], capture_output=True, text=True, check=True)
        left = [one.name for one in place.iterdir() if one.name.startswith(".intact")]
        if left:
            raise AssertionError(f"{kind}: left behind: {left}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def table(found: dict[str, dict[str, Any]]) -> list[str]:
    """Write a table for each topic, and one of the ways."""
    first = next(iter(found.values()))
    names = list(found)
    lines = [f"Measured on {first['kernel']}, as root.", ""]
    topic = ""
    for at, row in enumerate(first["rows"]):
        if row["topic"] != topic:
            lines += ["", *_heading(row["topic"], names)] if topic else _heading(row["topic"], names)
            topic = row["topic"]
        mark = "**\\***" if row["matters"] else ""
        cells = [_cell(one["rows"][at]) for one in found.values()]
        lines.append(_line(f"{row['question']} {mark}".strip(), cells))
    lines += ["", *_heading("How the installer replaces there", names)]
    for at, one in enumerate(first["strategy"]):
        lines.append(_line(one["what"], [f"`{other['strategy'][at]['way']}`" for other in found.values()]))
    return [re.sub(r" +", " ", line) for line in lines]


def _heading(topic: str, names: list[str]) -> list[str]:
    return [f"### {topic}", "", _line("", names), _line("---", ["---"] * len(names))]


def _line(first: str, cells: list[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


def _cell(row: dict[str, Any]) -> str:
    """Shorten an answer: what all have in parentheses is told in the text."""
    short: str = row["answer"].partition(" (")[0]
    return short.removeprefix("refused: ")


def main() -> None:
    """Measure, and write the page anew between its marks."""
    if missing := missing_tools():
        sys.exit(f"needs {', '.join(missing)}")
    found = {name: probed(kind) for name, kind in KINDS.items()}
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n".join(table(found)) + "\n" + END + after)


if __name__ == "__main__":
    main()
