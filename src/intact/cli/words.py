"""Pure. How is foreign text shown, so that it cannot paint over the screen or pretend to be ours?

Every string that did not come from our own source (names, paths, signers, error texts) goes through `shown`.
"""

import unicodedata

from intact.model.errors import IntactError

__all__ = [
    "error_lines",
    "shown",
    "size_text",
    "time_text",
]

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def shown(text: object) -> str:
    r"""Escape what a terminal would act upon or not show: ``\x1b``, bidirectional marks, lone surrogates."""
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(_escaped(one) if unicodedata.category(one) in _HIDDEN else one for one in plain)


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def size_text(size: int) -> str:
    """Write a number of bytes for people."""
    value = float(size)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError(size)


def time_text(seconds: int) -> str:
    """Write a time (seconds since 1970) in local time."""
    from datetime import datetime, timezone  # noqa: PLC0415  few commands show a time

    return datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def error_lines(error: IntactError) -> list[str]:
    """Write an error for people: what, where, in which state the root is, what to type next."""
    place = f"{shown(error.path)}: " if error.path else ""
    lines = [f"pkg: {place}{shown(error.message)}"]
    lines += [f"  - {shown(one)}" for one in error.details]
    lines.append(f"  now: {shown(error.root_state)}")
    if error.remedy:
        lines.append(f"  next: {shown(error.remedy)}")
    return lines
