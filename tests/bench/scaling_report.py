"""Pure. How does cost grow with size: as tables, as JSON, and as curves?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import log10

from rich.table import Table

from bench.scaling import FAMILIES, STEPS, Family, Point

__all__ = ["growth", "scaling_json", "scaling_svg", "scaling_tables"]

Found = Mapping[str, Sequence[Point]]

_COLOURS = ("#1b6ca8", "#7a7a7a", "#b0b0b0", "#2a9d4a", "#d1495b", "#e08e2b", "#6a4c93")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 360, 300, 60, 40, 120


def scaling_tables(found: Found) -> list[Table]:
    """Return a table for each family: seconds and MiB of each step, by size."""
    return [_table(family, found[family.name]) for family in FAMILIES if found.get(family.name)]


def _table(family: Family, points: Sequence[Point]) -> Table:
    table = Table(title=f"by {family.name}: seconds, and peak memory in MiB", title_justify="left")
    table.add_column(family.unit, justify="right")
    for step in STEPS:
        table.add_column(step, justify="right")
    for point in points:
        samples = (point.samples[step] for step in STEPS)
        table.add_row(f"{point.size:,}", *(f"{one.seconds:.2f}  {one.memory:4.0f}" for one in samples))
    table.add_section()
    table.add_row("growth", *(f"{growth(points, step):.2f}" for step in STEPS))
    return table


def growth(points: Sequence[Point], step: str) -> float:
    """Return the exponent between the two largest sizes: 1 is linear, less is better, 2 is quadratic."""
    if len(points) < 2:
        return 0.0
    small, large = points[-2], points[-1]
    seconds = [max(0.001, one.samples[step].seconds) for one in (small, large)]
    return log10(seconds[1] / seconds[0]) / log10(large.size / small.size)


def scaling_json(found: Found) -> str:
    """Return everything as one JSON document."""
    document = {
        name: [
            {"size": point.size, "steps": {step: asdict(one) for step, one in point.samples.items()}}
            for point in points
        ]
        for name, points in found.items()
    }
    return json.dumps(document, indent=1) + "\n"


def scaling_svg(found: Found) -> str:
    """Return the seconds of each step over the size, both logarithmic, a picture for each family."""
    shown = [family for family in FAMILIES if found.get(family.name)]
    width = _LEFT + len(shown) * (_WIDTH + _GAP)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT + 2 * _TOP + 20}"'
            ' font-family="sans-serif" font-size="12">'
        ),
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, family in enumerate(shown):
        lines += _panel(family, found[family.name], _LEFT + number * (_WIDTH + _GAP))
    return "\n".join([*lines, "</svg>", ""])


def _panel(family: Family, points: Sequence[Point], left: float) -> list[str]:
    low, high = log10(points[0].size), max(log10(points[-1].size), log10(points[0].size) + 1)

    def x(size: float) -> float:
        return left + (log10(size) - low) / (high - low) * _WIDTH

    def y(seconds: float) -> float:  # from 0.01 s to 1,000 s
        return _TOP + (3 - log10(max(0.01, seconds))) / 5 * _HEIGHT

    lines = [f'<text x="{left}" y="{_TOP - 16}" font-weight="bold">seconds by {family.unit}</text>']
    for power in range(-2, 4):
        at = y(10.0**power)
        lines.append(f'<line x1="{left}" y1="{at:.1f}" x2="{left + _WIDTH}" y2="{at:.1f}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for point in points:
        at = x(point.size)
        lines.append(
            f'<text x="{at:.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{point.size:,}</text>'
        )
    for step, colour in zip(STEPS, _COLOURS, strict=True):
        where = [(x(point.size), y(point.samples[step].seconds)) for point in points]
        path = " ".join(f"{at:.1f},{height:.1f}" for at, height in where)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        at, height = where[-1]
        lines.append(f'<text x="{at + 6:.1f}" y="{height + 4:.1f}" fill="{colour}">{step}</text>')
    return lines
