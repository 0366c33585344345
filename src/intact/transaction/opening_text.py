"""Pure. How is written what a transaction was meant to do, and read back without believing it?"""

import json

from intact.model.paths import ROOT, RelPath
from intact.model.values import dataclass

__all__ = ["Opening", "opening_text", "parse_opening"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a transaction was meant to do.

    Attributes:
        kind: ``install``, ``remove`` or ``rollback``.
        command: what was typed, for people.
        started: seconds since 1970.
        mounts: mount points on which something may be staged.
        undoes: transactions that this one rolls back.
    """

    kind: str
    command: str
    started: int
    mounts: tuple[RelPath, ...]
    undoes: tuple[int, ...] = ()


def opening_text(opening: Opening) -> bytes:
    """Write an opening as JSON."""
    value = {
        "kind": opening.kind,
        "command": opening.command,
        "started": opening.started,
        "mounts": opening.mounts,
        "undoes": opening.undoes,
    }
    return json.dumps(value).encode()


def parse_opening(text: bytes) -> Opening:
    """Read an opening.

    Raises:
        ValueError: the text is none; says why.
    """
    try:
        value = json.loads(text)
        return Opening(
            kind=str(value["kind"]),
            command=str(value["command"]),
            started=int(value["started"]),
            mounts=tuple(RelPath.parse(one) if one else ROOT for one in value["mounts"]),
            undoes=tuple(map(int, value["undoes"])),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error
