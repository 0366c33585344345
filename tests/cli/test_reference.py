"""The reference and the commands say the same: every command, option, error and exit code."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import intact
from intact.cli.commands import pkg
from intact.model.errors import IntactError
from support.command_line import Desk

REFERENCE = Path(__file__).parent.parent.parent / "docs/reference"
COMMANDS_PAGE = (REFERENCE / "commands.md").read_text()
ERRORS_PAGE = (REFERENCE / "errors.md").read_text()


def _commands(command: click.Command, way: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(way), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from _commands(inner, (*way, name))


COMMANDS = dict(_commands(pkg))
each_command = pytest.mark.parametrize("name", COMMANDS)


def _options(command: click.Command) -> Iterator[click.Option]:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield parameter


def _errors() -> dict[str, type[IntactError]]:
    """Return every kind of error that is raised (a leaf, or one that is used itself)."""
    for module in pkgutil.walk_packages(intact.__path__, "intact."):
        importlib.import_module(module.name)
    found: dict[str, type[IntactError]] = {}
    pending = [IntactError]
    while pending:
        for kind in pending.pop().__subclasses__():
            found[kind.__name__] = kind
            pending.append(kind)
    return found


@each_command
def test_help_says_what_a_command_does_and_all_that_it_takes(name: str, desk: Desk) -> None:
    result = desk.bare(*name.split(), "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: pkg {name} ")
    first = result.out.splitlines()[2].strip()
    assert len(first) > 10
    assert first[0].isupper()
    for option in _options(COMMANDS[name]):
        assert all(one in result.out for one in (*option.opts, *option.secondary_opts))
    assert desk.bare(*name.split(), "-h").out == result.out


@each_command
def test_every_option_says_what_it_is_for(name: str) -> None:
    for option in _options(COMMANDS[name]):
        assert option.help, option.name
        assert option.help[0].isupper() or option.help.startswith("`")
        assert option.help.endswith((".", "?")), option.help


@each_command
def test_the_reference_names_the_command_and_its_options(name: str) -> None:
    assert re.search(rf"[`/,|] ?`?{re.escape(name)}\b", COMMANDS_PAGE) or f"`{name} " in COMMANDS_PAGE
    for option in _options(COMMANDS[name]):
        for spelled in option.secondary_opts or option.opts:
            assert re.search(rf"(?<![\w-]){re.escape(spelled)}\b", COMMANDS_PAGE), spelled


def test_the_reference_names_the_global_options_with_their_defaults(desk: Desk) -> None:
    for option in _options(pkg):
        for spelled in option.opts:
            assert f"`{spelled}" in COMMANDS_PAGE, spelled
    shown = desk.bare("--help").out
    assert "PKG_ROOT" in shown
    assert "default: /" in shown
    assert "(default 10)" in COMMANDS_PAGE
    assert "default: 10.0" in shown


def test_the_reference_promises_no_option_that_does_not_exist() -> None:
    known = {"--help", "--version"}
    for command in (pkg, *COMMANDS.values()):
        for option in _options(command):
            known |= {*option.opts, *option.secondary_opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", COMMANDS_PAGE)) - known == set()
    assert set(re.findall(r"`pkg(?: --[a-z]+)? ([a-z]+)", ERRORS_PAGE)) <= {
        one.split()[0] for one in COMMANDS
    }


def test_every_kind_of_error_is_in_the_reference_with_its_exit_code() -> None:
    rows = [row.split("|") for row in ERRORS_PAGE.splitlines() if row.startswith("| `")]
    told: dict[str, str] = {}
    for _, kinds, codes, *_ in rows:
        names, numbers = re.findall(r"`(\w+)`", kinds), codes.split(",")
        for position, kind in enumerate(names):
            told[kind] = numbers[position if len(numbers) == len(names) else 0].strip()
    # Never raised as such: the trunk, and the branch of what bundles may be refused for.
    expected = {name: str(kind.exit_code) for name, kind in _errors().items()}
    expected.pop("BundleRefused")
    assert told == expected


def test_every_exit_code_is_in_the_reference() -> None:
    table = {int(one) for one in re.findall(r"^\| (\d+) \|", COMMANDS_PAGE, re.MULTILINE)}
    assert table == set(range(12))
    assert {kind.exit_code for kind in _errors().values()} <= table | {126, 127, 128, 130, 143}
    assert "| 126, 127 |" in COMMANDS_PAGE
    assert "| 130, 143 |" in COMMANDS_PAGE


def test_help_of_a_group_lists_its_commands(desk: Desk) -> None:
    shown = desk.bare("--help").out
    names = {name.split()[0] for name in COMMANDS}
    assert {line.split()[0] for line in shown.split("Commands:")[1].splitlines() if line.strip()} >= names
    shown = desk.bare("key", "--help").out
    for name in ("generate", "trust", "list", "show", "revoke", "threshold", "update", "export"):
        assert f"\n  {name} " in shown


def test_the_version_is_the_packages(desk: Desk) -> None:
    result = desk.bare("--version")
    assert (result.code, result.out, result.err) == (0, f"pkg, version {intact.__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("key",)], ids=["pkg", "pkg key"])
def test_a_missing_command_shows_the_help_where_errors_go(arguments: tuple[str, ...], desk: Desk) -> None:
    result = desk.bare(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Commands:" in result.err


def test_a_wrong_command_line_is_told_like_every_other_error(desk: Desk) -> None:
    result = desk("install", "--frob", "x")
    assert result.code == 2
    assert result.err.splitlines() == [
        "pkg: No such option '--frob'.",
        "  - Usage: pkg install [OPTIONS] BUNDLE...",
        "  now: the root is as it was",
        "  next: pkg install --help",
    ]


def test_a_mistyped_option_is_guessed(desk: Desk) -> None:
    assert "--dry-run" in desk("install", "--dryrun", "x").err
