"""Acts. What does this filesystem do, as a table and as JSON?"""

import textwrap
from typing import Any

import click

from intact.cli.session import Session
from intact.cli.words import shown
from intact.model.probes import Mounted, Row, Strategy
from intact.operations.probing import Probed, probe

__all__ = ["COMMANDS"]

_WIDTH = 96


@click.command("probe")
@click.argument("directory", metavar="[DIR]", default=".")
@click.pass_obj
def _probe(session: Session, directory: str) -> int:
    """Try what this kernel and the filesystem of DIR (.) really do, and say how files are replaced there.

    Everything is tried in a scratch directory in DIR, which is removed again. DIR is a path of this machine; --root
    has no effect on it.
    """
    found = probe(directory)
    session.screen.result(_document(found), _lines(found))
    return 0


def _document(found: Probed) -> dict[str, Any]:
    return {
        "directory": found.directory,
        "kernel": found.kernel,
        "filesystem": _mounted_document(found.mounted),
        "rows": [_row_document(one) for one in found.rows],
        "strategy": [_strategy_document(one) for one in found.strategies],
        "notes": list(found.notes),
    }


def _mounted_document(mounted: Mounted) -> dict[str, Any]:
    return {
        "type": mounted.kind,
        "mount_point": mounted.mount_point,
        "source": mounted.source,
        "options": list(mounted.options),
        "noexec": mounted.noexec,
        "nosuid": mounted.nosuid,
    }


def _row_document(row: Row) -> dict[str, Any]:
    return {
        "key": row.key,
        "topic": row.topic,
        "question": row.question,
        "result": row.outcome.result.value,
        "errno": row.outcome.errno or None,
        "fact": row.outcome.fact or None,
        "answer": row.answer,
        "explanation": row.explanation,
        "matters": row.matters,
    }


def _strategy_document(strategy: Strategy) -> dict[str, Any]:
    return {
        "what": strategy.what,
        "way": strategy.way.value,
        "errno": strategy.seen or None,
        "reason": strategy.reason,
    }


def _lines(found: Probed) -> list[str]:
    mounted = found.mounted
    place = f", mounted at {shown(mounted.mount_point)}" if mounted.mount_point else ""
    lines = [f"{shown(found.directory)}: {shown(mounted.kind or 'a filesystem')} on {found.kernel}{place}"]
    lines.append("* the installer depends on it, or chooses its way by it")
    topic = ""
    for row in found.rows:
        if row.topic != topic:
            topic = row.topic
            lines += ["", topic]
        mark = "*" if row.matters else " "
        lines.append(f"{mark} {row.question:66} {shown(row.answer)}")
        lines += _indented(row.explanation)
    lines += ["", "How the installer replaces here"]
    for one in found.strategies:
        failure = f" ({one.seen})" if one.seen else ""
        lines.append(f"  {one.what + ':':66} {one.way.value}{failure}")
        lines += _indented(one.reason)
    if found.notes:
        lines += ["", "Notes"]
        for note in found.notes:
            lines += _indented(note)
    return lines


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="      ", subsequent_indent="      ")


COMMANDS = {"probe": _probe}
