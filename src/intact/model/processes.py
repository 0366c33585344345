"""Pure. What do we know of a process that uses a file?"""

from enum import Enum

from intact.model.objects import Identity
from intact.model.values import dataclass, field

__all__ = ["Keeper", "KeeperKind", "RunningProcess", "Usage", "Use"]


class Usage(Enum):
    """In which way a process uses a file; what comes first says most.

    A library is a file that is mapped to be executed, in one of its parts at least.
    """

    EXECUTABLE = "executable"
    LIBRARY = "library"
    MAPPED = "mapped file"
    OPEN = "open file"


@dataclass(frozen=True, slots=True)
class Use:
    """One process that uses one file in one way.

    Attributes:
        link: a name in /proc that leads to the file, as long as the process has it.
    """

    pid: int
    identity: Identity
    usage: Usage
    link: str = field(compare=False)


class KeeperKind(Enum):
    """Who keeps a process running."""

    UNIT = "unit"
    USER_UNIT = "user unit"
    CONTAINER = "container"
    SESSION = "session"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who started a process, and so can start it anew.

    Attributes:
        name: of the unit or container, as systemd or the container engine calls it; empty for nobody.
        user: whose service manager it is, for a user's unit; else None.
    """

    kind: KeeperKind
    name: str = ""
    user: int | None = None


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """One process, as the kernel describes it.

    Attributes:
        started: seconds since 1970.
        uid: the user whose rights it has (effective).
        name: what the kernel calls it (comm, at most 15 bytes); a process can choose it.
        command: its arguments, as it has them now; empty if they could not be read in time.
        is_elsewhere: it has a view of the mounts, or a root directory, that is not ours.
    """

    pid: int
    started: float
    uid: int
    name: str
    command: tuple[str, ...]
    keeper: Keeper
    is_elsewhere: bool
