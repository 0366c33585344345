"""Acts. Get the content of a deleted file back from a process that still has it.

Where a package owns the path, its digest proves the content. For any other file only the name that the kernel shows says
so, and the answer tells: that is not proven.
"""

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from intact.model.entries import Digest
from intact.model.errors import Conflict, IntactError, machine_error
from intact.model.objects import Identity, Kind
from intact.model.paths import PathFault, RelPath
from intact.model.values import dataclass
from intact.operations.asking import owners_of
from intact.operations.root import Root
from intact.system.destinations import obstacle
from intact.system.hostfiles import replace_file
from intact.system.process_content import (
    HeldFile,
    copy_held,
    held_at,
    held_files,
    name_in_proc,
    opened_held,
)

__all__ = ["STANDARD_OUTPUT", "NotRescued", "Rescued", "rescue"]

STANDARD_OUTPUT = Path("-")

_LARGE = 1 << 28  # bytes; what is larger is not read only to be told apart
_Recorded = dict[Digest, tuple[int, str]]


class NotRescued(IntactError):
    """No process has the file, or several have different ones."""


@dataclass(frozen=True, slots=True)
class Rescued:
    """A content that was copied.

    Attributes:
        pid: the process that had it.
        link: where in /proc.
        size: in bytes.
        package: whose digest proves the content; None if nothing proves it.
        differs_from: the package that has another content for this path; None if none has any.
        was_stable: nobody wrote to the file while it was copied.
        growth: by how many bytes it grew meanwhile, which are not in the copy.
    """

    pid: int
    link: str
    size: int
    digest: Digest
    package: str | None
    differs_from: str | None
    was_stable: bool
    growth: int


def rescue(root: Root, name: Path, output: Path, pid: int | None = None) -> Rescued:
    """Copy what a process still has of a file to `output`, which is replaced as a whole or not at all.

    Args:
        name: the file, as a path of the host, whether or not it could be in a package; or what a process has, as
            ``/proc/PID/fd/N``, ``/proc/PID/exe`` or a name in ``/proc/PID/map_files``.
        output: a name; or ``-`` for standard output, where nothing can be taken back.
        pid: take it from this process.

    Raises:
        NotRescued: nobody has it, or there are several; `details` names them. Or the output is no file.
        MachineError: the system refused; `output` is as it was.
    """
    _insist_on_output(output)
    try:
        held = held_at(str(name))
        if held is not None:
            return _copy(held, output, _recorded(root, Path(held.shown)))
        recorded = _recorded(root, name)
        held = _proven(recorded, pid)
        if held is None:
            shown = name_in_proc(name)
            held = _only(_named(shown, pid), shown, output)
            return _copy(held, output, recorded)
        return _copy(held, output, recorded, must_be_proven=True)
    except OSError as error:
        raise machine_error("copy", error, str(name)) from error


def _recorded(root: Root, name: Path) -> _Recorded:
    """Return size and package of each content that packages have for a path."""
    # Only to find who has a path of this name; what a process calls a file is the real name of the root.
    for top in (Path(root.path), Path(name_in_proc(Path(root.path) / "x")).parent):
        inner = str(name).removeprefix(f"{str(top).rstrip('/')}/")
        if inner != str(name):
            try:
                owners = owners_of(root, RelPath.parse(inner))
            except (PathFault, Conflict):  # no package's name, or others could lead us astray on the way
                continue
            return {
                one.digest: (one.size, one.package)
                for one in owners
                if one.kind is Kind.FILE and one.digest is not None
            }
    return {}


def _proven(recorded: _Recorded, pid: int | None) -> HeldFile | None:
    """Find a file whose content is the one that was installed; read to know, whatever it is called."""
    if not recorded:
        return None
    seen = set()
    sizes = {size for size, _ in recorded.values()}
    for file in held_files(sizes=sizes, pids=None if pid is None else {pid}):
        if file.identity in seen:
            continue
        seen.add(file.identity)
        try:
            digest = _digest(file)
        except OSError:  # the process has ended, or we may not look
            continue
        if digest in recorded:
            return file
    return None


def _digest(file: HeldFile) -> Digest:
    with opened_held(file) as source:
        return copy_held(source, len).digest


def _named(shown: str, pid: int | None) -> list[HeldFile]:
    files = held_files(pids=None if pid is None else {pid})
    return [one for one in files if one.shown == shown and one.is_deleted]


def _only(found: Sequence[HeldFile], shown: str, output: Path) -> HeldFile:
    if not found:
        raise NotRescued(
            "no process that may be looked into has a deleted file of this name",
            path=shown,
            root_state="as it was",
            remedy="run it as root; look with `ls -l /proc/*/fd` whether it has another name there",
        )
    if len({one.identity for one in found}) > 1:
        raise NotRescued(
            "several deleted files had this name",
            path=shown,
            details=_candidates(found, output),
            root_state="as it was",
            remedy="choose one of the files above, and type its command",
        )
    return found[0]


def _candidates(found: Iterable[HeldFile], output: Path) -> list[str]:
    """Describe each file once, with the command that rescues it."""
    files: dict[Identity, HeldFile] = {}
    for one in found:
        files.setdefault(one.identity, one)
    return [
        f"process {one.pid}: {one.size} bytes, {_content(one)}:"
        f" pkg rescue {one.link} -o {shlex.quote(str(output))}"
        for one in files.values()
    ]


def _content(file: HeldFile) -> str:
    if file.size > _LARGE:
        return "too large to be read for a digest"
    try:
        return f"sha256 {_digest(file)}"
    except OSError as error:
        return f"not readable ({error.strerror})"


def _mode(source: BinaryIO) -> int:
    """Let nobody read the copy who could not read the file; and no copy gets its set-id bits."""
    status = os.fstat(source.fileno())
    mode = status.st_mode & 0o777
    return mode if os.geteuid() == 0 or status.st_gid in {os.getegid(), *os.getgroups()} else mode & ~0o070


def _give_owner(source: BinaryIO, target: BinaryIO) -> None:
    """Give the copy the file's owner and group, as far as we may; its rights mean the same people then."""
    status = os.fstat(source.fileno())
    if os.geteuid() == 0:
        os.fchown(target.fileno(), status.st_uid, status.st_gid)
    elif status.st_gid in {os.getegid(), *os.getgroups()}:
        os.fchown(target.fileno(), -1, status.st_gid)


def _insist_on_output(output: Path) -> None:
    against = None if output == STANDARD_OUTPUT else obstacle(output)
    if against is not None:
        raise NotRescued(
            f"it is {against}, and only files and links to files are replaced",
            path=str(output),
            root_state="nothing was written",
            remedy="say -o - for standard output, or name a file",
        )


def _copy(file: HeldFile, output: Path, recorded: _Recorded, *, must_be_proven: bool = False) -> Rescued:
    with opened_held(file) as source, _written(output, source) as (write, leave_out):
        copied = copy_held(source, write, leave_out)
        if must_be_proven and copied.digest not in recorded:
            is_out = output == STANDARD_OUTPUT
            raise NotRescued(
                "the file was changed while it was copied",
                path=file.link,
                root_state="what was written is not it" if is_out else "nothing was written",
                remedy="run the same command again",
            )
    _, package = recorded.get(copied.digest, (0, None))
    others = sorted({one for _, one in recorded.values()})
    return Rescued(
        file.pid,
        file.link,
        copied.size,
        copied.digest,
        package,
        ", ".join(others) if others and package is None else None,
        copied.was_stable,
        copied.growth,
    )


@contextmanager
def _written(
    output: Path, source: BinaryIO
) -> Iterator[tuple[Callable[[bytes], object], Callable[[int], object] | None]]:
    """Provide what writes content to the output, and what leaves a hole of so many bytes, where there can be one."""
    if output == STANDARD_OUTPUT:
        out = sys.stdout.buffer
        yield out.write, None
        out.flush()
        return
    with replace_file(output, _mode(source)) as target:
        _give_owner(source, target)
        yield target.write, lambda count: target.seek(count, os.SEEK_CUR)
        target.truncate()  # a hole at the end
