"""Acts. Which files does a source of a manifest name?

A directory is listed once, for all parts of the pattern that lead into it. ``Path.glob`` passes over directories that it
cannot read, and what it finds below ``**`` is not the same in all versions of Python.
"""

import os
from collections import defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["files_named"]

_ANY_DEPTH = "**"


def files_named(base: Path, pattern: str) -> list[Path]:
    """Find the regular files that a name or a glob means, links to them followed, sorted.

    Args:
        pattern: relative to `base`, or absolute; ``**`` stands for any number of directories, none of them a link.

    Raises:
        OSError: a directory in which some may be cannot be read; to leave them out would be to lose them.
        ValueError: it is no pattern.
    """
    if not _is_wild(pattern):
        one = base / pattern
        return [one] if one.is_file() else []
    top = Path(pattern)
    parts = top.relative_to(top.anchor).parts
    if any(_ANY_DEPTH in part and part != _ANY_DEPTH for part in parts):
        raise ValueError(f"Invalid pattern: {_ANY_DEPTH!r} can only be an entire path component")
    found = []
    left = [(base / top.anchor, {0})]
    while left:
        directory, places = left.pop()
        for name, after in _steps(directory, parts, places).items():
            path = directory / name
            if len(parts) in after and path.is_file():
                found.append(path)
            further = after - {len(parts)}
            if further and path.is_dir():
                left.append((path, further))
    return sorted(found)


def _steps(directory: Path, parts: tuple[str, ...], places: set[int]) -> dict[str, set[int]]:
    """Tell for the names in a directory that matter at which places of the pattern one is behind them.

    Args:
        places: those at which one is in the directory.
    """
    here = set()
    for place in places:
        here.add(place)
        while parts[place] == _ANY_DEPTH and place + 1 < len(parts):  # any number of directories can be none
            place += 1  # noqa: PLW2901  one more place
            here.add(place)
    steps: dict[str, set[int]] = defaultdict(set)
    wild = [place for place in here if _is_wild(parts[place])]
    for place in here.difference(wild):
        steps[parts[place]].add(place + 1)
    if wild:
        with os.scandir(directory) as entries:
            for entry in entries:
                for place in wild:
                    if parts[place] != _ANY_DEPTH:
                        if fnmatchcase(entry.name, parts[place]):
                            steps[entry.name].add(place + 1)
                    elif entry.is_dir(follow_symlinks=False):
                        steps[entry.name].add(place)
    return steps


def _is_wild(text: str) -> bool:
    return any(one in text for one in "*?[")
