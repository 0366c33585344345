"""Acts. Get the content of a deleted file back from a process that still has it.

Where a package owns the path, its digest proves the content. For any other file only the name that the kernel shows says
so, and the answer tells: that is not proven.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from intact.model.entries import Digest
from intact.model.errors import IntactError, machine_error
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.operations.asking import owners_of
from intact.operations.root import Root
from intact.system.destinations import obstacle
from intact.system.hostfiles import replace_file
from intact.system.process_content import HeldFile, copy_held, held_files, name_in_proc, opened_held

__all__ = ["STANDARD_OUTPUT", "NotRescued", "Rescued", "rescue"]

STANDARD_OUTPUT = Path("-")


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
        was_stable: nobody wrote to the file while it was copied.
    """

    pid: int
    link: str
    size: int
    digest: Digest
    package: str | None
    was_stable: bool


def rescue(root: Root, path: RelPath, output: Path, pid: int | None = None) -> Rescued:
    """Copy what a process still has of a file to `output`, which is replaced as a whole or not at all.

    Args:
        path: the file, as a path of the root.
        output: a name; or ``-`` for standard output, where nothing can be taken back.
        pid: take it from this process.

    Raises:
        NotRescued: nobody has it, or there are several; `details` names them. Or the output is no file.
        MachineError: the system refused; `output` is as it was.
    """
    _insist_on_output(output)
    try:
        shown = name_in_proc(Path(root.path) / path)
        recorded = {
            one.digest: (one.size, one.package)
            for one in owners_of(root, path)
            if one.kind is Kind.FILE and one.digest is not None
        }
        proven = _proven(recorded, pid)
        if proven is not None:
            file, digest = proven
            return _copy(file, output, digest, recorded[digest][1])
        return _copy(_only(_named(shown, pid), shown), output, None, None)
    except OSError as error:
        raise machine_error("copy", error, f"/{path}") from error


def _proven(recorded: "dict[Digest, tuple[int, str]]", pid: int | None) -> tuple[HeldFile, Digest] | None:
    """Find a file whose content is the one that was installed; read to know, whatever it is called."""
    if not recorded:
        return None
    seen = set()
    for file in held_files(
        sizes={size for size, _ in recorded.values()}, pids=None if pid is None else {pid}
    ):
        if file.identity in seen:
            continue
        seen.add(file.identity)
        try:
            with opened_held(file) as source:
                digest, _ = copy_held(source, len)
        except OSError:  # the process has ended, or we may not look
            continue
        if digest in recorded:
            return file, digest
    return None


def _named(shown: str, pid: int | None) -> list[HeldFile]:
    files = held_files(pids=None if pid is None else {pid})
    return [one for one in files if one.shown == shown and one.is_deleted]


def _only(found: Sequence[HeldFile], shown: str) -> HeldFile:
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
            details=[f"process {one.pid}: {one.size} bytes ({one.link})" for one in found],
            root_state="as it was",
            remedy="name the process with --pid",
        )
    return found[0]


def _mode(source: BinaryIO) -> int:
    """Let nobody read the copy who could not read the file; and no copy gets its set-id bits."""
    return os.fstat(source.fileno()).st_mode & 0o777


def _insist_on_output(output: Path) -> None:
    against = None if output == STANDARD_OUTPUT else obstacle(output)
    if against is not None:
        raise NotRescued(
            f"it is {against}, and only files and links to files are replaced",
            path=str(output),
            root_state="nothing was written",
            remedy="say -o - for standard output, or name a file",
        )


def _copy(file: HeldFile, output: Path, wanted: Digest | None, package: str | None) -> Rescued:
    with opened_held(file) as source, _written(output, _mode(source)) as target:
        digest, was_stable = copy_held(source, target.write)
        if wanted is not None and digest != wanted:
            is_out = output == STANDARD_OUTPUT
            raise NotRescued(
                "the file was changed while it was copied",
                path=file.link,
                root_state="what was written is not it" if is_out else "nothing was written",
                remedy="run the same command again",
            )
    return Rescued(file.pid, file.link, file.size, digest, package, was_stable)


@contextmanager
def _written(output: Path, mode: int) -> Iterator[BinaryIO]:
    if output != STANDARD_OUTPUT:
        with replace_file(output, mode) as file:
            yield file
        return
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
