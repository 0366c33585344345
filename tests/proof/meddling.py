"""Acts. Somebody meddles while `pkg` is in the midst of it: at each system call, one deed of a person.

The process stands still while the deed is done, so the deed falls exactly between two of its calls. Whatever the
person wrote has to be somewhere afterwards, all other paths have to be whole and all old or all new, and `pkg` has
to end with an answer.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from proof.examine import all_or_nothing, half_done
from proof.kills import recovery_of
from proof.listener import Call
from proof.stage import Stage
from proof.supervise import CONTINUE, count_calls, run_pkg, supervised
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop

__all__ = ["DEEDS", "WORDS", "states", "survives", "try_deed"]

WORDS = b"written by a person, who wants it back\n"
_VICTIMS = {"refused": "opt/hooked/file"}  # by story: a file that changes
_ARRIVING = {"refused": "opt/hooked/3"}  # and one that comes
_VICTIM, _COMES = "usr/lib/libtool.so.1", "usr/share/tool/new/c"
_ABOVE = ("usr/share/tool/new", "usr/share/tool", "usr/share", "usr/lib", "usr")
_ANSWERS = frozenset({0, 1, 5, 6, 8})
_LOCKED = 7


@dataclass(frozen=True)
class _Scene:
    """What a person has at hand.

    Attributes:
        open: a descriptor of the victim, from before the command.
        victim: a file that changes.
        arriving: a path that gets a file.
    """

    workshop: Workshop
    place: Path
    open: int
    victim: str
    arriving: str


Deed = Callable[[_Scene], list[str]]


def _write_in_place(scene: _Scene) -> list[str]:
    with (scene.workshop.path / scene.victim).open("r+b", buffering=0) as file:
        file.write(WORDS)
        file.truncate()
    return []


def _write_to_what_is_open(scene: _Scene) -> list[str]:
    os.pwrite(scene.open, WORDS, 0)
    os.ftruncate(scene.open, len(WORDS))
    return []


def _replace(scene: _Scene) -> list[str]:
    scene.workshop.write(scene.victim, WORDS.decode())
    return []


def _delete(scene: _Scene) -> list[str]:
    (scene.workshop.path / scene.victim).unlink()
    return []


def _create(scene: _Scene) -> list[str]:
    scene.workshop.write(scene.arriving, WORDS.decode())
    return []


def _run_another(scene: _Scene) -> list[str]:
    words = ["--root", str(scene.workshop.path), "--quiet", "--lock-timeout", "0", "recover"]
    ended = run_pkg(words, scene.place)
    return [] if ended.code in {0, _LOCKED} else [f"a second pkg ended with {ended.code}: {ended.said}"]


def _read(scene: _Scene) -> list[str]:
    found = []
    for words in (["list"], ["history"]):
        ended = run_pkg(["--root", str(scene.workshop.path), "--quiet", *words], scene.place)
        if ended.code != 0:
            found.append(f"`pkg {words[0]}` ended with {ended.code} meanwhile: {ended.said}")
    return found


DEEDS: Final = MappingProxyType(
    {
        "write": _write_in_place,
        "hold": _write_to_what_is_open,
        "replace": _replace,
        "delete": _delete,
        "create": _create,
        "another": _run_another,
        "read": _read,
    }
)
_HARMLESS = frozenset({"another", "read"})
_ON_NEW = frozenset({"write", "replace", "delete"})
_WRITING = frozenset({"write", "hold", "replace", "create"})


def states(stage: Stage) -> list[str]:
    """Name each deed at each call."""
    count = len(count_calls(stage.command(stage.copy("count")), stage.place))
    return [f"{deed}-{number}" for deed in DEEDS for number in range(1, count + 1)]


def survives(workshop: Workshop, words: bytes = WORDS) -> bool:
    """Tell whether these words, or those of the person, are anywhere: in place, kept, or in the history."""
    for directory, _, names in os.walk(workshop.path):
        for name in names:
            path = Path(directory, name)
            if not path.is_symlink() and path.is_file() and words in path.read_bytes():
                return True
    return False


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def try_deed(scene: Scene, stage: Stage, state: str) -> Verdict:
    """Meddle at one call, let it end, recover, look."""
    deed, number = state.split("-")
    workshop = stage.copy("meddled")
    found: list[str] = []
    did = is_swapped = False

    def policy(count: int, _call: Call) -> int:
        nonlocal did, is_swapped
        if count == int(number):
            is_swapped = _content(workshop.path / victim) != old
            # Where there is nothing to do that to at this moment, it is not done.
            with suppress(FileNotFoundError, NotADirectoryError, FileExistsError):
                found.extend(DEEDS[deed](here))
                did = True
        return CONTINUE

    victim, arriving = _VICTIMS.get(stage.name, _VICTIM), _ARRIVING.get(stage.name, _COMES)
    old = (workshop.path / victim).read_bytes()
    with (workshop.path / victim).open("r+b", buffering=0) as file:
        here = _Scene(workshop, stage.place, file.fileno(), victim, arriving)
        ended = supervised(stage.command(workshop), stage.place, policy)
    if ended.code not in _ANSWERS or (deed in _HARMLESS and ended.code != stage.story.ends):
        found.append(f"it ended with {ended.code}: {ended.said.strip()}")
    found += _others(half_done(workshop, stage.expected, may_blink=stage.may_blink), deed, victim, arriving)
    recovered = run_pkg(recovery_of(workshop), stage.place)
    if recovered.code != 0:
        found.append(f"`pkg recover` ended with {recovered.code}: {recovered.said.strip()}")
    outcome, more = all_or_nothing(workshop, stage.expected)
    found += _others(more, deed, victim, arriving)
    if did and deed in _WRITING and not survives(workshop):
        found.append("what the person wrote is gone")
    if did and is_swapped and deed in _ON_NEW and not survives(workshop, old):
        found.append("the old file is gone, and the person's stands in its place")
    return Verdict(scene, state, 1, Counter([f"{ended.code}, {outcome}"]), tuple(found))


def _others(lines: list[str], deed: str, *own: str) -> list[str]:
    """Leave out what is said about the person's own file, and about what is kept for the person."""
    if deed in _HARMLESS:
        return lines
    directories = [f"{quote}{one}{end}" for one in _ABOVE for quote, end in (("'", "'"), ("/", " "))]
    about = (*own, *directories, "private/kept", "state: ")
    return [line for line in lines if not any(word in line for word in about)]
