"""Pure. In which words is told what a filesystem does?"""

from collections.abc import Mapping
from enum import Enum

from intact.model.values import dataclass, field

__all__ = ["Mounted", "Outcome", "Question", "Result", "Row", "Strategy", "Way"]


class Result(str, Enum):
    """How an experiment ended."""

    DONE = "done"
    REFUSED = "refused"
    IGNORED = "ignored"  # said to be done, and something else was done
    SAME = "same"  # two names are one
    OLD = "old"  # a process sees what was there before
    NEW = "new"  # … what is there now
    STOPPED = "stopped"  # a process ends early, without an error
    KILLED = "killed"  # … by a signal
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one experiment has shown.

    Attributes:
        errno: name of the errno of a refusal; empty otherwise.
        fact: what else was seen, or why it was not tried; may be empty.
    """

    result: Result
    errno: str = ""
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked by one experiment.

    Attributes:
        topic: the heading that it stands under.
        matters: the installer depends on the answer, or chooses its way by it.
        meanings: what each result that is known means for a person.
        answers: short words for results that have other ones here than elsewhere.
    """

    topic: str
    question: str
    matters: bool
    meanings: Mapping[Result, str]
    answers: Mapping[Result, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One question, its answer, and what that means.

    Attributes:
        key: stable, for programs.
        topic, question, matters: as of the question.
    """

    key: str
    topic: str
    question: str
    outcome: Outcome
    answer: str
    explanation: str
    matters: bool


class Way(str, Enum):
    """How the installer puts a new object in the place of another one, or at a free name."""

    EXCHANGE = "exchange"
    LINK_AND_RENAME = "link-and-rename"
    COPY_AND_RENAME = "copy-and-rename"
    MOVE_ASIDE = "move-aside"
    NOREPLACE = "rename-noreplace"
    LINK_AND_REMOVE = "link-and-remove"
    LOOK_AND_RENAME = "look-and-rename"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Strategy:
    """What the installer will do here.

    Attributes:
        what: the kind of object that is replaced or placed.
        seen: what the trial of it has shown, in a few words.
    """

    what: str
    way: Way
    seen: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mounted:
    """The filesystem that a directory is on, as the kernel lists it; texts are empty where it does not say.

    Attributes:
        options: those of the mount, and those of the filesystem itself.
    """

    kind: str
    mount_point: str
    source: str
    options: tuple[str, ...]
    noexec: bool
    nosuid: bool
    read_only: bool
