"""Pure. How is foreign text shown, so that it cannot paint over the screen or pretend to be ours?

Every string that did not come from our own source (names, paths, signers, error texts) goes through `shown`.
"""

import shlex
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timezone

from intact.model.actions import (
    Action,
    Create,
    PackageChange,
    Remove,
    RemoveDirectory,
    Replace,
    SetAttributes,
)
from intact.model.errors import IntactError
from intact.model.exhaustive import assert_never
from intact.model.hooks import HookCommand
from intact.model.objects import NewDirectory, NewFile, NewHardlink, NewObject, NewSymlink

__all__ = [
    "action_line",
    "change_line",
    "command_line",
    "error_lines",
    "shown",
    "signers_line",
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
    return datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def change_line(change: PackageChange, kind: str = "") -> str:
    """Say what happens to a package in a transaction of this kind."""
    name = shown(change.name)
    if change.old is None:
        return f"install  {name} {change.new}"
    if change.new is None:
        return f"remove   {name} {change.old}"
    if change.old == change.new:
        return f"{'repair' if kind == 'repair' else 'renew':8} {name} {change.new}"
    verb = "upgrade " if change.old < change.new else "go back "
    return f"{verb} {name} {change.old} → {change.new}"


def signers_line(package: str, signers: Sequence[str]) -> str:
    """Say who vouches for a package."""
    if not signers:
        return f"warning: {shown(package)} was let in UNSIGNED; nobody vouches for it"
    return f"signed   {shown(package)} by {', '.join(map(shown, signers))}"


def _object_text(new: NewObject) -> str:
    match new:
        case NewFile(attributes, size, _, _):
            return f"file {attributes.mode:04o} {attributes.uid}:{attributes.gid}, {size_text(size)}"
        case NewDirectory(attributes):
            return f"directory {attributes.mode:04o} {attributes.uid}:{attributes.gid}"
        case NewSymlink(target, _, _):
            return f"link to {shown(target)}"
        case NewHardlink(target):
            return f"same file as /{shown(target)}"
        case _:
            assert_never(new)


def action_line(action: Action) -> str:
    """Say what an action does, in one line."""
    path = f"/{shown(action.path)}"
    match action:
        case Create(_, _, new, below):
            inside = f", with {len(below)} more in it" if below else ""
            return f"create   {path} ({_object_text(new)}{inside})"
        case Replace(_, _, new, old, _, _, keep):
            kept = "; the present one is kept" if keep else ""
            return f"replace  {path} ({old.kind.value} → {_object_text(new)}{kept})"
        case Remove(_, _, old, was_below):
            inside = f", with {len(was_below)} in it" if was_below else ""
            return f"remove   {path} ({old.kind.value}{inside})"
        case RemoveDirectory():
            return f"remove   {path} (directory, if it is empty)"
        case SetAttributes(_, new, _):
            return f"set      {path} to {new.mode:04o} {new.uid}:{new.gid}"
        case _:
            assert_never(action)


def command_line(command: HookCommand) -> str:
    """Say what a hook or health check runs, in one line."""
    whose = f" of {shown(command.package)}" if command.package else ""
    return (
        f"run      {shown(shlex.join(command.command))}"
        f" ({command.moment.value}{whose}, at most {command.seconds} s)"
    )


def error_lines(error: IntactError) -> list[str]:
    """Write an error for people: what, where, in which state the root is, what to type next."""
    place = f"{shown(error.path)}: " if error.path else ""
    lines = [f"pkg: {place}{shown(error.message)}"]
    lines += [f"  - {shown(one)}" for one in error.details]
    lines.append(f"  now: {shown(error.root_state)}")
    if error.remedy:
        lines.append(f"  next: {shown(error.remedy)}")
    return lines
