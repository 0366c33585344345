"""Acts. A command makes files under scratch names; they get their own names only if it succeeds.

For compilers, linkers and generators: make never meets half an object file, and a program can be compiled over its
own running binary.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from intact.model.errors import IntactError, MachineError, UsageError
from intact.system.children import Surroundings, run_in_our_place
from intact.system.destinations import followed, look_at, obstacle
from intact.system.placing import (
    Placement,
    make_durable,
    put,
    same_content,
    scratch_name,
    sync_names,
)

__all__ = ["NotProduced", "Produced", "produce", "with_names"]

_PLACE = re.compile(r"\{([1-9][0-9]*)?\}")


class NotProduced(IntactError):
    """An output cannot be placed, or the command succeeded and did not make it."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What a command made.

    Attributes:
        code: its exit code; nothing was placed unless it is 0.
        changed: the outputs that were placed.
    """

    code: int
    changed: tuple[Path, ...] = ()


def with_names(command: Sequence[str], names: Sequence[str]) -> list[str]:
    """Put names in the places of ``{}`` (where there is one name), ``{1}``, ``{2}`` and so on.

    Raises:
        UsageError: a name has no place, or a place has no name.
    """
    used: set[int] = set()

    def name(found: re.Match[str]) -> str:
        number = int(found[1] or 1)
        if (found[1] is None and len(names) > 1) or number > len(names):
            raise UsageError(
                f"{found[0]} in the command stands for no output",
                remedy=f"write {{1}} to {{{len(names)}}} for the outputs, in their order",
            )
        used.add(number)
        return names[number - 1]

    words = [_PLACE.sub(name, word) for word in command]
    missing = [str(number) for number in range(1, len(names) + 1) if number not in used]
    if missing:
        places = "{}" if len(names) == 1 else ", ".join(f"{{{one}}}" for one in missing)
        raise UsageError(
            f"the command does not say where its output goes: {places} is missing",
            remedy="for example: pkg produce main.o -- cc -c main.c -o {}",
        )
    return words


def produce(
    outputs: Sequence[str],
    command: Sequence[str],
    surroundings: Surroundings,
    *,
    if_changed: bool = False,
    follow: bool = False,
) -> Produced:
    """Run a command that makes files, then place all of them.

    Args:
        surroundings: what the command inherits.
        if_changed: leave an output alone, with its time, if the command made the same content again.
        follow: where an output is a symbolic link, replace what it names.

    Raises:
        UsageError: outputs and command do not fit together.
        NotProduced: an output is no file, and the command was not run; or it ended with 0 and did not make every output.
        MachineError: it could not be started, or the system refused to place an output; `details` has what was placed.
    """
    targets = _targets(outputs, follow=follow)
    placements = [Placement(scratch_name(one), one) for one in targets]
    words = with_names(command, [str(one.scratch) for one in placements])
    try:
        code = run_in_our_place(words, surroundings)
        if code:
            return Produced(code)
        _insist_on_outputs(placements)
        for one in placements:
            make_durable(one.scratch)
        chosen = [one for one in placements if not (if_changed and same_content(one.scratch, one.target))]
        _put_all(chosen)
        return Produced(0, tuple(one.target for one in chosen))
    finally:
        for one in placements:
            one.drop()


def _targets(outputs: Sequence[str], *, follow: bool) -> list[Path]:
    """Look at the outputs before anything runs."""
    if "" in outputs:
        raise UsageError("a file cannot have an empty name", remedy="look whether a variable is not set")
    for one in map(Path, outputs):
        against = obstacle(one)
        if against is not None:
            raise NotProduced(
                f"it is {against}, and only files and links to files are replaced",
                path=str(one),
                root_state="the command was not run",
                remedy="name a file; what writes to a device or a pipe can do so without pkg produce",
            )
    targets = [followed(Path(one)) if follow else Path(one) for one in outputs]
    if len(set(targets)) != len(targets):
        raise UsageError("an output is named twice", remedy="name each output once")
    return targets


def _insist_on_outputs(placements: Sequence[Placement]) -> None:
    missing = [str(one.target) for one in placements if look_at(one.scratch) is None]
    if missing:
        raise NotProduced(
            "the command ended with 0, but did not make every output",
            details=missing,
            root_state="the old outputs are as they were",
            remedy="look at where the command writes: it has to be the name in the place of {}",
        )


def _put_all(placements: Sequence[Placement]) -> None:
    placed: list[Path] = []
    try:
        for one in placements:
            put(one)
            placed.append(one.target)
        sync_names(placed)
    except MachineError as error:
        error.details = (*error.details, *(f"{one}: was placed" for one in placed))
        error.root_state = "each output is a whole old or a whole new one"
        raise
