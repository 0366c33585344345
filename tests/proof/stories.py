"""Pure. What do people do with `pkg` that may be interrupted, and in which order?

A story has a beginning, which nobody interrupts, and one command, which everything happens to.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from intact.model.hooks import Hook
from support.hooks import after, before, script
from support.scenarios import FIRST, SECOND
from support.workshop import Package, Workshop, directory, file, hardlink, symlink

__all__ = ["PACKAGES", "STORIES", "Story", "bundles_of", "install", "on"]

_LEFT = Package(
    "left",
    "1",
    file("opt/left/stays", "left"),
    file("opt/left/moves", "from left"),
    file("opt/shared/l", "l"),
    file("etc/left.conf", "a = 1\n", config=True),
)
_RIGHT = Package("right", "1", file("opt/right/stays", "right"), file("opt/shared/r", "r"))
_LEFT_2 = Package(
    "left", "2", file("opt/left/stays", "left two"), file("etc/left.conf", "a = 2\n", config=True)
)
_RIGHT_2 = Package(
    "right",
    "2",
    file("opt/right/stays", "right two", 0o755),
    file("opt/left/moves", "from right"),
    directory("opt/shared", 0o750),
    file("opt/shared/r", "r"),
    symlink("opt/right/link", "stays"),
    file("opt/right/hard", "hard"),
    hardlink("opt/right/hard2", "opt/right/hard"),
    replaces=["left (<< 2)"],
)
_BIG_1 = Package("big", "1", file("opt/big/data", "1" * 300_000), file("opt/big/same", "2" * 100_000))
_BIG_2 = Package("big", "2", file("opt/big/data", "3" * 400_000), file("opt/big/same", "2" * 100_000))


def _hooked(version: str, *hooks: Hook) -> Package:
    """A package with commands that say yes before and after; with further ones."""
    return Package(
        "hooked",
        version,
        file("opt/hooked/file", f"the file of hooked {version}\n"),
        file(f"opt/hooked/{version}", version),
        script("opt/hooked/check", "echo checked"),
        hooks=(before("/opt/hooked/check"), after("/opt/hooked/check", undo=("/opt/hooked/check",)), *hooks),
    )


def _program(version: str, word: str) -> Package:
    """A script that runs, files of several sizes that change, and one that does not."""
    return Package(
        "program",
        version,
        file("usr/bin/program", f"#!/bin/sh\n# {word * 50}\necho {word}\n", 0o755),
        file("usr/lib/libprogram.so.1", word * 5000),
        *(
            file(f"usr/share/program/{number}", f"{word} {number}" * (number * 40 + 1))
            for number in range(24)
        ),
        file("usr/share/program/same", "same"),
    )


PACKAGES: Final = MappingProxyType(
    {
        "first": FIRST,
        "second": SECOND,
        "left": _LEFT,
        "right": _RIGHT,
        "left2": _LEFT_2,
        "right2": _RIGHT_2,
        "big": _BIG_1,
        "big2": _BIG_2,
        "hooked": _hooked("1"),
        "hooked2": _hooked("2"),
        "refusing": _hooked("3", after("/bin/sh", "-c", "exit 1")),
        "program": _program("1", "one"),
        "program2": _program("2", "two"),
    }
)

Words = tuple[str, ...]


def install(*packages: str) -> Words:
    """The command that installs packages by their names in `PACKAGES`."""
    return ("install", "--allow-unsigned", *(f"@{name}" for name in packages))


def on(workshop: Workshop, words: Words) -> list[str]:
    """Turn the words of a story into a command line for one root."""
    named = [str(workshop.bundle(PACKAGES[word[1:]])) if word.startswith("@") else word for word in words]
    return ["--root", str(workshop.path), "--quiet", *named]


def _nothing(_workshop: Workshop) -> None:
    pass


def _edit(workshop: Workshop) -> None:
    workshop.write("etc/tool.conf", "setting = mine\n")
    workshop.write("usr/share/tool/same", "edited by hand")
    workshop.write("usr/share/tool/mine", "added by hand")


@dataclass(frozen=True)
class Story:
    """What was before, and what is interrupted.

    Attributes:
        before: commands that bring the root to its beginning.
        command: the words of the interrupted command.
        edits: what a person does in between.
        needs_shell: hooks are scripts.
        in_parts: its work is shared among processes, as that of a large package is.
        ends: the exit code of the command, undisturbed.
    """

    command: Words
    before: tuple[Words, ...] = ()
    edits: Callable[[Workshop], None] = field(default=_nothing)
    needs_shell: bool = False
    in_parts: bool = False
    ends: int = 0


STORIES: Final = MappingProxyType(
    {
        "install": Story(install("first")),
        "upgrade": Story(install("second"), (install("first"),)),
        "remove": Story(("remove", "tool"), (install("first"), install("second"))),
        "rollback": Story(("rollback",), (install("first"), install("second"))),
        "rollback-again": Story(("rollback",), (install("first"), install("second"), ("rollback",))),
        "edited": Story(install("second"), (install("first"),), _edit),
        "edited-rollback": Story(("rollback",), (install("first"), install("second")), _edit),
        "move": Story(install("left2", "right2"), (install("left", "right"),)),
        "move-back": Story(("rollback",), (install("left", "right"), install("left2", "right2"))),
        "big": Story(install("big2"), (install("big"),)),
        "program": Story(install("program2"), (install("program"),)),
        "hooked": Story(
            (*install("hooked2"), "--health-check", "/bin/sh -c 'read line </opt/hooked/file'"),
            (install("hooked"),),
            needs_shell=True,
        ),
        "refused": Story(install("refusing"), (install("hooked"),), needs_shell=True, ends=8),
        "install-in-parts": Story(install("first"), in_parts=True),
        "upgrade-in-parts": Story(install("second"), (install("first"),), in_parts=True),
        "remove-in-parts": Story(("remove", "tool"), (install("first"),), in_parts=True),
        "rollback-in-parts": Story(("rollback",), (install("first"), install("second")), in_parts=True),
        "forget": Story(("history", "--keep", "0"), (install("first"), install("second"))),
    }
)


def bundles_of(story: Story) -> list[Package]:
    """Return the packages that a story needs."""
    words = [word for command in (*story.before, story.command) for word in command]
    return [PACKAGES[word[1:]] for word in words if word.startswith("@")]
