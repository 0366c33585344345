"""Acts. Other processes look at the same paths without a pause, while `pkg` upgrades and rolls back.

Each observer opens, reads, maps, executes, stats and lists. Whatever it reads has to be one whole version, and a
name that exists in both versions must never be missing.
"""

import ctypes
import errno
import mmap
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from proof.stage import Stage
from proof.supervise import run_pkg
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop

__all__ = ["observe"]

_PROGRAM = "usr/bin/program"
_MOST_REPORTED = 5
_LISTING = "left out of a listing"
_PR_SET_PDEATHSIG = 1


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _map(path: Path) -> bytes:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        before = bytes(mapped)
        after = bytes(mapped)  # an inode that is written to would differ, or kill us with SIGBUS
    return before if before == after else b"torn"


def _stat(path: Path) -> bytes:
    size = path.stat().st_size
    return b"?" * size


def _observe_files(root: Path, contents: dict[str, set[bytes]], look: Callable[[Path], bytes]) -> list[str]:
    wrong = []
    for name, allowed in contents.items():
        try:
            seen = look(root / name)
        except OSError as error:
            wrong.append(f"{name}: {errno.errorcode.get(error.errno or 0)}")
            continue
        sizes = {len(one) for one in allowed}
        if (look is _stat and len(seen) not in sizes) or (look is not _stat and seen not in allowed):
            wrong.append(f"{name}: neither old nor new: {seen[:40]!r}")
    return wrong


def _observe_lists(root: Path, contents: dict[str, set[bytes]]) -> list[str]:
    """Look whether every name that both versions have is in the listing of its directory.

    POSIX leaves open whether readdir sees a name that is exchanged while the listing is read (and btrfs at times
    does not), so this is counted and told, but it is no violation as long as the name can be opened.
    """
    wrong = []
    for name in contents:
        path = root / name
        if path.name not in os.listdir(path.parent):  # noqa: PTH208  the plain system call is what is observed
            wrong.append(_LISTING if path.exists() else f"{name}: gone")
    return wrong


def _observe_program(root: Path) -> list[str]:
    done = subprocess.run([str(root / _PROGRAM)], capture_output=True, check=False)
    if done.returncode != 0 or done.stdout not in {b"one\n", b"two\n"}:
        return [f"{_PROGRAM}: ended with {done.returncode}, said {done.stdout!r} {done.stderr!r}"]
    return []


def _observer(looking: Callable[[], list[str]], report: int) -> int:
    """Fork a process that looks until it is told to stop; it writes what was wrong, then how often it looked."""
    child = os.fork()
    if child:
        return child
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        stop = False

        def end(_number: int, _frame: object) -> None:
            nonlocal stop
            stop = True

        signal.signal(signal.SIGTERM, end)
        looks = reported = left_out = 0
        while not stop:
            looks += 1
            for line in looking():
                if line == _LISTING:
                    left_out += 1
                elif reported < _MOST_REPORTED:
                    os.write(report, f"! {line}\n".encode())
                reported += 1
        os.write(report, f"{looks} {left_out}\n".encode())
    finally:
        os._exit(0)


def observe(scene: Scene, stage: Stage, state: str) -> Verdict:
    """Upgrade and roll back, ten times each, under observation."""
    workshop = stage.copy("observed")
    contents = _contents(stage)
    reading, writing = os.pipe()
    root = workshop.path
    looks: list[Callable[[], list[str]]] = [
        lambda: _observe_files(root, contents, _read),
        lambda: _observe_files(root, contents, _map),
        lambda: _observe_files(root, contents, _stat),
        lambda: _observe_lists(root, contents),
        lambda: _observe_program(root),
    ]
    observers = [_observer(one, writing) for one in looks]
    os.close(writing)
    found = _upgrade_and_roll_back(stage, workshop)
    for child in observers:
        os.kill(child, signal.SIGTERM)
    with os.fdopen(reading, "rb") as report:
        lines = report.read().decode().splitlines()
    for child in observers:
        os.waitpid(child, 0)
    counts = [tuple(map(int, line.split())) for line in lines if not line.startswith("!")]
    found += [line[2:] for line in lines if line.startswith("!")]
    outcomes = Counter(
        {"looks": sum(one for one, _ in counts), "left out of a listing": sum(one for _, one in counts)}
    )
    return Verdict(scene, state, 1, outcomes, tuple(found))


def _contents(stage: Stage) -> dict[str, set[bytes]]:
    """Return what each file that is in both versions may hold."""
    old, new = stage.expected.old.tree, stage.expected.new.tree
    both = [name for name in old if old[name][0] == "file" and name in new and new[name][0] == "file"]
    return {name: {_content(old, name), _content(new, name)} for name in both}


def _content(tree: dict[str, tuple[object, ...]], name: str) -> bytes:
    content = tree[name][4]
    if not isinstance(content, bytes):
        raise TypeError(name)
    return content


def _upgrade_and_roll_back(stage: Stage, workshop: Workshop) -> list[str]:
    found = []
    for _ in range(10):
        for words in (stage.command(workshop), ["--root", str(workshop.path), "--quiet", "rollback"]):
            ended = run_pkg(words, stage.place)
            if ended.code != 0:
                found.append(f"`pkg {' '.join(words)}` ended with {ended.code}: {ended.said.strip()}")
    return found
