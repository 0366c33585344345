"""Under a trace of system calls: no existing file is opened for writing, and what gets a name is complete and durable."""

import json
import os
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proof.listener import Call, is_possible
from proof.supervise import CONTINUE, KILL, load_all, supervised
from support.command_line import PKG
from support.scenarios import FIRST, SECOND
from support.workshop import Workshop

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not is_possible(), reason="needs root and seccomp's user notification"
)

_WRITING = frozenset(
    {"write", "writev", "pwrite64", "ftruncate", "fchmod", "fchown", "fsetxattr", "fallocate"}
)
_INTO = {"sendfile": 0, "copy_file_range": 2}  # which argument is written to
# Ours alone: nobody executes or maps what lies there, and its files have their own rules (docs/reference/state.md).
_OWN = ("var/lib/intact/private", ".intact")


@dataclass
class Trace:
    """What a command does to the files of a root."""

    root: Path
    opened: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    unsynced: dict[tuple[int, int], str] = field(default_factory=dict)

    def __call__(self, _number: int, call: Call) -> int:
        """Look at a call before it happens."""
        with suppress(FileNotFoundError, ProcessLookupError):
            self._look(call)
        return CONTINUE

    def _look(self, call: Call) -> None:
        a = call.arguments
        if call.name == "openat":
            self._open(self._path(call, a[0], a[1]), a[2])
        elif call.name in {"open", "creat", "truncate"}:
            self._open(self._path(call, -100, a[0]), os.O_WRONLY)
        elif call.name in _WRITING or call.name in _INTO:
            status = Path(f"/proc/{call.pid}/fd/{_signed(a[_INTO.get(call.name, 0)])}").stat()
            if stat.S_ISREG(status.st_mode):
                self.unsynced[status.st_dev, status.st_ino] = call.name
        elif call.name in {"fsync", "fdatasync"}:
            status = Path(f"/proc/{call.pid}/fd/{a[0]}").stat()
            self.unsynced.pop((status.st_dev, status.st_ino), None)
        elif call.name == "syncfs":
            device = Path(f"/proc/{call.pid}/fd/{a[0]}").stat().st_dev
            self.unsynced = {one: name for one, name in self.unsynced.items() if one[0] != device}
        elif call.name in {"renameat", "renameat2", "linkat"}:
            self._name(self._path(call, a[0], a[1]), self._path(call, a[2], a[3]))
        elif call.name in {"rename", "link"}:
            self._name(self._path(call, -100, a[0]), self._path(call, -100, a[1]))

    def _open(self, path: Path, flags: int) -> None:
        is_writing = flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC
        if is_writing and self._is_live(path) and path.is_file() and not path.is_symlink():
            self.opened.append(f"{path} with {flags:#o}")

    def _name(self, source: Path, destination: Path) -> None:
        if not self._is_live(destination):
            return
        self.named.append(str(destination))
        inside = [source, *source.rglob("*")] if source.is_dir() and not source.is_symlink() else [source]
        for path in inside:
            status = path.lstat()
            if (status.st_dev, status.st_ino) in self.unsynced:
                self.early.append(
                    f"{destination} ({path.name}: {self.unsynced[status.st_dev, status.st_ino]})"
                )

    def _is_live(self, path: Path) -> bool:
        with suppress(ValueError):
            inner = str(path.relative_to(self.root))
            return not any(inner == one or inner.startswith(f"{one}/") for one in _OWN)
        return False

    def _path(self, call: Call, directory: int, address: int) -> Path:
        with Path(f"/proc/{call.pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            text = os.fsdecode((memory.read(4096) or b"").partition(b"\0")[0])
        number = _signed(directory)
        above = "cwd" if number == -100 else f"fd/{number}"
        return Path(os.path.join(os.readlink(f"/proc/{call.pid}/{above}"), text))  # noqa: PTH115, PTH118


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value & (1 << 31) else value


def _install(name: str) -> Callable[[Workshop], list[str]]:
    def words(workshop: Workshop) -> list[str]:
        return ["install", "--allow-unsigned", str(workshop.bundle({"first": FIRST, "second": SECOND}[name]))]

    return words


def _damage(workshop: Workshop) -> list[str]:
    (workshop.path / "usr/lib/libtool.so.1").unlink()
    (workshop.path / "usr/share/tool/same").write_text("damaged")
    return ["repair", "--allow-unsigned", "--from", str(workshop.bundle(SECOND))]


def _place(workshop: Workshop) -> list[str]:
    source = workshop.place / "source"
    source.write_text("placed")
    return ["place", "--backup", str(source), str(workshop.path / "usr/bin/tool")]


def _produce(workshop: Workshop) -> list[str]:
    return ["produce", str(workshop.path / "usr/bin/tool"), "--", "cp", "/bin/true", "{}"]


def _key(workshop: Workshop) -> Path:
    place = workshop.path / "srv/keys"
    place.mkdir(parents=True, exist_ok=True)
    return place / "key"


def _revoke(workshop: Workshop) -> list[str]:
    words: list[str | Path] = [PKG, "--root", workshop.path, "--json", "key", "list"]
    (key,) = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["keys"]
    return ["key", "revoke", key["fingerprint"]]


def _build(workshop: Workshop) -> list[str]:
    source = workshop.path / "srv/source"
    (source / "tree").mkdir(parents=True)
    (source / "tree/file").write_text("built")
    (source / "made.toml").write_text(
        'format = 1\n[package]\nname = "made"\nversion = "1"\narchitecture = "all"\n'
        '[[tree]]\nsource = "tree"\npath = "opt/made"\n'
    )
    bundle = workshop.path / "srv/made.tar.zst"
    bundle.write_text("an older one")
    return ["build", str(source / "made.toml"), "-o", str(bundle)]


def _sign(workshop: Workshop) -> list[str]:
    return ["sign", str(workshop.path / "srv/made.tar.zst"), "--key", str(_key(workshop))]


def _rescue(workshop: Workshop) -> list[str]:
    lost, saved = (_key(workshop).with_name(name) for name in ("lost", "saved"))
    lost.write_text("what a process still has")
    saved.write_text("an older one")
    held = os.open(lost, os.O_RDONLY | os.O_CLOEXEC)
    lost.unlink()
    return ["rescue", f"/proc/{os.getpid()}/fd/{held}", "-o", str(saved)]


LIFE: list[tuple[str, Callable[[Workshop], list[str]]]] = [
    ("install", _install("first")),
    ("upgrade", _install("second")),
    ("verify", lambda _: ["verify"]),
    ("repair", _damage),
    ("place", _place),
    ("produce", _produce),
    ("rollback", lambda _: ["rollback"]),
    ("ps", lambda _: ["ps"]),
    ("rescue", _rescue),
    ("key generate", lambda workshop: ["key", "generate", str(_key(workshop))]),
    ("key trust", lambda workshop: ["key", "trust", f"{_key(workshop)}.pub", "--yes"]),
    (
        "key trust for more",
        lambda workshop: ["key", "trust", f"{_key(workshop)}.pub", "--yes", "--packages", "m*"],
    ),
    ("key revoke", _revoke),
    ("build", _build),
    ("sign", _sign),
    ("history --keep", lambda _: ["history", "--keep", "1"]),
    ("rebuild", lambda _: ["recover", "--rebuild"]),
    ("remove", lambda _: ["remove", "tool"]),
    ("rollback of the removal", lambda _: ["rollback"]),
]


def _traced(workshop: Workshop, words: list[str]) -> Trace:
    trace = Trace(workshop.path)
    ended = supervised(["--root", str(workshop.path), *words], workshop.place, trace, looking=True)
    assert ended.code == 0, ended.said
    return trace


def test_no_command_writes_into_an_existing_file_and_no_name_comes_early(workshop: Workshop) -> None:
    load_all()
    opened, early, named = {}, {}, {}
    for name, words in LIFE:
        trace = _traced(workshop, words(workshop))
        opened[name], early[name], named[name] = trace.opened, trace.early, trace.named
    assert {name: one for name, one in opened.items() if one} == {}
    assert {name: one for name, one in early.items() if one} == {}
    # A new key is made under its own name, which nobody may have (O_EXCL).
    nameless = ["verify", "ps", "key generate"]
    assert [name for name, one in named.items() if not one] == nameless, "else nothing was seen"


@pytest.mark.parametrize("way", ["--forward", "--back"])
def test_a_recovery_does_neither(way: str, workshop: Workshop) -> None:
    load_all()
    workshop.install(FIRST)
    bundle = str(workshop.bundle(SECOND))
    renames = 0

    def killed_amid(_number: int, call: Call) -> int:
        nonlocal renames
        renames += call.name == "renameat2"
        return KILL if renames == 6 else CONTINUE

    words = ["--root", str(workshop.path), "install", "--allow-unsigned", bundle]
    assert supervised(words, workshop.place, killed_amid).code is None
    trace = _traced(workshop, ["recover", way])
    assert (trace.opened, trace.early) == ([], [])
    assert trace.named != []


@pytest.mark.parametrize("mistake", ["in place", "not durable"])
def test_the_trace_sees_what_it_looks_for(mistake: str, workshop: Workshop) -> None:
    """A command that is no `pkg`, and does what it must not."""
    load_all()
    victim = workshop.path / "usr/bin/tool"
    victim.parent.mkdir(parents=True)
    victim.write_text("old")
    staged = workshop.path / "var/lib/intact/private/staged"
    staged.parent.mkdir(parents=True)

    def wrong(_arguments: list[str]) -> int:
        if mistake == "in place":
            with victim.open("r+b") as file:
                file.write(b"x")
        else:
            staged.write_bytes(b"x")
            staged.rename(victim)
        return 0

    trace = Trace(workshop.path)
    ended = supervised([], workshop.place, trace, looking=True, command=wrong)
    assert ended.code == 0, ended.said
    seen = trace.opened if mistake == "in place" else trace.early
    assert [one for one in seen if "usr/bin/tool" in one] != []
