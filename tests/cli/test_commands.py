"""Every command as a user types it: its output, its JSON, its exit code."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from intact.cli.main import run_command
from intact.state.layout import StateLayout
from intact.system.linux import LinuxDisk

PKG = Path(sys.executable).with_name("pkg")


@dataclass(frozen=True)
class Result:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  a JSON document
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture
def place(fast_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a root, a key, and the sources of two versions."""
    monkeypatch.chdir(fast_path)
    monkeypatch.delenv("PKG_ROOT", raising=False)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (fast_path / "root").mkdir()
    for version in ("1.0", "2.0"):
        source = fast_path / f"source-{version}"
        (source / "bin").mkdir(parents=True)
        (source / "bin/hello").write_text(f"#!/bin/sh\necho hello {version}\n")
        (source / "bin/hello").chmod(0o755)
        (source / "etc").mkdir()
        (source / "etc/hello.conf").write_text(f"version = {version}\n")
        (fast_path / f"hello-{version}.toml").write_text(
            f'format = 1\n[package]\nname = "hello"\nversion = "{version}"\narchitecture = "all"\n'
            f'summary = "Says hello"\n[[tree]]\nsource = "source-{version}"\nconfig = ["etc/*"]\n'
        )
    return fast_path


@pytest.fixture
def pkg(place: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    def run(*arguments: str | Path) -> Result:
        capfd.readouterr()
        code = run_command(["--root", "root", *map(str, arguments)])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def bundles(pkg: Command) -> tuple[str, str]:
    """Two signed bundles, whose key the root trusts."""
    assert pkg("key", "generate", "key", "--comment", "me@example.org").code == 0
    for version in ("1.0", "2.0"):
        assert pkg("build", f"hello-{version}.toml", "--key", "key").code == 0
    assert pkg("key", "trust", "key.pub", "--yes").code == 0
    return "hello-1.0-all.tar.zst", "hello-2.0-all.tar.zst"


def test_a_whole_life(pkg: Command, bundles: tuple[str, str], place: Path) -> None:
    first, second = bundles
    assert "install  hello 1.0" in pkg("install", first).out
    assert pkg("list").out == "hello 1.0 all\n"
    assert "Says hello" in pkg("info", "hello").out
    assert pkg("files", "hello").out.splitlines() == ["/bin", "/bin/hello", "/etc", "/etc/hello.conf"]
    assert pkg("owner", "/bin/hello").out == "/bin/hello: hello\n"
    assert pkg("owner", "root/bin/hello").out == "/bin/hello: hello\n"
    assert "upgrade  hello 1.0 → 2.0" in pkg("install", second).out
    assert pkg("verify").code == 0
    assert "go back  hello 2.0 → 1.0" in pkg("rollback").out
    assert [one["kind"] for one in pkg("--json", "history").json["transactions"]] == [
        "rollback",
        "install",
        "install",
    ]
    assert "command: pkg" in pkg("history", "1").out
    assert "remove   hello 1.0" in pkg("remove", "hello").out
    assert pkg("list").out == ""


def test_every_answer_is_one_json_document(pkg: Command, bundles: tuple[str, str]) -> None:
    first, _ = bundles
    assert pkg("--json", "install", first).json["changed"] is True
    assert pkg("--json", "install", first).json["changed"] is False
    assert pkg("--json", "list").json["packages"][0]["name"] == "hello"
    assert pkg("--json", "info", "hello").json["version"] == "1.0"
    assert pkg("--json", "files", "hello").json["files"][1]["path"] == "/bin/hello"
    assert pkg("--json", "owner", "bin/hello").json["owners"][0]["package"] == "hello"
    assert pkg("--json", "verify").json["clean"] is True
    assert pkg("--json", "config").json == {"config": []}
    assert pkg("--json", "key", "list").json["keys"][0]["status"] == "trusted"
    assert pkg("--json", "recover", "--status").json == {"interrupted": []}
    assert pkg("--json", "recover").json == {"recovered": [], "told": []}
    assert pkg("--json", "inspect", first, "--files", "--full").json["trusted"] is True
    document = pkg("--json", "remove", "nope").json
    assert document["exit_code"] == 1
    assert document["error"]["kind"] == "UnknownPackage"


def test_a_dry_run_prints_the_plan_and_changes_nothing(
    pkg: Command, bundles: tuple[str, str], place: Path
) -> None:
    result = pkg("install", "--dry-run", bundles[0])
    assert "create   /bin" in result.out
    assert "nothing was changed" in result.out
    assert not (place / "root/bin").exists()
    pkg("install", bundles[0])
    assert "replace  /bin/hello" in pkg("install", "-n", bundles[1]).out
    assert "remove" in pkg("remove", "-n", "hello").out
    assert "remove" in pkg("rollback", "-n").out
    assert pkg("verify").code == 0


def test_nothing_to_do_has_an_exit_code_on_demand(pkg: Command, bundles: tuple[str, str]) -> None:
    assert pkg("install", "--exit-unchanged", bundles[0]).code == 0
    assert pkg("install", bundles[0]).code == 0
    result = pkg("install", "--exit-unchanged", bundles[0])
    assert (result.code, result.out) == (4, "nothing to do: everything is as it should be\n")


def test_quiet_says_nothing_but_the_result(pkg: Command, bundles: tuple[str, str]) -> None:
    result = pkg("--quiet", "install", bundles[0])
    assert (result.code, result.out, result.err) == (0, "", "")


def test_a_bundle_comes_through_a_pipe(pkg: Command, bundles: tuple[str, str], place: Path) -> None:
    with (
        (place / bundles[0]).open("rb") as source,
        subprocess.Popen(["cat"], stdin=source, stdout=subprocess.PIPE) as pipe,
    ):
        done = subprocess.run(
            [PKG, "--root", "root", "install", "-"], stdin=pipe.stdout, capture_output=True, check=False
        )
        if pipe.stdout:
            pipe.stdout.close()
    assert done.returncode == 0, done.stderr
    assert pkg("verify").code == 0
    assert pkg("install", "-", "-").code == 2


REFUSED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda _bundle: b"", "the file is empty"),
    "text": (lambda _bundle: b"hello\n" * 100, "this is not a bundle"),
    "truncated": (lambda bundle: bundle.read_bytes()[:-9], "cut off"),
    "damaged": (lambda bundle: _flipped(bundle.read_bytes(), -9), "altered"),
    "damaged head": (lambda bundle: _flipped(bundle.read_bytes(), 40), "the head of the bundle"),
    "something behind it": (lambda bundle: bundle.read_bytes() + b"x", "something follows"),
    "gzip": (lambda _bundle: b"\x1f\x8b" + bytes(100), "gzip"),
}


def _flipped(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_bundle_is_refused_with_one_clean_line(
    name: str, pkg: Command, bundles: tuple[str, str], place: Path
) -> None:
    make, expected = REFUSED[name]
    (place / "bad.tar.zst").write_bytes(make(place / bundles[0]))
    result = pkg("install", "bad.tar.zst")
    assert result.code == 3
    assert result.err.startswith("pkg: bad.tar.zst: ")
    assert expected in result.err
    assert "now: the root is as it was" in result.err
    assert "next: " in result.err
    assert sorted(path.name for path in (place / "root").iterdir()) == ["var"]
    assert not list((place / "root/var/lib/intact/private/transactions").iterdir())


def test_unsigned_and_untrusted_are_refused_and_say_what_to_type(
    pkg: Command, bundles: tuple[str, str]
) -> None:
    pkg("build", "hello-1.0.toml", "-o", "unsigned.tar.zst")
    assert "--allow-unsigned" in pkg("install", "unsigned.tar.zst").err
    result = pkg("install", "--allow-unsigned", "unsigned.tar.zst")
    assert "UNSIGNED" in result.out
    assert "(unsigned)" in pkg("list").out
    assert "let in unsigned" in pkg("info", "hello").out
    pkg("key", "generate", "other")
    pkg("sign", "unsigned.tar.zst", "--key", "other")
    result = pkg("install", "unsigned.tar.zst")
    assert result.code == 3
    assert "pkg key trust" in result.err
    assert pkg("inspect", "unsigned.tar.zst").code == 3


def test_a_revoked_key_counts_no_longer(pkg: Command, bundles: tuple[str, str]) -> None:
    fingerprint = pkg("--json", "key", "list").json["keys"][0]["fingerprint"]
    assert pkg("key", "revoke", fingerprint).code == 0
    result = pkg("install", bundles[0])
    assert result.code == 3
    assert "is revoked" in result.err
    assert pkg("key", "revoke", "SHA256:nothing").code == 1
    assert fingerprint not in pkg("key", "export").out


def test_a_bundle_is_signed_twice_and_the_payload_stays(
    pkg: Command, bundles: tuple[str, str], place: Path
) -> None:
    pkg("key", "generate", "second")
    assert "signed by" in pkg("sign", bundles[0], "--key", "second").out
    assert "already" in pkg("sign", bundles[0], "--key", "second").out
    assert len(pkg("--json", "inspect", bundles[0]).json["signers"]) == 2
    assert pkg("install", bundles[0]).code == 0


def test_a_signature_of_ssh_keygen_is_attached_and_lets_the_bundle_in(
    pkg: Command, bundles: tuple[str, str], place: Path
) -> None:
    pkg("build", "hello-1.0.toml", "-o", "plain.tar.zst")
    subprocess.run(["tar", "--zstd", "-xf", "plain.tar.zst"], check=True)
    command = [
        "ssh-keygen",
        "-Y",
        "sign",
        "-f",
        "key",
        "-n",
        "pkg-manifest-v1@intact",
        ".intact/manifest.toml",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert "signed by" in pkg("sign", "plain.tar.zst", "--signature", ".intact/manifest.toml.sig").out
    assert pkg("install", "plain.tar.zst").code == 0
    result = pkg("sign", bundles[1], "--signature", ".intact/manifest.toml.sig")
    assert (result.code, "not made over the manifest" in result.err) == (2, True)
    (place / "nonsense").write_text("nonsense")
    assert pkg("sign", bundles[1], "--signature", "nonsense").code == 2
    assert pkg("sign", bundles[1], "--signature", "nowhere").code == 1
    assert pkg("sign", bundles[1]).code == 2


def test_ssh_keygen_verifies_with_the_exported_keys(
    pkg: Command, bundles: tuple[str, str], place: Path
) -> None:
    exported = pkg("key", "export").out
    (place / "allowed").write_text(exported)
    subprocess.run(["tar", "--zstd", "-xf", bundles[0]], check=True)
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "allowed",
        "-I",
        exported.split()[0],
        "-n",
        "pkg-manifest-v1@intact",
    ]
    with (place / ".intact/manifest.toml").open("rb") as manifest:
        done = subprocess.run(
            [*command, "-s", ".intact/manifest.toml.sig"],
            stdin=manifest,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr


MISTAKES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no command": ((), 2, "Usage"),
    "unknown command": (("frobnicate",), 2, "No such command"),
    "unknown option": (("list", "--frob"), 2, "No such option"),
    "missing bundle": (("install", "nowhere.tar.zst"), 1, "ENOENT"),
    "a directory as bundle": (("install", "root"), 3, "not a regular file"),
    "missing manifest": (("build", "nowhere.toml"), 1, "ENOENT"),
    "missing key": (("key", "trust", "nowhere.pub"), 1, "ENOENT"),
    "unknown package": (("info", "nothing"), 1, "not installed"),
    "unowned path": (("owner", "/nothing"), 1, ""),
    "a path that cannot be": (("owner", "../x"), 2, "component '..'"),
    "unknown transaction": (("history", "77"), 1, "no transaction 77"),
    "nothing to roll back": (("rollback",), 1, "no transaction"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_exit_code(name: str, pkg: Command) -> None:
    arguments, code, expected = MISTAKES[name]
    result = pkg(*arguments)
    assert (result.code, "Traceback" in result.err) == (code, False)
    assert expected in result.err


def test_a_root_that_does_not_exist_is_told(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--root", "nowhere", "list"]) == 1
    assert "mkdir -p nowhere" in capfd.readouterr().err


def test_all_faults_of_a_manifest_are_told_at_once(pkg: Command, place: Path) -> None:
    (place / "bad.toml").write_text(
        'format = 1\n[package]\nname = "Bad Name"\nversion = "-"\narchitecture = "all"\ncolour = "red"\n'
        '[[file]]\nsource = "nothing*"\npath = "/absolute"\nmode = "999"\n'
    )
    result = pkg("build", "bad.toml")
    assert result.code == 3
    for place_of_fault in (
        "package.name",
        "package.version",
        "package.colour",
        "file[0].source",
        "file[0].path",
    ):
        assert place_of_fault in result.err


def test_a_second_pkg_waits_and_then_names_the_holder(
    pkg: Command, bundles: tuple[str, str], place: Path
) -> None:
    pkg("install", bundles[0])
    disk = LinuxDisk("root")
    with pkg_lock(disk):
        started = time.monotonic()
        result = pkg("--lock-timeout", "0.3", "install", bundles[1])
        assert time.monotonic() - started >= 0.3
        assert pkg("list").code == 0  # readers never wait
    disk.close()
    assert result.code == 7
    assert "the test itself" in result.err


def pkg_lock(disk: LinuxDisk) -> Any:  # noqa: ANN401  a context manager
    return disk.locked(StateLayout().lock, timeout=1, holder="the test itself")


def test_an_edited_configuration_is_listed(pkg: Command, bundles: tuple[str, str], place: Path) -> None:
    pkg("install", bundles[0])
    (place / "root/etc/hello.conf").write_text("mine\n")
    pkg("install", bundles[1])
    assert "/etc/hello.conf (hello): edited; the new version is /etc/hello.conf.pkg-new" in pkg("config").out
    result = pkg("verify")
    assert (result.code, "[configuration]" in result.out) == (0, True)
    (place / "root/bin/hello").write_text("damaged")
    result = pkg("verify", "hello")
    assert (result.code, "1 differences" in result.out) == (10, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_learn_to_complete(shell: str, pkg: Command) -> None:
    assert "_PKG_COMPLETE" in pkg("completion", shell).out


def test_help_names_every_command(pkg: Command) -> None:
    shown = pkg("--help").out
    for command in ("build", "install", "rollback", "recover", "verify"):
        assert f"\n  {command} " in shown
    assert "--overwrite" in pkg("install", "--help").out


def test_a_protected_key_takes_its_passphrase_from_the_environment(
    pkg: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PKG_KEY_PASSPHRASE", "secret")
    assert pkg("key", "generate", "safe", "--passphrase").code == 0
    assert pkg("build", "hello-1.0.toml", "--key", "safe").code == 0
    monkeypatch.setenv("PKG_KEY_PASSPHRASE", "wrong")
    assert "passphrase is wrong" in pkg("build", "hello-1.0.toml", "--key", "safe").err
    monkeypatch.delenv("PKG_KEY_PASSPHRASE")
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert "PKG_KEY_PASSPHRASE" in pkg("build", "hello-1.0.toml", "--key", "safe").err


def test_building_twice_gives_the_same_bytes(pkg: Command) -> None:
    one = pkg("--json", "build", "hello-1.0.toml", "-o", "one.tar.zst").json
    two = pkg("--json", "build", "hello-1.0.toml", "-o", "two.tar.zst").json
    assert one["sha256"] == two["sha256"]


def test_a_killed_upgrade_is_finished_by_the_next_command(
    pkg: Command, bundles: tuple[str, str], place: Path
) -> None:
    pkg("install", bundles[0])
    journal = place / "root/var/lib/intact/private/transactions/2/journal"
    running = subprocess.Popen([PKG, "--root", "root", "install", bundles[1]], stdout=subprocess.DEVNULL)
    while running.poll() is None:
        if journal.exists() and b"STAGED" in journal.read_bytes():
            running.kill()
    running.wait()
    pkg("install", bundles[1])
    assert pkg("list").out == "hello 2.0 all\n"
    assert pkg("verify").code == 0
