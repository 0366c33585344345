"""Acts. How are the commands of a transaction run, and what is kept of what they say?

Each is run once, or not at all: a recovery never repeats one, so that a hook that kills its parent, or a machine
that dies under it, cannot do so again and again.
"""

from collections.abc import Sequence

from intact.model.errors import HookFailed, MachineError
from intact.model.hooks import HookCommand, Moment
from intact.model.paths import ROOT
from intact.system.commands import run_command
from intact.system.port import Disk
from intact.transaction.deleting import drop_tree, if_possible
from intact.transaction.opening import OpenTransaction

__all__ = ["line_of", "run_back", "run_or_fail", "write_log"]

_MOST_LINES = 20
_TITLES = {
    Moment.BEFORE: "check before",
    Moment.AFTER: "action after",
    Moment.UNDO: "undoing of",
    Moment.HEALTH: "health check",
}


def line_of(one: HookCommand) -> str:
    """Name a command, for people."""
    return f"{_title(one)}: {' '.join(one.command)}"


def _title(one: HookCommand) -> str:
    package = f" {one.package} {one.version}" if one.package else ""
    return _TITLES[one.moment] + package


def run_or_fail(disk: Disk, transaction: OpenTransaction, commands: Sequence[HookCommand]) -> tuple[str, ...]:
    """Run them in their order; return what they said, a line each.

    Raises:
        HookFailed: one of them said no; the rest was not run.
        MachineError: one could not be run.
    """
    told: list[str] = []
    for one in commands:
        fault, lines = _run(disk, transaction, one, interruptible=True)
        told += lines
        if fault:
            raise HookFailed(
                f"the {_title(one)} {fault}",
                path=one.command[0],
                details=[f"command: {' '.join(one.command)}", *lines],
                remedy=_remedy(one),
            )
    return tuple(told)


def _remedy(one: HookCommand) -> str:
    if one.moment is Moment.HEALTH:
        return "mend what the check complains about, or choose another check; then run the same command again"
    return "mend what it complains about and run the same command again, or do without hooks: --no-hooks"


def run_back(disk: Disk, transaction: OpenTransaction, commands: Sequence[HookCommand]) -> tuple[str, ...]:
    """Run what belongs to the way back; a failure is told, and nothing else depends on it."""
    told: list[str] = []
    for one in commands:
        try:
            fault, lines = _run(disk, transaction, one, interruptible=False)
        except MachineError as error:
            fault, lines = f"could not be run: {error.message}", []
        told += [*lines, *([f"the {line_of(one)} {fault}"] if fault else [])]
    return tuple(told)


def _run(
    disk: Disk, transaction: OpenTransaction, one: HookCommand, *, interruptible: bool
) -> tuple[str, list[str]]:
    """Run one; return (why it failed or "", what it said)."""
    program = f"/{one.program}" if one.program != ROOT else one.command[0]
    variables = {"PKG_HOOK": one.moment.value, "PKG_TRANSACTION": str(transaction.places.id)}
    if one.package:
        variables |= {"PKG_PACKAGE": one.package, "PKG_VERSION": one.version}
    end = run_command(
        one.command,
        root=str(disk.host_path(ROOT).absolute()),
        program=program,
        seconds=one.seconds,
        variables=variables,
        interruptible=interruptible,
    )
    said = end.output.splitlines()
    left_out = [f"… {len(said) - _MOST_LINES} lines more"] if len(said) > _MOST_LINES else []
    return end.fault, [
        f"{one.package or 'health check'}: {line}" for line in (*left_out, *said[-_MOST_LINES:])
    ]


def write_log(disk: Disk, transaction: OpenTransaction, told: Sequence[str]) -> list[str]:
    """Keep what commands said beside the journal, as long as the transaction is in the history; tell if it is not."""
    place = transaction.places.commands_log
    left_out: list[str] = []
    with if_possible("the output of hooks is not kept", left_out):
        drop_tree(disk, place)
        if told:
            with disk.create_file(place) as writer:
                writer.write("".join(f"{line}\n" for line in told).encode(errors="backslashreplace"))
    return left_out
