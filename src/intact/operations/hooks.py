"""Acts. Which commands does a change of packages run here, and where are their programs at that moment?"""

import os
from collections.abc import Mapping, Sequence

from intact.model.actions import Plan, Remove, Replace
from intact.model.errors import Conflict
from intact.model.hooks import NO_COMMANDS, Commands, HookCommand, Moment
from intact.model.installed import InstalledPackage
from intact.model.paths import RelPath
from intact.model.values import dataclass, replace
from intact.operations.locate import Locator
from intact.operations.root import Root
from intact.plan.hooks import PackageHooks, choose_commands
from intact.state.database import Database
from intact.transaction.staging import StagingTree

__all__ = ["HookOptions", "bind_commands", "plan_commands"]


@dataclass(frozen=True, slots=True)
class HookOptions:
    """What the user wants of hooks.

    Attributes:
        run: False runs none of the packages' hooks.
        health_check: words of a command that has to end with 0, or the transaction is rolled back; may be empty.
        health_seconds: how long it may take.
    """

    run: bool = True
    health_check: tuple[str, ...] = ()
    health_seconds: int = 60


def plan_commands(
    root: Root,
    database: Database,
    names: Sequence[str],
    following: Mapping[str, InstalledPackage],
    options: HookOptions,
) -> tuple[Commands, list[str]]:
    """Choose the commands for packages that change; return them with notes for people.

    Args:
        names: of the packages that change.
        following: those of them that are there afterwards.

    Raises:
        Conflict: nobody could run them here.
    """
    if not names:
        return NO_COMMANDS, []
    present = {name: package for name in names if (package := database.package(name)) is not None}
    health = [
        HookCommand(Moment.HEALTH, "", "", words, options.health_seconds)
        for words in [options.health_check]
        if words
    ]
    chosen = choose_commands(_hooks_of(present), _hooks_of(following), health)
    notes = []
    if not options.run:
        notes = [f"not run (--no-hooks): {one}" for one in _lines((*chosen.before, *chosen.after))]
        chosen = choose_commands({}, {}, health)
    if chosen and os.geteuid() != 0 and not root.is_host:
        raise Conflict(
            "hooks and health checks run inside the root, which only the superuser can enter (chroot)",
            path=root.path,
            details=_lines((*chosen.before, *chosen.after)),
            remedy="run the command as root, or do without: --no-hooks",
        )
    return chosen, notes


def _lines(commands: Sequence[HookCommand]) -> list[str]:
    return [f"{one.package}: {one.moment.value}: {' '.join(one.command)}" for one in commands if one.package]


def _hooks_of(packages: Mapping[str, InstalledPackage]) -> dict[str, PackageHooks]:
    return {name: PackageHooks(one.identity.version, one.hooks) for name, one in packages.items()}


def bind_commands(root: Root, plan: Plan, tree: StagingTree) -> Commands:
    """Say where each program lies when its moment comes.

    Checks, and what undoes a package that did not stay, run from the staging tree; what undoes a package that
    leaves runs from its backup.
    """
    if not plan.commands:
        return plan.commands
    leaving: dict[RelPath, RelPath] = {}
    for step in tree.steps:
        if isinstance(step.action, Replace | Remove):
            top = step.action.path
            below = [node.path for node in step.action.was_below]
            leaving |= {path: path.moved(top, step.slot) for path in (top, *below)}
    locator = Locator(root.disk)

    def bound(one: HookCommand, places: Mapping[RelPath, RelPath]) -> HookCommand:
        location = locator.entry(RelPath.parse(one.command[0][1:]))
        return replace(one, program=places[location]) if location in places else one

    def all_bound(
        commands: Sequence[HookCommand], undone: Mapping[RelPath, RelPath]
    ) -> tuple[HookCommand, ...]:
        places = {Moment.BEFORE: tree.places, Moment.UNDO: undone}
        return tuple(bound(one, places.get(one.moment, {})) for one in commands)

    commands = plan.commands
    return Commands(
        all_bound(commands.before, {}),
        all_bound(commands.after, leaving),
        all_bound(commands.back, tree.places),
    )
