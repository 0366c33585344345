"""Pure. Which commands may a package run on the machine, and when?

    before    a check, before anything in the root changes; the package's own programs run from the staging tree
    after     an action, when everything is in place and durable, but not yet committed
    undo      what takes an action back, when the package is gone again: after a failed installation, a rollback
              of it, or a removal
    health    the check that the user demands with --health-check, after everything else

Whichever fails, the transaction is rolled back. After that the actions of the versions that are back are run, so
that what was restarted with new files is restarted with the old ones.
"""

from enum import Enum

from intact.model.paths import ROOT, RelPath
from intact.model.values import dataclass

__all__ = [
    "DEFAULT_SECONDS",
    "MOST_HOOKS",
    "MOST_SECONDS",
    "NO_COMMANDS",
    "Commands",
    "Hook",
    "HookCommand",
    "Moment",
    "insist_on_command",
]

DEFAULT_SECONDS = 60
MOST_SECONDS = 3600
MOST_HOOKS = 32
_MOST_WORDS = 64
_LONGEST_WORD = 4096


class Moment(str, Enum):
    """When a command is run."""

    BEFORE = "before"
    AFTER = "after"
    UNDO = "undo"
    HEALTH = "health"


def insist_on_command(words: tuple[str, ...]) -> None:
    """Make sure that these words can be run.

    Raises:
        ValueError: says why not.
    """
    if not words:
        raise ValueError("must name a program")
    if len(words) > _MOST_WORDS:
        raise ValueError(f"has more than {_MOST_WORDS} words")
    if not words[0].startswith("/"):
        raise ValueError(f"must begin with the absolute path of a program, not {words[0]!r}")
    RelPath.parse(words[0][1:])
    if any("\0" in word or len(word.encode(errors="surrogateescape")) > _LONGEST_WORD for word in words):
        raise ValueError(f"has a word with a NUL, or one longer than {_LONGEST_WORD} bytes")


@dataclass(frozen=True, slots=True)
class Hook:
    """What a manifest says.

    Attributes:
        when: BEFORE or AFTER.
        command: program (an absolute path in the root) and arguments; never a shell's text.
        undo: as `command`; empty if nothing has to be taken back. Only AFTER has one.
        seconds: after which each of the two is ended.
    """

    when: Moment
    command: tuple[str, ...]
    undo: tuple[str, ...] = ()
    seconds: int = DEFAULT_SECONDS

    def __post_init__(self) -> None:
        """Hold it against the rules, wherever it was read from; raises ValueError."""
        insist_on_command(self.command)
        if self.undo:
            insist_on_command(self.undo)
        if self.when not in {Moment.BEFORE, Moment.AFTER}:
            raise ValueError(f"a hook is run before or after, not {self.when.value}")
        if self.undo and self.when is Moment.BEFORE:
            raise ValueError("a check changes nothing, so there is nothing to undo")
        if not 1 <= self.seconds <= MOST_SECONDS:
            raise ValueError(f"may take 1 to {MOST_SECONDS} seconds")


@dataclass(frozen=True, slots=True)
class HookCommand:
    """One command that a transaction runs.

    Attributes:
        package: whose; empty for a health check.
        version: that the package had or has with this hook.
        program: where the program lies, if it waits in the staging tree or has gone to the backups; ROOT if it
            is where the command says.
    """

    moment: Moment
    package: str
    version: str
    command: tuple[str, ...]
    seconds: int
    program: RelPath = ROOT

    def __post_init__(self) -> None:
        """Hold it against the rules; raises ValueError."""
        insist_on_command(self.command)


@dataclass(frozen=True, slots=True)
class Commands:
    """All commands of a transaction, in their order.

    Attributes:
        before: before anything in the root changes.
        after: when everything is in place; the last thing before the commit point.
        back: if the transaction was rolled back after some of `after` had begun.
    """

    before: tuple[HookCommand, ...] = ()
    after: tuple[HookCommand, ...] = ()
    back: tuple[HookCommand, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.back)


NO_COMMANDS = Commands()
