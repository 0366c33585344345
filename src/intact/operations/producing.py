"""Acts. A command makes files under scratch names; they get their own names only if it succeeds.

For compilers, linkers and generators: make never meets half an object file, and a program can be compiled over its
own running binary.
"""

import errno
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from intact.model.access_lists import ACCESS_LIST, listed_mode
from intact.model.errors import IntactError, MachineError, UsageError
from intact.model.values import dataclass
from intact.system.children import Surroundings, run_in_our_place
from intact.system.destinations import default_list, followed, look_at, name_identity, obstacle
from intact.system.placing import Batch, Look, Placement, make_durable, same_content, scratch_name

__all__ = [
    "CommandFailed",
    "CommandNotFound",
    "CommandNotStarted",
    "NotProduced",
    "Produced",
    "produce",
    "with_names",
]

_PLACE = re.compile(r"\{([1-9][0-9]*)?\}")


_SPECIAL = 0o7000
_UNCHOSEN = 0o666  # what open(2) of a program that does not care asks for


class NotProduced(IntactError):
    """An output cannot be placed, or the command succeeded and did not make it."""


class CommandNotStarted(IntactError):
    """The command is there, and cannot be executed."""

    exit_code = 126


class CommandNotFound(IntactError):
    """There is no such command."""

    exit_code = 127


class CommandFailed(IntactError):
    """The command has failed; its exit code is ours."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the command ended with {code}", root_state="the old outputs are as they were")
        self.exit_code = code


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
        CommandNotFound: there is none; or CommandNotStarted.
        MachineError: the system refused to place an output; `details` has what was placed.
        KeyboardInterrupt: a signal came, and the command was not running; its text says what was placed.
    """
    targets = _targets(outputs, follow=follow)
    placements = [Placement(scratch_name(one), one) for one in targets]
    words = with_names(command, [str(one.scratch) for one in placements])
    batch = Batch(placements)

    def act() -> Produced:
        code = _run(words, surroundings)
        if code:
            return Produced(code)
        _insist_on_outputs(placements)
        for one in placements:
            make_durable(one, _look(one, surroundings.umask))
        chosen = [one for one in placements if not (if_changed and same_content(one.scratch, one.target))]
        batch.put(chosen)
        return Produced(0, tuple(one.target for one in chosen))

    return batch.tidily(act)


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
    if len({name_identity(one) for one in targets}) != len(targets):
        raise UsageError("an output is named twice", remedy="name each output once")
    return targets


def _run(words: Sequence[str], surroundings: Surroundings) -> int:
    try:
        return run_in_our_place(words, surroundings)
    except MachineError as error:
        kind = CommandNotFound if error.errno in {errno.ENOENT, errno.ENOTDIR} else CommandNotStarted
        raise kind(
            error.message,
            path=error.path,
            root_state="the old outputs are as they were",
            remedy="look whether the command is spelled right, and can be executed (ls -l)",
        ) from error


def _insist_on_outputs(placements: Sequence[Placement]) -> None:
    missing = [str(one.target) for one in placements if look_at(one.scratch) is None]
    if missing:
        raise NotProduced(
            "the command ended with 0, but did not make every output",
            details=missing,
            root_state="the old outputs are as they were",
            remedy="look at where the command writes: it has to be the name in the place of {}",
        )


def _look(placement: Placement, umask: int) -> Look | None:
    """Decide what an output takes from the old file, as if the command had written into that.

    Owner and group, as far as we may set them. Mode, access list and the attributes of people, unless the command has
    chosen a mode: a compiler makes programs executable, a generator just opens its output. No set-id bits and
    capabilities: those were given to the old content.
    """
    made, old = look_at(placement.scratch), look_at(placement.target)
    if made is None or old is None or not stat.S_ISREG(old[0].st_mode):
        return None
    mode, xattrs, is_chosen = stat.S_IMODE(made[0].st_mode), dict(made[1]), True
    if mode == _unchosen_mode(placement.target.parent, umask):
        mode, is_chosen = stat.S_IMODE(old[0].st_mode) & ~_SPECIAL, False
        kept = {name: value for name, value in old[1] if name.startswith(("user.", ACCESS_LIST))}
        xattrs.pop(ACCESS_LIST, None)
        xattrs = {**kept, **xattrs}
    return Look(
        mode,
        old[0].st_uid,
        old[0].st_gid,
        tuple(xattrs.items()),
        keeps_list=is_chosen,
        insists_on_owner=False,
        insists_on_group=False,
    )


def _unchosen_mode(directory: Path, umask: int) -> int:
    """Return what a new file gets there: the default access list of a directory counts in the place of the umask."""
    inherited = default_list(directory)
    return _UNCHOSEN & ~umask if inherited is None else _UNCHOSEN & listed_mode(inherited)
