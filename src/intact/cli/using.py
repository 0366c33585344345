"""Acts. Who still uses the old files, and shall what can be restarted be restarted?"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from intact.cli.endings import Declined
from intact.cli.session import Session
from intact.cli.uses import IN_USE, document_of, look_for_uses, summary_of, tell_uses
from intact.cli.words import shown
from intact.cli.words_in_use import in_use_lines
from intact.cli.words_plan import change_line
from intact.model.errors import UnknownTransaction, UsageError
from intact.model.installed import TransactionRecord
from intact.model.values import dataclass
from intact.operations.in_use import UsesFound
from intact.operations.restarting import Restart, RestartFailed, restart, undone_with, units_to_restart
from intact.operations.rollback import roll_back_to
from intact.system.units import find_systemctl, restart_unit

__all__ = ["COMMANDS"]

_ROLLED_BACK = 8


@dataclass(frozen=True, slots=True)
class _Restarting:
    yes: bool
    seconds: float
    settling: float
    rollback: bool


@dataclass(frozen=True, slots=True)
class _WayBack:
    """A rollback because a unit did not come up: its transaction, and those that it undid, newest first."""

    transaction: int
    undone: tuple[int, ...]


@click.command("ps")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--transaction", type=int, metavar="N", help="Only what this transaction replaced.")
@click.option("--exit-in-use", is_flag=True, help=f"Exit with {IN_USE} if a process uses an old file.")
@click.option(
    "--restart", "restarts", is_flag=True, help="Restart the units that use old files, after a confirmation."
)
@click.option("--yes", "-y", is_flag=True, help="With --restart: do not ask.")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3600),
    default=90.0,
    show_default=True,
    metavar="SECONDS",
    help="With --restart: how long a unit may take.",
)
@click.option(
    "--settle",
    type=click.FloatRange(0, 600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="With --restart: for how long a unit has to stay up to count as up.",
)
@click.option(
    "--rollback",
    is_flag=True,
    help="With --restart: roll back without asking if a unit does not come up; undoes everything since the oldest"
    " transaction whose files it ran with.",
)
@click.pass_obj
def _ps(
    session: Session,
    /,
    names: tuple[str, ...],
    *,
    transaction: int | None,
    exit_in_use: bool,
    restarts: bool,
    **how: Any,  # noqa: ANN401  click
) -> int:
    """List the processes that still use replaced or removed files, and how each gets the new ones.

    NAME is a package; without one, all.
    """
    asked = _Restarting(how["yes"], how["timeout"], how["settle"], how["rollback"])
    if (asked.yes or asked.rollback) and not restarts:
        raise UsageError("--yes and --rollback belong to --restart", remedy="pkg ps --help")
    if not restarts:
        return tell_uses(session, *names, transaction=transaction, exit_in_use=exit_in_use)

    def look() -> UsesFound:
        return look_for_uses(session, names, transaction)

    return _restart(session, look, asked, exit_in_use=exit_in_use)


def _restart(
    session: Session, look: Callable[[], UsesFound], asked: _Restarting, *, exit_in_use: bool
) -> int:
    found = look()
    units, by_hand = units_to_restart(found.uses)
    for line in (*in_use_lines(found), *summary_of(found)):
        session.screen.say(line)
    problems: list[str] = []
    way_back: _WayBack | None = None
    done: tuple[Restart, ...] = ()
    if units:
        systemctl = _insist_on_systemctl()
        _confirm(f"Restart {', '.join(map(shown, units))}?", yes=asked.yes)

        def restart_one(unit: str) -> str | None:
            return restart_unit(systemctl, unit, asked.seconds, asked.settling)

        done = restart(units, restart_one, lambda unit: session.screen.say(f"restarting {unit}"))
        failed = [one for one in done if one.problem is not None]
        if failed:
            problems = [f"{one.unit}: {one.problem}" for one in failed]
            way_back = _go_back(session, failed, problems, restart_one, rollback=asked.rollback)
    left = look()
    document = {
        **document_of(left),
        "restarted": [one.unit for one in done],
        "by_hand": list(by_hand),
        "problems": problems,
        "rolled_back": way_back and way_back.transaction,
        "undone": list(way_back.undone) if way_back else [],
    }
    lines = [f"restarted {shown(one.unit)}" for one in done]
    if way_back is not None:
        lines.append(
            f"rolled back by transaction {way_back.transaction}, which undid"
            f" {', '.join(map(str, way_back.undone))}; the units run again with the old files"
        )
    lines += [f"by hand: {shown(one)}" for one in by_hand]
    session.screen.done(document, [*lines, *summary_of(left)])
    if way_back is not None:
        return _ROLLED_BACK
    return IN_USE if exit_in_use and left.uses else 0


def _insist_on_systemctl() -> Path:
    systemctl = find_systemctl()
    if systemctl is None:
        raise UsageError(
            "--restart needs systemd, which does not run this machine",
            remedy="restart them with the service manager that does; `pkg ps` names them",
        )
    return systemctl


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody can be asked: there is no terminal", remedy="say --yes to restart without a question"
        )
    if not click.confirm(question, err=True):
        raise Declined(
            "nothing was restarted", root_state="the new files are in place; the old ones still run"
        )


def _undone(session: Session, oldest: int, problems: list[str]) -> tuple[TransactionRecord, ...]:
    try:
        with session.root() as root:
            return undone_with(root, oldest)
    except UnknownTransaction as error:
        raise RestartFailed(
            "units did not come up with the new files, and there is no way back",
            details=(*problems, error.message),
            root_state="the new files are in place",
            remedy="look at `systemctl status` of the units",
        ) from error


def _go_back(
    session: Session,
    failed: list[Restart],
    problems: list[str],
    restart_one: Callable[[str], str | None],
    *,
    rollback: bool,
) -> _WayBack:
    """Roll back to the files that the units ran with, if that is wanted."""
    oldest = min(number for one in failed for number in one.transactions)
    for line in problems:
        session.screen.say(f"did not come up: {line}")
    undone = _undone(session, oldest, problems)
    session.screen.say(f"the way back to before transaction {oldest} undoes:")
    for one in undone:
        changes = ", ".join(" ".join(change_line(each, one.kind).split()) for each in one.packages)
        session.screen.say(f"  transaction {one.id}: {changes or one.kind}")
    question = f"Roll back to before transaction {oldest} ({len(undone)} transactions)?"
    wanted = rollback or (sys.stdin.isatty() and click.confirm(question, err=True))
    if not wanted:
        raise RestartFailed(
            "units did not come up with the new files",
            details=problems,
            root_state="the new files are in place",
            remedy=f"look at `systemctl status {failed[0].unit}`;"
            f" `pkg rollback {oldest}` brings back the files that it ran with",
        )
    with session.root() as root, session.environment() as environment:
        receipt = roll_back_to(root, oldest, environment)
    again = [f"{one.unit}: {problem}" for one in failed if (problem := restart_one(one.unit)) is not None]
    if again or receipt.transaction is None:
        raise RestartFailed(
            "units do not come up with the old files either",
            details=again,
            root_state=f"everything since transaction {oldest} was rolled back",
            remedy=f"look at `systemctl status {failed[0].unit}`",
        )
    return _WayBack(receipt.transaction, tuple(one.id for one in undone))


COMMANDS = {"ps": _ps}
