"""A bundle that must not get in: the root stays as it was, the exit code says why, the message what to do."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from support.command_line import Desk


@dataclass(frozen=True)
class Bad:
    """A situation, and what has to be told about it.

    Attributes:
        prepare: makes the situation; returns the arguments of `pkg`.
        says: what the message holds, in any order.
    """

    prepare: Callable[[Desk], list[str]]
    code: int
    kind: str
    says: tuple[str, ...]


def _flipped(desk: Desk, at: float) -> list[str]:
    """Flip a bit at this part of the file."""
    path = desk.place / desk.bundle("app", "2", {"usr/app": "new" * 5000})
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 1
    path.write_bytes(content)
    return ["install", path.name]


def _cut(desk: Desk, at: float) -> list[str]:
    path = desk.place / desk.bundle("app", "2")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * at)])
    return ["install", path.name]


def _file(desk: Desk, content: bytes) -> list[str]:
    (desk.place / "odd.tar.zst").write_bytes(content)
    return ["install", "odd.tar.zst"]


def _untrusted(desk: Desk) -> list[str]:
    desk.good("key", "generate", "stranger")
    return ["install", desk.bundle("app", "2", key="stranger")]


def _scoped(desk: Desk) -> list[str]:
    desk.good("key", "generate", "editor")
    desk.good("key", "trust", "editor.pub", "--packages", "editor-*", "--yes")
    return ["install", desk.bundle("app", "2", key="editor")]


def _expired(desk: Desk) -> list[str]:
    desk.good("key", "generate", "old")
    desk.good("key", "trust", "old.pub", "--not-after", "1000", "--yes")
    return ["install", desk.bundle("app", "2", key="old")]


def _revoked(desk: Desk) -> list[str]:
    name = desk.bundle("app", "2")
    desk.good("key", "revoke", desk("--json", "key", "list").json["keys"][0]["fingerprint"])
    return ["install", name]


def _second_is_bad(desk: Desk) -> list[str]:
    good = desk.bundle("good", "1")
    return ["install", good, *_cut(desk, 0.9)[1:]]


def _two_versions(desk: Desk) -> list[str]:
    return ["install", desk.bundle("app", "2"), desk.bundle("app", "3")]


def _unowned(desk: Desk) -> list[str]:
    (desk.root / "usr/mine").write_text("precious")
    return ["install", desk.bundle("app", "2", {"usr/app": "new", "usr/mine": "theirs"})]


def _removed_base(desk: Desk) -> list[str]:
    desk.good("install", desk.bundle("plugin", "1", package='requires = ["app"]'))
    return ["remove", "app"]


def _wrong_name(desk: Desk) -> list[str]:
    """The name of the file says nothing; the manifest inside decides, and it is older than what is here."""
    shutil.copy(desk.place / desk.bundle("app", "0.5"), desk.place / "app-9-all.tar.zst")
    return ["install", "app-9-all.tar.zst"]


BAD: dict[str, Bad] = {
    "missing": Bad(
        lambda _desk: ["install", "nowhere.tar.zst"],
        1,
        "MachineError",
        ("nowhere.tar.zst", "ENOENT", "ls -l"),
    ),
    "below a file": Bad(lambda _desk: ["install", "key/x"], 1, "MachineError", ("key/x", "ENOTDIR")),
    "a directory": Bad(lambda _desk: ["install", "root"], 3, "BundleDamaged", ("not a regular file",)),
    "a device": Bad(lambda _desk: ["install", "/dev/null"], 3, "BundleDamaged", ("not a regular file",)),
    "empty": Bad(lambda desk: _file(desk, b""), 3, "BundleDamaged", ("the file is empty",)),
    "zeros": Bad(lambda desk: _file(desk, bytes(9000)), 3, "BundleDamaged", ("not a bundle",)),
    "html": Bad(lambda desk: _file(desk, b"<html>404" * 99), 3, "BundleDamaged", ("not a bundle",)),
    "gzip": Bad(lambda desk: _file(desk, b"\x1f\x8b" + bytes(99)), 3, "BundleDamaged", ("gzip",)),
    "rpm": Bad(lambda desk: _file(desk, b"\xed\xab\xee\xdb" + bytes(99)), 3, "BundleDamaged", ("rpm",)),
    "deb": Bad(
        lambda desk: _file(desk, b"!<arch>\n" + bytes(99)), 3, "BundleDamaged", ("pkg build FILE.deb",)
    ),
    "cut in its head": Bad(lambda desk: _cut(desk, 0.2), 3, "BundleDamaged", ("app-2.tar.zst", "checksum")),
    "cut in the middle": Bad(lambda desk: _cut(desk, 0.5), 3, "BundleDamaged", ("app-2.tar.zst",)),
    "one byte short": Bad(lambda desk: _cut(desk, 0.999), 3, "BundleDamaged", ("app-2.tar.zst", "cut off")),
    "damaged head": Bad(lambda desk: _flipped(desk, 0.1), 3, "BundleDamaged", ("app-2.tar.zst", "head")),
    "damaged end": Bad(lambda desk: _flipped(desk, 0.99), 3, "BundleDamaged", ("app-2.tar.zst", "altered")),
    "unsigned": Bad(
        lambda desk: ["install", desk.bundle("app", "2", key="")], 3, "Untrusted", ("app", "--allow-unsigned")
    ),
    "by a stranger": Bad(_untrusted, 3, "Untrusted", ("SHA256:", "pkg key trust")),
    "by a key for other packages": Bad(_scoped, 3, "Untrusted", ("SHA256:", "editor-*")),
    "by an expired key": Bad(_expired, 3, "Untrusted", ("has expired",)),
    "by a revoked key": Bad(_revoked, 3, "Untrusted", ("is revoked",)),
    "for another machine": Bad(
        lambda desk: ["install", desk.bundle("app", "2", package='architecture = "s390x"')],
        3,
        "WrongArchitecture",
        ("this machine is", "app-2.tar.zst: built for s390x", "--architecture"),
    ),
    "the second is bad": Bad(_second_is_bad, 3, "BundleDamaged", ("app-2.tar.zst",)),
    "two versions": Bad(_two_versions, 5, "Conflict", ("app: named more than once",)),
    "a file of another package": Bad(
        lambda desk: ["install", desk.bundle("thief", "1", {"usr/app": "stolen"})],
        5,
        "Conflict",
        ("/usr/app", "app"),
    ),
    "a file of nobody": Bad(_unowned, 5, "Conflict", ("/usr/mine", "--overwrite")),
    "a missing dependency": Bad(
        lambda desk: ["install", desk.bundle("app", "2", package='requires = ["engine (>= 3)"]')],
        5,
        "Conflict",
        ("app", "engine (>= 3)"),
    ),
    "a package that it excludes": Bad(
        lambda desk: ["install", desk.bundle("rival", "1", package='conflicts = ["app"]')],
        5,
        "Conflict",
        ("rival", "app"),
    ),
    "too old to upgrade from": Bad(
        lambda desk: ["install", desk.bundle("app", "9", package='upgrade_from = "5"')],
        5,
        "Conflict",
        ("app", "5"),
    ),
    "a downgrade": Bad(
        lambda desk: ["install", desk.bundle("app", "0.5")],
        5,
        "Conflict",
        ("0.5 is older than 1", "--allow-downgrade"),
    ),
    "a wrong file name": Bad(_wrong_name, 5, "Conflict", ("0.5 is older than 1",)),
    "what another package needs": Bad(_removed_base, 5, "Conflict", ("plugin", "app")),
    "unknown to remove": Bad(
        lambda _desk: ["remove", "ap"],
        1,
        "UnknownPackage",
        ("ap: not installed", "did you mean app?", "pkg list"),
    ),
    "unknown to roll back": Bad(
        lambda _desk: ["rollback", "99"], 1, "UnknownTransaction", ("99", "pkg history")
    ),
    "one of two unknown": Bad(
        lambda _desk: ["remove", "app", "nope"], 1, "UnknownPackage", ("nope: not installed",)
    ),
    "standard input twice": Bad(lambda _desk: ["install", "-", "-"], 2, "UsageError", ("once only",)),
}


@pytest.fixture
def settled(trusting: Desk) -> Desk:
    """A root with a package `app` in version 1."""
    trusting.good("install", trusting.bundle("app", "1", {"usr/app": "old", "etc/app.conf": "a = 1\n"}))
    return trusting


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_and_the_root_is_as_it_was(name: str, settled: Desk) -> None:
    bad = BAD[name]
    arguments = bad.prepare(settled)
    before = settled.snapshot()
    history = settled("history").out
    result = settled(*arguments)
    assert (result.code, result.out) == (bad.code, "")
    assert settled.snapshot() == before
    assert settled.leftovers() == []
    assert [line for line in settled("history").out.splitlines() if "committed" in line] == [
        line for line in history.splitlines() if "committed" in line
    ]
    assert settled("verify").code == 0


@pytest.mark.parametrize("name", BAD)
def test_the_message_says_what_and_where_and_what_to_type_next(name: str, settled: Desk) -> None:
    bad = BAD[name]
    result = settled(*bad.prepare(settled))
    assert [one for one in bad.says if one not in result.err] == []
    assert result.err.startswith("pkg: ")
    assert "\n  now: the root is as it was\n" in result.err
    assert "Traceback" not in result.err
    assert "\n  next: " in result.err


@pytest.mark.parametrize("name", BAD)
def test_as_json_it_has_the_same_facts_as_fields(name: str, settled: Desk) -> None:
    bad = BAD[name]
    result = settled("--json", *bad.prepare(settled))
    document = result.json
    assert document["exit_code"] == result.code == bad.code
    assert document["error"]["kind"] == bad.kind
    told = " ".join(str(one) for one in document["error"].values())
    assert [one for one in bad.says if one not in told] == []


def test_all_problems_are_told_at_once(settled: Desk) -> None:
    (settled.root / "usr/mine").write_text("precious")
    first = settled.bundle("one", "1", {"usr/app": "stolen"}, 'requires = ["engine"]')
    second = settled.bundle("two", "1", {"usr/mine": "theirs"}, 'conflicts = ["app"]')
    error = settled("--json", "install", first, second, settled.bundle("app", "0.1")).json["error"]
    assert len(error["details"]) >= 4
    told = "\n".join(error["details"])
    assert [one for one in ("engine", "/usr/mine", "two", "0.1 is older than 1") if one not in told] == []


def test_what_was_refused_goes_in_when_the_message_is_followed(settled: Desk) -> None:
    """Each remedy that names an option works when that option is typed."""
    (settled.root / "usr/mine").write_text("precious")
    clash = settled.bundle("one", "1", {"usr/mine": "theirs"})
    assert settled("install", clash).code == 5
    assert settled("install", clash, "--overwrite", "/usr/mine").code == 0
    assert (settled.root / "usr/mine").read_text() == "theirs"
    older = settled.bundle("app", "0.5")
    assert settled("install", older).code == 5
    assert settled("install", older, "--allow-downgrade").code == 0
    unsigned = settled.bundle("app", "2", key="")
    assert settled("install", unsigned).code == 3
    assert settled("install", unsigned, "--allow-unsigned").code == 0
    foreign = settled.bundle("app", "3", package='architecture = "s390x"')
    assert settled("install", foreign).code == 3
    assert settled("install", foreign, "--architecture", "s390x").code == 0
    needing = settled.bundle("two", "1", package='requires = ["engine (>= 3)"]')
    assert settled("install", needing, "--assume-installed", "engine=2").code == 5
    assert settled("install", needing, "--assume-installed", "engine=3").code == 0


def test_overwriting_is_limited_to_what_the_glob_names(settled: Desk) -> None:
    for name in ("first", "second"):
        (settled.root / "usr" / name).write_text("precious")
    bundle = settled.bundle("one", "1", {"usr/first": "theirs", "usr/second": "theirs"})
    result = settled("install", bundle, "--overwrite", "/usr/f*")
    assert (result.code, "/usr/second" in result.err, "/usr/first" in result.err) == (5, True, False)
    assert settled("install", bundle, "--overwrite", "/usr/f*", "--overwrite", "/usr/sec*").code == 0


def test_a_file_that_had_to_make_room_comes_back_by_a_rollback(settled: Desk) -> None:
    (settled.root / "usr/mine").write_text("precious")
    before = settled.snapshot(links=False)
    settled.good("install", settled.bundle("one", "1", {"usr/mine": "theirs"}), "--overwrite", "*")
    settled.good("rollback")
    assert settled.snapshot(links=False) == before
