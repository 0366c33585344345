"""Acts. How is it shown who uses what? Users get their names, and every word of a process is escaped."""

import pwd
import shlex
from typing import Any

from intact.cli.words import shown, time_text
from intact.model.processes import RunningProcess
from intact.operations.in_use import InUse, UsesFound
from intact.plan.keepers import remedy_of

__all__ = ["in_use_lines", "in_use_rows"]

_LONGEST_COMMAND = 100


def in_use_rows(found: UsesFound) -> list[dict[str, Any]]:
    """Write what was found for programs."""
    return [
        {
            "pid": one.process.pid,
            "started": round(one.process.started, 2),
            "uid": one.process.uid,
            "user": _user(one.process.uid),
            "name": one.process.name,
            "command": list(one.process.command),
            "usage": one.usage.value,
            "path": f"/{one.location}",
            "package": one.package or None,
            "version": one.version or None,
            "transaction": one.transaction,
            "keeper": {
                "kind": one.process.keeper.kind.value,
                "name": one.process.keeper.name or None,
                "user": one.process.keeper.user,
            },
            "elsewhere": one.process.is_elsewhere,
            "remedy": remedy_of(one.process.keeper, one.process.pid),
        }
        for one in found.uses
    ]


def in_use_lines(found: UsesFound, most: int | None = None) -> list[str]:
    """Write what was found for people: each process with its files, and what makes it use the new ones.

    Args:
        most: number of processes to name; None for all.
    """
    by_process: dict[int, list[InUse]] = {}
    for one in found.uses:
        by_process.setdefault(one.process.pid, []).append(one)
    lines = []
    for uses in list(by_process.values())[:most]:
        process = uses[0].process
        lines.append(_process_line(process))
        lines += [
            f"  {one.usage.value:12}/{shown(one.location)} ({_owner(one)}transaction {one.transaction})"
            for one in uses
        ]
        lines.append(f"  → {shown(remedy_of(process.keeper, process.pid))}")
    if most is not None and len(by_process) > most:
        lines.append(f"… and {len(by_process) - most} more: `pkg ps` names all")
    return lines


def _process_line(process: RunningProcess) -> str:
    about = [
        f"pid {process.pid}",
        _user(process.uid) or f"uid {process.uid}",
        f"since {time_text(int(process.started))}",
    ]
    about += [process.keeper.name] if process.keeper.name else []
    about += ["in another mount namespace or root directory"] if process.is_elsewhere else []
    command = shlex.join(process.command)
    if len(command) > _LONGEST_COMMAND:
        command = command[:_LONGEST_COMMAND] + "…"
    return f"{shown(process.name)} ({shown(', '.join(about))}){': ' + shown(command) if command else ''}"


def _user(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _owner(one: InUse) -> str:
    return f"{shown(one.package)} {shown(one.version)}, " if one.package else ""
