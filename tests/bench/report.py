"""Pure. What was measured, as a table, as a picture and as JSON."""

import json
from dataclasses import asdict, dataclass
from io import StringIO
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cases import CASES, MOST_MEMORY, OURS, REFERENCE, Samples, Verdict, judge

__all__ = ["Circumstances", "as_json", "as_svg", "as_tables", "verdicts"]

Parts = dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class Circumstances:
    """What somebody needs to compare figures with his own.

    Attributes:
        others: processors that everything else kept busy meanwhile, on average.
    """

    version: str
    kernel: str
    python: str
    processors: int
    runs: int
    level: int
    files: int
    large: int
    others: float


def verdicts(samples: Samples) -> dict[str, Verdict]:
    """Judge every case that was measured on both sides."""
    return {
        case.name: judge(case, found)
        for case in CASES
        if {OURS, REFERENCE} <= (found := samples.get(case.name, {})).keys()
    }


def as_tables(samples: Samples, parts: Parts, around: Circumstances) -> list[Table]:
    """Return the rows with their targets, what others take, and where our time goes."""
    tables = [_rows(samples, around)]
    names = sorted({who for found in samples.values() for who in found} - {OURS, REFERENCE})
    if names:
        tables.append(_peers(samples, names))
    if parts:
        tables.append(_parts(parts))
    return tables


def _rows(samples: Samples, around: Circumstances) -> Table:
    table = Table(title=_title(around), title_justify="left")
    table.add_column("case")
    for name in ("pkg", "reference", "ratio", "target", "reached", "memory"):
        table.add_column(name, justify="right")
    table.add_column("reference is")
    found = verdicts(samples)
    for case in CASES:
        if case.name in found:
            one = found[case.name]
            word = {None: "", True: "[green]yes[/]", False: "[bold red]no[/]"}[one.reached]
            memory = f"{one.memory:.0f} MiB" if one.memory else ""
            times = (_seconds(one.ours), _seconds(one.reference), f"{one.ratio:.2f} ×")
            table.add_row(case.title, *times, case.target, word, memory, case.reference)
    most = max((one.memory for one in found.values()), default=0.0)
    table.add_section()
    word = "[green]yes[/]" if most <= MOST_MEMORY else "[bold red]no[/]"
    table.add_row("peak memory", "", "", "", f"≤ {MOST_MEMORY} MiB", word, f"{most:.0f} MiB", "")
    return table


def _title(around: Circumstances) -> str:
    return (
        f"pkg {around.version}, zstd -{around.level}, {around.runs} runs, {around.processors} processors"
        f" ({around.others:.1f} of them busy with other things), ext4 in memory"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < 10 else f"{seconds:.1f} s"


def _peers(samples: Samples, names: list[str]) -> Table:
    table = Table(title="others, as ratios to the same reference", title_justify="left")
    table.add_column("case")
    for name in (OURS, *names):
        table.add_column(name, justify="right")
    for case in CASES:
        found = samples.get(case.name, {})
        if REFERENCE in found and any(name in found for name in names):
            cells = [
                f"{judge(case, found, name).ratio:.2f} ×" if name in found else "" for name in (OURS, *names)
            ]
            table.add_row(case.title, *cells)
    return table


def _parts(parts: Parts) -> Table:
    table = Table(title="where our time goes (seconds)", title_justify="left")
    table.add_column("part")
    cases = [case for case in CASES if case.name in parts]
    for case in cases:
        table.add_column(case.name, justify="right")
    for title in dict.fromkeys(title for runs in parts.values() for run in runs for title in run):
        cells = [_median([run[title] for run in parts[case.name] if title in run]) for case in cases]
        table.add_row(title, *cells)
    return table


def _median(numbers: list[float]) -> str:
    return f"{median(numbers):.3f}" if numbers else ""


def as_svg(samples: Samples, around: Circumstances) -> str:
    """Return the rows as a picture."""
    console = Console(record=True, width=132, file=StringIO())
    console.print(_rows(samples, around))
    return console.export_svg(title="scripts/bench")


def as_json(samples: Samples, parts: Parts, around: Circumstances) -> str:
    """Return everything as one JSON document."""
    document: dict[str, Any] = {
        **asdict(around),
        "cases": {
            case.name: {
                "title": case.title,
                "reference": case.reference,
                "target": case.target,
                **(asdict(found[case.name]) if case.name in found else {}),
                "runs": {who: [asdict(run) for run in runs] for who, runs in samples[case.name].items()},
                "parts": parts.get(case.name, []),
            }
            for found in [verdicts(samples)]
            for case in CASES
            if case.name in samples
        },
    }
    return json.dumps(document, indent=1) + "\n"
