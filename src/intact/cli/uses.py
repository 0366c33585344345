"""Acts. Who still uses the old files?"""

from collections.abc import Sequence
from typing import Any

from intact.cli.session import Session
from intact.cli.words import shown
from intact.cli.words_in_use import in_use_lines, in_use_rows
from intact.operations.in_use import UsesFound, find_in_use

__all__ = ["IN_USE", "document_of", "look_for_uses", "summary_of", "tell_uses"]

IN_USE = 11
_MOST_PIDS = 10


def look_for_uses(session: Session, names: Sequence[str], transaction: int | None) -> UsesFound:
    """Look at all processes; for these packages, or all, and this transaction, or all."""
    with session.root() as root:
        return find_in_use(root, None if transaction is None else (transaction,), names)


def tell_uses(
    session: Session, *names: str, transaction: int | None = None, exit_in_use: bool = False
) -> int:
    """List the processes that still use replaced or removed files."""
    found = look_for_uses(session, names, transaction)
    session.screen.result(document_of(found), [*in_use_lines(found), *summary_of(found)])
    return IN_USE if exit_in_use and found.uses else 0


def document_of(found: UsesFound) -> dict[str, Any]:
    """Write what was found, for programs."""
    return {
        "in_use": in_use_rows(found),
        "looked_at": found.looked_at,
        "hidden": found.hidden,
        "hidden_pids": list(found.hidden_pids),
        "notes": list(found.notes),
    }


def summary_of(found: UsesFound) -> list[str]:
    """Say how many there are, and what could not be seen."""
    processes = {one.process.pid for one in found.uses}
    lines = [
        _count(len(processes)) if processes else _nobody(found),
        *(f"note: {shown(one)}" for one in found.notes),
    ]
    if found.hidden:
        some = ", ".join(map(str, found.hidden_pids[:_MOST_PIDS]))
        lines.append(
            f"note: {found.hidden} of {found.looked_at} processes could not be looked into"
            f" (pid {some}{', …' if found.hidden > _MOST_PIDS else ''})"
        )
    return lines


def _nobody(found: UsesFound) -> str:
    nobody = "no process uses a replaced or removed file"
    return f"as far as can be known, {nobody}" if found.unknown else nobody


def _count(processes: int) -> str:
    return "1 process uses old files" if processes == 1 else f"{processes} processes use old files"
