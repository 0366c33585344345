"""Acts. The commands for files outside any package: place them, or have a command produce them."""

import base64
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from grp import getgrnam
from pwd import getpwnam
from typing import Any

import click

from intact.cli.session import Session
from intact.cli.surroundings import caller
from intact.cli.words import shown
from intact.model.errors import UsageError
from intact.model.values import replace
from intact.operations.placing import STANDARD_INPUT, Placed, PlaceOptions, place
from intact.operations.producing import CommandFailed, produce

__all__ = ["COMMANDS"]

_UNCHANGED = 4
_LARGEST_MODE = 0o7777


class _Mode(click.ParamType[int]):
    """Permission bits as octal digits."""

    name = "mode"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if (
            not text.isascii()
            or not text.isdigit()
            or set(text) - set("01234567")
            or int(text, 8) > _LARGEST_MODE
        ):
            self.fail(f"{text!r} is not a mode; write octal digits, such as 0755", param, ctx)
        return int(text, 8)


class _Account(click.ParamType[int]):
    """A user or group, by name or number."""

    def __init__(self, name: str, look_up: Callable[[str], int]) -> None:
        self.name = name
        self._look_up = look_up

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if text.isascii() and text.isdigit() and int(text) < 2**32 - 1:
            return int(text)
        try:
            return self._look_up(text)
        except (KeyError, ValueError):
            self.fail(f"there is no {self.name} {text!r}", param, ctx)


def _xattr(text: str) -> tuple[str, bytes]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(
            "--xattr takes NAME=VALUE", path=text, remedy="for example --xattr user.origin=build-7"
        )
    if value.startswith("0s"):  # as getfattr prints what is no text
        try:
            return name, base64.b64decode(value[2:], validate=True)
        except ValueError as error:
            raise UsageError("what follows 0s is not base64", path=text) from error
    return name, value.encode()


@click.command("place")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path(readable=False))
@click.argument("destination", type=click.Path(readable=False))
@click.option("--mode", "-m", type=_Mode(), metavar="MODE", help="Permission bits, such as 0755.")
@click.option(
    "--owner",
    "-o",
    type=_Account("user", lambda name: getpwnam(name).pw_uid),
    metavar="USER",
    help="Whose it is.",
)
@click.option(
    "--group",
    "-g",
    type=_Account("group", lambda name: getgrnam(name).gr_gid),
    metavar="GROUP",
    help="Its group.",
)
@click.option(
    "--xattr", "xattrs", multiple=True, metavar="NAME=VALUE", help="Extended attribute; can be repeated."
)
@click.option(
    "--preserve", "-p", is_flag=True, help="Mode, owner, attributes and time as the source has them."
)
@click.option("--backup", "-b", is_flag=True, help="Keep the old file beside the new one.")
@click.option("--suffix", help="What the backup's name ends with, instead of ~.")
@click.option("--if-changed", is_flag=True, help="Leave a file alone, with its time, that is as it would be.")
@click.option("--follow", is_flag=True, help="Where DESTINATION is a symbolic link, replace what it names.")
@click.option(
    "--no-target-directory", "-T", is_flag=True, help="DESTINATION is a name, even if a directory has it."
)
@click.option("--parents", "-D", is_flag=True, help="Make missing directories.")
@click.option("--no-empty", is_flag=True, help="Refuse a source without content.")
@click.option("--exit-unchanged", is_flag=True, help="Exit with 4 if there was nothing to do.")
@click.pass_obj
def _place(  # noqa: PLR0913  one for each option
    session: Session,
    /,
    sources: tuple[str, ...],
    destination: str,
    *,
    owner: int | None,
    group: int | None,
    xattrs: tuple[str, ...],
    backup: bool,
    suffix: str | None,
    no_target_directory: bool,
    exit_unchanged: bool,
    **options: Any,  # noqa: ANN401  click
) -> int:
    """Put files in their places, whole and durable, also onto running programs and mapped libraries.

    SOURCE is a file, or - for standard input. DESTINATION is a name, or a directory. What uses the old file keeps it.
    """
    if STANDARD_INPUT in sources and sys.__stdin__ is None:
        raise UsageError("standard input is closed", remedy="say what it is: `pkg place - FILE < SOURCE`")
    chosen = replace(
        PlaceOptions(**options),
        umask=caller().umask,
        uid=owner,
        gid=group,
        xattrs=tuple(map(_xattr, xattrs)),
        backup_suffix=_suffix(suffix, backup=backup),
        into_directory=not no_target_directory,
    )
    with _told_truly():
        placed = place(sources, destination, chosen)
        _tell_placed(session, placed)
    return _UNCHANGED if exit_unchanged and not any(one.changed for one in placed) else 0


def _suffix(text: str | None, *, backup: bool) -> str:
    if text is not None and not backup:
        raise UsageError(
            "--suffix says how a backup is called, and none was asked for", remedy="say --backup"
        )
    if text is not None and (not text or "/" in text):
        raise UsageError(
            "a backup needs a name of its own", path=text, remedy="say --suffix .old, for example"
        )
    return (text or "~") if backup else ""


def _tell_placed(session: Session, placed: tuple[Placed, ...]) -> None:
    rows = [
        {
            "source": one.source,
            "target": str(one.target),
            "changed": one.changed,
            "backup": None if one.backup is None else str(one.backup),
            "notes": list(one.notes),
        }
        for one in placed
    ]
    lines = []
    for one in placed:
        kept = f"; the old one is {shown(one.backup)}" if one.backup is not None else ""
        lines.append(f"{shown(one.target)}: {'placed' if one.changed else 'is as it should be'}{kept}")
        lines += [f"{shown(one.target)}: {shown(note)}" for note in one.notes]
    session.screen.done({"changed": any(one.changed for one in placed), "placed": rows}, lines)


@contextmanager
def _told_truly() -> Iterator[None]:
    """Let an interrupted command say what is true of single files; they have no history."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.args = interrupt.args or (
            "each file is a whole old or a whole new one, and no scratch file is left",
        )
        raise


class _WithCommand(click.Command):
    """Keeps what follows `--` apart, untouched."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["command"] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


@click.command(
    "produce", cls=_WithCommand, options_metavar="[OPTIONS]", epilog="pkg produce OUT... -- COMMAND..."
)
@click.argument(
    "outputs", nargs=-1, required=True, metavar="OUT... -- COMMAND...", type=click.Path(readable=False)
)
@click.option(
    "--if-changed", is_flag=True, help="Leave an output alone, with its time, if its content is the same."
)
@click.option("--follow", is_flag=True, help="Where an output is a symbolic link, replace what it names.")
@click.pass_context
def _produce(ctx: click.Context, outputs: tuple[str, ...], *, if_changed: bool, follow: bool) -> int:
    """Run a command that makes files, and give them their names only if it succeeds.

    In COMMAND, {} stands for the output; {1}, {2} and so on for several. Its exit code is ours; signals reach it.
    """
    command = ctx.meta["command"]
    if not command:
        raise UsageError(
            "there is no command", remedy="for example: pkg produce main.o -- cc -c main.c -o {}"
        )
    session: Session = ctx.obj
    with _told_truly():
        produced = produce(outputs, command, caller(), if_changed=if_changed, follow=follow)
        if produced.code and session.screen.as_json:
            raise CommandFailed(
                produced.code
            )  # without --json the command itself has said what it has to say
        if produced.code == 0:
            rows = [str(one) for one in produced.changed]
            session.screen.done({"changed": bool(rows), "placed": rows}, [])
    return produced.code


COMMANDS = {"place": _place, "produce": _produce}
