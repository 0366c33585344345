"""A plain command line means the same, whoever reads it: `cli.plain`, or click."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import click
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from intact.cli.commands import pkg
from intact.cli.plain import PLAIN, PlainLine, read_plain
from intact.cli.rolling_back import undo_transactions
from intact.operations.hooks import HookOptions
from intact.operations.prepare import InstallOptions
from support.command_line import Desk

NOT_PLAIN = ("--lock-timeout", "10")  # what click assumes if nothing is said; it makes a line one for click

WORDS = st.sampled_from(
    ["root", "/", "list", "a b", "é\udcff", "=", "+x", "@file", "*", "1", "-", "--", "-h", "--help", "", "\\"]
)
OPTIONS = st.sampled_from(
    [
        "--root",
        "--root=x",
        "--json",
        "--quiet",
        "-q",
        "-qq",
        "--lock-timeout",
        "--version",
        "--jso",
        "--no-json",
    ]
)
COMMANDS = st.sampled_from([*PLAIN, "recover", "key", "lis", "LIST"])
LINES = st.builds(
    lambda before, command, after: [*before, command, *after],
    st.lists(st.one_of(OPTIONS, OPTIONS, WORDS), max_size=4),
    COMMANDS,
    st.lists(st.one_of(WORDS, WORDS, OPTIONS), max_size=3),
)
ENVIRONMENTS = st.fixed_dictionaries(
    {}, optional={"PKG_ROOT": st.sampled_from(["", "/r", "-"]), "_PKG_COMPLETE": st.just("bash_source")}
)


def _by_click(line: list[str], environment: Mapping[str, str]) -> tuple[click.Context, click.Context]:
    """Let click read a line; return the contexts of pkg and of the command."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PKG_ROOT", "_PKG_COMPLETE"):
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        outer = pkg.make_context("pkg", list(line))
        command_name, command, rest = pkg.resolve_command(outer, [*outer._protected_args, *outer.args])
        assert command is not None
        return outer, command.make_context(command_name, rest, parent=outer)


@settings(max_examples=500)
@given(LINES, ENVIRONMENTS)
@example(["--root", "a", "--root", "b", "owner", "/x"], {"PKG_ROOT": "/r"})
@example(["-q", "--json", "install", "one", "two"], {})
@example(["list"], {"PKG_ROOT": ""})
def test_what_is_plain_means_the_same_for_click(line: list[str], environment: dict[str, str]) -> None:
    plain = read_plain(line, environment)
    if plain is None:
        return
    outer, inner = _by_click(line, environment)
    assert outer.params == {
        "root": plain.root,
        "as_json": plain.as_json,
        "quiet": plain.quiet,
        "lock_timeout": 10.0,
    }
    assert PLAIN[inner.info_name or ""] == plain.command
    words: list[str] = []
    for parameter in inner.command.params:
        value = inner.params[parameter.name or ""]
        if isinstance(parameter, click.Argument) and value is not None:
            words += value if isinstance(value, tuple) else [value]
        elif isinstance(parameter, click.Option):
            source = inner.get_parameter_source(parameter.name or "")
            assert source in {click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP}
    assert tuple(words) == plain.words


@pytest.mark.parametrize(
    "line",
    [
        ["list"],
        ["--root", "x", "list"],
        ["--json", "--quiet", "owner", "/bin/x"],
        ["install", "one", "two"],
        ["remove", "one"],
        ["rollback"],
        ["ps"],
    ],
    ids=" ".join,
)
def test_what_people_type_every_day_is_plain(line: list[str]) -> None:
    assert isinstance(read_plain(line, {}), PlainLine)


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["list", "--help"],
        ["--help"],
        ["--version"],
        ["list", "more"],
        ["owner"],
        ["owner", "a", "b"],
        ["owner", "--", "-a"],
        ["install", "-"],
        ["install", "--dry-run", "x"],
        ["--root"],
        ["--root", "--json", "list"],
        ["--root", "", "list"],
        ["--lock-timeout", "3", "list"],
        ["remove"],
        ["remove", "--dry-run", "x"],
        ["rollback", "1"],
        ["rollback", "--dry-run"],
        ["owner", ""],
        ["owner", "-h"],
        ["ps", "--restart"],
    ],
    ids=" ".join,
)
def test_everything_else_is_left_to_click(line: list[str]) -> None:
    assert read_plain(line, {}) is None
    assert read_plain(["list"], {"_PKG_COMPLETE": "bash_complete"}) is None


def test_without_options_an_installation_is_what_click_says_it_is() -> None:
    _, inner = _by_click(["install", "x"], {})
    said = {name: value for name, value in inner.params.items() if name != "bundles"}
    hooks = HookOptions(not said.pop("no_hooks"), (), said.pop("health_timeout"))
    assert said.pop("health_check") is None
    assert said.pop("exit_unchanged") is False
    assert InstallOptions(hooks=hooks, **said) == InstallOptions()


def test_without_options_a_removal_is_what_click_says_it_is() -> None:
    _, inner = _by_click(["remove", "x"], {})
    said = {name: value for name, value in inner.params.items() if name != "names"}
    hooks = HookOptions(run=not said.pop("no_hooks"))
    assert InstallOptions(hooks=hooks, **said) == InstallOptions()


def test_without_options_a_rollback_is_what_click_says_it_is() -> None:
    _, inner = _by_click(["rollback"], {})
    said = dict(inner.params)
    assert HookOptions(run=not said.pop("no_hooks")) == HookOptions()
    assert said == {"transaction": None, "allow_insecure": False, "dry_run": False}
    assert said.items() <= (undo_transactions.__kwdefaults__ or {}).items()


@pytest.mark.parametrize("before", [(), ("--json",), ("--quiet",)], ids=["lines", "json", "quiet"])
def test_a_rollback_of_nothing_gives_the_same_answer(before: tuple[str, ...], trusting: Desk) -> None:
    assert trusting(*before, "rollback") == trusting(*before, *NOT_PLAIN, "rollback")


@pytest.fixture
def used(trusting: Desk) -> Desk:
    """A root with a package, a history, and an edited configuration file."""
    for version in ("1", "2"):
        trusting.bundle("app", version, {"bin/app": f"app {version}", "etc/app.conf": "x"})
        trusting.good("install", f"app-{version}.tar.zst")
    (trusting.root / "etc/app.conf").write_text("mine")
    return trusting


@pytest.mark.parametrize("before", [(), ("--json",), ("--quiet",)], ids=["lines", "json", "quiet"])
@pytest.mark.parametrize(
    "line",
    [
        ("list",),
        ("info", "app"),
        ("info", "none"),
        ("files", "app"),
        ("files", "none"),
        ("owner", "/bin/app"),
        ("owner", "/nobody"),
        ("owner", ".."),
        ("config",),
        ("history",),
        ("verify",),
        ("verify", "app"),
        ("verify", "none"),
        ("ps",),
        ("ps", "none"),
        ("install", "app-2.tar.zst"),
        ("install", "app-1.tar.zst"),
        ("install", "none.tar.zst"),
        ("remove", "none"),
        ("remove", "app", "none"),
    ],
    ids=" ".join,
)
def test_both_give_the_same_answer(line: tuple[str, ...], before: tuple[str, ...], used: Desk) -> None:
    assert read_plain(["--root", "root", *before, *line], {}) is not None
    plain, by_click = used(*before, *line), used(*before, *NOT_PLAIN, *line)
    if line == ("ps",):  # processes come and go
        plain, by_click = (replace(one, out=re.sub(r"\d+", "N", one.out)) for one in (plain, by_click))
    assert by_click == plain


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_line_does_not_load_what_it_does_not_need(name: str, used: Desk) -> None:
    word = {"install": "app-2.tar.zst", "owner": "/bin/app"}.get(name, "app")
    words = [name, word] if PLAIN[name].fewest else [name]
    told = (
        "import sys; from intact.cli.main import main\n"
        f"sys.argv[1:] = ['--root', 'root', *{words!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, 10), end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", told], cwd=used.place, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert "intact.cli.main" in loaded
    assert not loaded & {"click", "dataclasses", "inspect", "rich"}
    if name in {"remove", "rollback"}:
        assert "cryptography" not in loaded
    elif name != "install":
        assert not loaded & {"zstandard", "cryptography", "tomli", "intact.transaction.recover"}
