"""Pure. Which commands does a transaction run, in which order?"""

from collections.abc import Mapping, Sequence

from intact.model.hooks import Commands, Hook, HookCommand, Moment
from intact.model.values import dataclass
from intact.model.versions import Version

__all__ = ["PackageHooks", "choose_commands"]


@dataclass(frozen=True, slots=True)
class PackageHooks:
    """A version of a package and its hooks."""

    version: Version
    hooks: tuple[Hook, ...]


def choose_commands(
    present: Mapping[str, PackageHooks], following: Mapping[str, PackageHooks], health: Sequence[HookCommand]
) -> Commands:
    """Choose the commands for packages that change.

    A package that leaves is undone, last hook first; one that is there afterwards, whatever version of it, is
    checked before and acted for after. The way back follows the same rule with the sides exchanged.

    Args:
        present: the packages that change, as they are now.
        following: the same packages as they will be; those that leave are missing.
        health: demanded by the user; last.
    """
    before = _commands(following, Moment.BEFORE)
    after = (*_undone(present, following), *_commands(following, Moment.AFTER), *health)
    back = (*_undone(following, present), *_commands(present, Moment.AFTER)) if after else ()
    return Commands(before, after, back)


def _commands(packages: Mapping[str, PackageHooks], moment: Moment) -> tuple[HookCommand, ...]:
    return tuple(
        HookCommand(moment, name, str(one.version), hook.command, hook.seconds)
        for name, one in sorted(packages.items())
        for hook in one.hooks
        if hook.when is moment
    )


def _undone(
    packages: Mapping[str, PackageHooks], staying: Mapping[str, PackageHooks]
) -> tuple[HookCommand, ...]:
    return tuple(
        HookCommand(Moment.UNDO, name, str(one.version), hook.undo, hook.seconds)
        for name, one in sorted(packages.items(), reverse=True)
        if name not in staying
        for hook in reversed(one.hooks)
        if hook.undo
    )
