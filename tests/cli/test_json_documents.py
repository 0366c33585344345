"""With --json every command prints exactly one document, as docs/reference/json-schema.json describes it."""

import json
import os
from collections.abc import Iterator
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from intact.cli.commands import pkg
from support.command_line import Desk, Result, install_that_waits
from support.json_schema import REFERENCE, SCHEMA, faults

PROMISED = [one["$ref"].removeprefix("#/$defs/").replace("%20", " ") for one in SCHEMA["anyOf"]]


def one_document(result: Result) -> Any:  # noqa: ANN401  a JSON document
    """Return the only document on standard output."""
    document, end = json.JSONDecoder().raw_decode(result.out)
    assert result.out[end:] == "\n"
    assert result.out.isascii()
    return document


def leaves(command: click.Command = pkg, way: str = "") -> Iterator[str]:
    """Name all commands, as they are typed."""
    if not isinstance(command, click.Group):
        yield way
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, f"{way} {name}".strip())


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "properties" in value:
            yield value
        for one in value.values():
            yield from _objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from _objects(one)


@pytest.fixture
def busy(trusting: Desk) -> Desk:
    """A root where much has happened: an upgrade, an edited file, a link, a removed package, a revoked key."""
    more = '[[symlink]]\npath = "usr/link"\ntarget = "app"\n[[hardlink]]\npath = "usr/twin"\ntarget = "usr/app"\n'
    relations = (
        'requires = ["app"]\nconflicts = ["rival"]\nprovides = ["thing (= 3)"]\nreplaces = ["old (<< 2)"]'
    )
    files = {"usr/app": "one", "etc/app.conf": "a = 1\n"}
    source = trusting.source("app", "1", files, 'license = "MIT"', more)
    trusting.good("build", source, "-o", "app-1.tar.zst", "--key", "key")
    trusting.bundle("app", "2", {"usr/app": "two", "etc/app.conf": "a = 2\n"})
    trusting.good("install", "app-1.tar.zst", trusting.bundle("plugin", "1", package=relations))
    (trusting.root / "etc/app.conf").write_text("mine\n")
    trusting.good("install", "app-2.tar.zst")
    trusting.good("install", "--allow-unsigned", trusting.bundle("loose", "1", key=""))
    trusting.good("remove", "loose")
    trusting.bundle("plugin", "0.5")
    trusting.good("key", "generate", "other")
    trusting.good(
        "key",
        "trust",
        "other.pub",
        "--yes",
        "--packages",
        "x-*",
        "--no-privileged",
        "--not-after",
        "2000000000",
    )
    return trusting


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_has_every_command_and_no_other() -> None:
    assert sorted(PROMISED) == sorted(
        [*leaves(), "recover --status", "recover --rebuild", "history --keep", "ps --restart", "error"]
    )


def test_every_key_is_promised_and_none_is_optional() -> None:
    for one in _objects(SCHEMA["$defs"]):
        assert one["required"] == list(one["properties"])
        assert one["additionalProperties"] is False


def test_the_page_about_json_has_every_command() -> None:
    text = (REFERENCE / "json.md").read_text()
    assert [name for name in PROMISED if f"`{name}`" not in text] == []


ANSWERS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "build": ("build", 0, ("build", "app-1.toml", "-o", "again.tar.zst")),
    "sign": ("sign", 0, ("sign", "app-1.tar.zst", "--key", "other")),
    "sign again": ("sign", 0, ("sign", "app-1.tar.zst", "--key", "key")),
    "inspect": ("inspect", 0, ("inspect", "app-1.tar.zst")),
    "inspect everything": ("inspect", 0, ("inspect", "--full", "--files", "app-1.tar.zst")),
    "inspect relations": ("inspect", 0, ("inspect", "plugin-1.tar.zst")),
    "inspect what is not trusted": ("inspect", 3, ("inspect", "--files", "loose-1-unsigned.tar.zst")),
    "key generate": ("key generate", 0, ("key", "generate", "third")),
    "key trust": ("key trust", 0, ("key", "trust", "key.pub", "--yes")),
    "key trust more": ("key trust", 0, ("key", "trust", "other.pub", "--packages", "y-*", "--yes")),
    "key list": ("key list", 0, ("key", "list")),
    "key threshold": ("key threshold", 0, ("key", "threshold", "2", "--packages", "x-*")),
    "key export": ("key export", 0, ("key", "export")),
    "install nothing new": ("install", 0, ("install", "plugin-1.tar.zst")),
    "install nothing new, exit code": ("install", 4, ("install", "--exit-unchanged", "plugin-1.tar.zst")),
    "install a dry run": ("install", 0, ("install", "-n", "--allow-downgrade", "app-1.tar.zst")),
    "install a downgrade": ("install", 0, ("install", "--allow-downgrade", "plugin-0.5.tar.zst")),
    "install unsigned": ("install", 0, ("install", "--allow-unsigned", "loose-1-unsigned.tar.zst")),
    "remove": ("remove", 0, ("remove", "plugin")),
    "remove a dry run": ("remove", 0, ("remove", "-n", "plugin", "app")),
    "rollback": ("rollback", 0, ("rollback",)),
    "place": ("place", 0, ("place", "app-1.toml", "copy.toml")),
    "place again": ("place", 4, ("place", "--if-changed", "--exit-unchanged", "app-1.toml", "app-1.toml")),
    "rollback far": ("rollback", 0, ("rollback", "2")),
    "rollback a dry run": ("rollback", 0, ("rollback", "-n", "1")),
    "recover": ("recover", 0, ("recover",)),
    "recover forward": ("recover", 0, ("recover", "--forward")),
    "recover back": ("recover", 0, ("recover", "--back")),
    "status": ("recover --status", 0, ("recover", "--status")),
    "rebuild": ("recover --rebuild", 0, ("recover", "--rebuild")),
    "list": ("list", 0, ("list",)),
    "info": ("info", 0, ("info", "plugin")),
    "files": ("files", 0, ("files", "app")),
    "owner": ("owner", 0, ("owner", "/usr/app")),
    "owner of what is nobody's": ("owner", 1, ("owner", "/nothing")),
    "history": ("history", 0, ("history",)),
    "history of one": ("history", 0, ("history", "2")),
    "forget": ("history --keep", 0, ("history", "--keep", "1")),
    "forget nothing": ("history --keep", 0, ("history", "--keep", "100")),
    "config": ("config", 0, ("config",)),
    "verify": ("verify", 0, ("verify",)),
    "verify one": ("verify", 0, ("verify", "plugin")),
    "ps": ("ps", 0, ("ps",)),
    "ps with restarts": ("ps --restart", 0, ("ps", "--restart")),
    "repair nothing": ("repair", 0, ("repair",)),
    "repair configuration": ("repair", 0, ("repair", "--config", "--dry-run")),
    "rescue nothing": ("error", 1, ("rescue", "/usr/app", "-o", "rescued")),
    "probe": ("probe", 0, ("probe",)),
    "probe what is not there": ("error", 1, ("probe", "nowhere")),
    "completion": ("completion", 0, ("completion", "zsh")),
    "no command": ("error", 2, ()),
    "no command of a group": ("error", 2, ("key",)),
    "unknown command": ("error", 2, ("frobnicate",)),
    "unknown option": ("error", 2, ("list", "--frob")),
    "a missing argument": ("error", 2, ("info",)),
    "an argument too many": ("error", 2, ("list", "x")),
    "no number": ("error", 2, ("rollback", "x")),
    "no choice": ("error", 2, ("completion", "csh")),
    "unknown package": ("error", 1, ("info", "nope")),
    "a missing file": ("error", 1, ("inspect", "nowhere")),
    "a bad manifest": ("error", 3, ("build", "key.pub")),
    "a conflict": ("error", 5, ("install", "app-1.tar.zst")),
    "an untrusted bundle": ("error", 3, ("install", "loose-1-unsigned.tar.zst")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_one_document_is_as_the_schema_says(name: str, busy: Desk) -> None:
    definition, code, arguments = ANSWERS[name]
    result = busy("--json", *arguments)
    assert (result.code, faults(one_document(result), definition)) == (code, [])


def test_every_command_is_among_the_answers() -> None:
    untested = set(PROMISED) - {definition for definition, _, _ in ANSWERS.values()}
    assert untested == {
        "key revoke",
        "key show",
        "key update",
        "produce",
        "rescue",
    }  # they stand below, or in the tests of the command itself


def test_revoking_gives_a_document(busy: Desk) -> None:
    for key in busy("--json", "key", "list").json["keys"]:
        result = busy("--json", "key", "show", key["fingerprint"])
        assert (result.code, faults(one_document(result), "key show")) == (0, [])
        assert one_document(result) == key
        result = busy("--json", "key", "revoke", key["fingerprint"])
        assert (result.code, faults(one_document(result), "key revoke")) == (0, [])
    document = busy("--json", "key", "list").json
    assert faults(document, "key list") == []
    assert {one["status"] for one in document["keys"]} == {"revoked"}


def test_differences_give_a_document(busy: Desk) -> None:
    (busy.root / "usr/app").write_text("damaged")
    (busy.root / "etc/app.conf").unlink()
    result = busy("--json", "verify")
    assert (result.code, faults(one_document(result), "verify")) == (10, [])
    assert sorted((one["path"], one["config"]) for one in result.json["differences"]) == [
        ("/etc/app.conf", True),
        ("/usr/app", False),
    ]


def test_an_interrupted_transaction_gives_documents(busy: Desk) -> None:
    large = busy.bundle("large", "1", {"usr/large": os.urandom(1_000_000).hex()})
    running = install_that_waits(busy, large, 5)
    running.kill()
    running.communicate()
    status = busy("--json", "recover", "--status")
    assert (status.code, faults(one_document(status), "recover --status")) == (6, [])
    assert status.json["interrupted"][0]["command"] == "pkg --root root install -"
    recovered = busy("--json", "recover")
    assert (recovered.code, faults(one_document(recovered), "recover")) == (0, [])
    assert [one["outcome"] for one in recovered.json["recovered"]] == ["discarded"]
    history = busy("--json", "history")
    assert faults(history.json, "history") == []


def test_a_quiet_command_still_gives_its_document(busy: Desk) -> None:
    result = busy("--json", "--quiet", "remove", "plugin")
    assert (one_document(result)["changed"], result.err) == (True, "")


def test_documents_say_what_happened(busy: Desk) -> None:
    info = busy("--json", "info", "plugin").json
    assert (info["requires"], info["conflicts"], info["provides"], info["replaces"]) == (
        ["app"],
        ["rival"],
        ["thing (= 3)"],
        ["old (<< 2)"],
    )
    config = busy("--json", "config").json["config"]
    assert config == [
        {"path": "/etc/app.conf", "package": "app", "state": "edited", "beside": "/etc/app.conf.pkg-new"}
    ]
    newest, *_, oldest = busy("--json", "history").json["transactions"]
    assert newest["packages"] == [{"name": "loose", "old": "1", "new": None}]
    assert [(one["name"], one["old"], one["new"]) for one in oldest["packages"]] == [
        ("app", None, "1"),
        ("plugin", None, "1"),
    ]


def test_another_document_would_not_pass(busy: Desk) -> None:
    """The schema can refuse: a key less, a key more, another type."""
    document = busy("--json", "list").json
    assert faults(document, "list") == []
    assert faults({}, "list")
    assert faults({**document, "more": 1}, "list")
    document["packages"][0]["size"] = "5"
    assert faults(document, "list")
