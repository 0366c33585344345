"""Pure. How is a plan told, so that a person can decide about it?"""

import shlex
from collections.abc import Sequence

from intact.cli.words import shown, size_text
from intact.model.actions import Action, Create, Remove, RemoveDirectory, Replace, SetAttributes
from intact.model.exhaustive import assert_never
from intact.model.hooks import HookCommand
from intact.model.manifest import PackageChange
from intact.model.objects import NewDirectory, NewFile, NewHardlink, NewObject, NewSymlink

__all__ = ["action_line", "change_line", "command_line", "signers_line"]


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
