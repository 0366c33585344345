"""Acts. What does the kernel say of a process: since when, whose, started by whom?

The name and the arguments are words of the process itself, which may lie. Arguments are in the memory of the process,
and reading them may wait for it as long as it likes (userfaultfd, a FUSE file behind it), so a thread that we can
leave behind reads them.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

from intact.model.objects import Identity
from intact.model.processes import Keeper, RunningProcess
from intact.system.processes import entry_of
from intact.system.syscalls import cached_identity

__all__ = [
    "boot_identity",
    "control_groups",
    "describe",
    "sees_all_processes",
    "start_ticks",
    "with_commands",
]

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO, include/linux/proc_ns.h
_STARTED = 19  # field 22 of proc_pid_stat(5), counted from the one behind the name
_LONGEST = 4096


def boot_identity() -> str:
    """Name this boot of the machine (random(4)); empty where it has no name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; with the pid it names one process.

    Raises:
        OSError: it has ended.
    """
    return int(_stat_fields(pid)[1][_STARTED])


def _stat_fields(pid: int) -> tuple[str, list[bytes]]:
    text = Path(f"/proc/{pid}/stat").read_bytes()
    # The name is in parentheses, and may hold some itself.
    name, rest = text[text.index(b"(") + 1 : text.rindex(b")")], text[text.rindex(b")") + 2 :]
    return os.fsdecode(name), rest.split()


def control_groups(pid: int) -> str:
    """Return the text of ``/proc/PID/cgroup``; raises OSError."""
    return os.fsdecode(Path(f"/proc/{pid}/cgroup").read_bytes())


def describe(pid: int, keeper: Keeper) -> RunningProcess:
    """Describe a process, its arguments left out.

    Raises:
        OSError: it has ended.
    """
    name, fields = _stat_fields(pid)
    return RunningProcess(
        pid=pid,
        started=_boot_time() + int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK"),
        uid=_effective_uid(pid),
        name=name,
        command=(),
        keeper=keeper,
        is_elsewhere=_is_elsewhere(pid),
    )


def _boot_time() -> int:
    for line in Path("/proc/stat").read_bytes().split(b"\n"):
        if line.startswith(b"btime "):
            return int(line.split()[1])
    return 0


def _effective_uid(pid: int) -> int:
    # The owner of /proc/PID is root for a process that may not be dumped, proc_pid(5).
    for line in Path(f"/proc/{pid}/status").read_bytes().split(b"\n"):
        if line.startswith(b"Uid:"):
            return int(line.split()[2])
    raise ProcessLookupError(pid)


def _is_elsewhere(pid: int) -> bool:
    def seen(which: "int | str") -> tuple[str, Identity]:
        return os.readlink(f"/proc/{which}/ns/mnt"), cached_identity(f"/proc/{which}/root")

    try:
        return seen(entry_of(pid)) != seen("self")
    except PermissionError:
        return False


def with_commands(pids: list[int], seconds: float) -> dict[int, tuple[str, ...]]:
    """Read the arguments of processes, as far as they can be had within `seconds` in all."""
    found: dict[int, tuple[str, ...]] = {}

    def read() -> None:
        for pid in pids:
            with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
                words = (file.read(_LONGEST) or b"").rstrip(b"\0").split(b"\0")
                found[pid] = tuple(map(os.fsdecode, words)) if words != [b""] else ()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(seconds)
    return dict(found)


def sees_all_processes() -> str | None:
    """Say why there may be processes that /proc does not show us; None if it shows all."""
    with suppress(OSError):
        if os.stat("/proc/self/ns/pid").st_ino != _INITIAL_PID_NAMESPACE:
            return "only the processes of this container (PID namespace) can be seen from here"
    if os.geteuid() != 0:
        with suppress(OSError):
            for line in Path("/proc/self/mountinfo").read_bytes().split(b"\n"):
                fields = line.split()
                if (
                    len(fields) > 4
                    and fields[4] == b"/proc"
                    and b"hidepid=" in line
                    and b"hidepid=0" not in line
                ):
                    return "/proc shows this user nothing of other users' processes (hidepid)"
    return None
