"""Pure. What the proof has shown, as a table, as a picture and as JSON."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

from proof.instruments import INSTRUMENTS
from proof.run import Report
from proof.verdicts import Scene, Tally

__all__ = ["Circumstances", "as_json", "as_markdown", "as_svg", "as_table", "rows"]


@dataclass(frozen=True)
class Circumstances:
    """What somebody needs to run it again."""

    budget: str
    seed: int
    kernel: str
    python: str
    version: str
    seconds: float


def rows(report: Report) -> list[tuple[str, dict[str, Tally]]]:
    """Sum up by instrument and filesystem."""
    found: dict[str, dict[str, Tally]] = {}
    for scene, tally in report.items():
        sums = found.setdefault(scene.instrument, {})
        total = sums.setdefault(scene.filesystem, Tally())
        total.tried += tally.tried
        total.outcomes += tally.outcomes
        total.violations += tally.violations
    return list(found.items())


def _filesystems(report: Report) -> list[str]:
    return sorted({scene.filesystem for scene in report}, key=lambda name: (name == "tmpfs", name))


def as_table(report: Report, title: str) -> Table:
    """Return the table: instrument by filesystem, states tried and violations."""
    table = Table(title=title, title_justify="left")
    filesystems = _filesystems(report)
    table.add_column("what was done")
    for name in filesystems:
        table.add_column(name, justify="right")
    table.add_column("states", justify="right")
    table.add_column("violations", justify="right")
    total = Tally()
    for instrument, by_filesystem in rows(report):
        tried = sum(one.tried for one in by_filesystem.values())
        wrong = sum(len(one.violations) for one in by_filesystem.values())
        cells = [f"{by_filesystem[name].tried:,}" if name in by_filesystem else "" for name in filesystems]
        style = "bold red" if wrong else "green"
        table.add_row(INSTRUMENTS[instrument].title, *cells, f"{tried:,}", f"[{style}]{wrong}[/]")
        total.tried += tried
        total.violations += [""] * wrong
    table.add_section()
    empty = [""] * len(filesystems)
    table.add_row("all", *empty, f"{total.tried:,}", str(len(total.violations)))
    return table


def as_svg(report: Report, title: str) -> str:
    """Return the table as a picture."""
    console = Console(record=True, width=110, file=StringIO())
    console.print(as_table(report, title))
    return console.export_svg(title="scripts/prove")


def as_markdown(report: Report) -> str:
    """Return every scene as a row of a Markdown table."""
    lines = [
        "| what was done | filesystem | story | states | outcomes | violations |",
        "|---|---|---|--:|---|--:|",
    ]
    for scene, tally in sorted(report.items()):
        outcomes = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.outcomes.items()))
        lines.append(
            f"| {INSTRUMENTS[scene.instrument].title} | {scene.filesystem} | {scene.story} | {tally.tried:,} |"
            f" {outcomes} | {len(tally.violations)} |"
        )
    return "\n".join(lines) + "\n"


def as_json(report: Report, circumstances: Circumstances) -> str:
    """Return everything as one JSON document."""
    document: dict[str, Any] = {
        "budget": circumstances.budget,
        "seed": circumstances.seed,
        "kernel": circumstances.kernel,
        "python": circumstances.python,
        "version": circumstances.version,
        "seconds": round(circumstances.seconds, 1),
        "states": sum(one.tried for one in report.values()),
        "violations": [line for one in report.values() for line in one.violations],
        "scenes": [_scene(scene, tally) for scene, tally in sorted(report.items())],
    }
    return json.dumps(document, indent=1) + "\n"


def _scene(scene: Scene, tally: Tally) -> dict[str, Any]:
    return {
        "instrument": scene.instrument,
        "filesystem": scene.filesystem,
        "story": scene.story,
        "states": tally.tried,
        "outcomes": dict(sorted(tally.outcomes.items())),
        "violations": len(tally.violations),
    }


def without_duplicates(lines: Iterable[str]) -> list[str]:
    """Leave out lines that say the same about another state."""
    seen: set[str] = set()
    kept = []
    for line in lines:
        what = line.partition(": ")[2]
        if what not in seen:
            seen.add(what)
            kept.append(line)
    return kept
