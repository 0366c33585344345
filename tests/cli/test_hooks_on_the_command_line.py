"""Hooks and health checks as people meet them: who may bring them, what is shown, how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import Desk
from support.json_schema import faults
from support.workshop import Workshop

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hooks run in the root by chroot, which needs root")

MANIFEST = """
format = 1
[package]
name = "web"
version = "VERSION"
architecture = "all"
[[hook]]
when = "after"
command = ["/bin/sh", "-c", "echo started VERSION; exit CODE"]
[[file]]
source = "content"
path = "usr/share/web"
"""


@pytest.fixture
def host(desk: Desk) -> Desk:
    """A root with a shell, and a key that it trusts, but not for hooks."""
    workshop = Workshop.__new__(Workshop)
    workshop.path = desk.root
    workshop.give_shell()
    desk.good("key", "generate", "key")
    desk.good("key", "trust", "key.pub", "--yes")
    return desk


def build(desk: Desk, version: str, code: int = 0) -> str:
    Path("content").write_text(version)
    Path("web.toml").write_text(MANIFEST.replace("VERSION", version).replace("CODE", str(code)))
    desk.good("build", "web.toml", "--key", "key")
    return f"web-{version}-all.tar.zst"


def test_a_key_may_not_sign_hooks_unless_somebody_says_so(host: Desk) -> None:
    bundle = build(host, "1")
    refused = host("install", bundle)
    assert refused.code == 3
    assert "hooks (commands that are run on this machine), which none of its signers may sign" in refused.err
    assert "--hooks`" in refused.err
    assert host("inspect", bundle).code == 3
    host.good("key", "trust", "key.pub", "--yes", "--hooks")
    assert "also hooks" in host.good("key", "list").out
    host.good("install", bundle)


def test_what_would_be_run_is_shown_before(host: Desk) -> None:
    host.good("key", "trust", "key.pub", "--yes", "--hooks")
    bundle = build(host, "1")
    assert "runs:      /bin/sh -c 'echo started 1; exit 0' (after)" in host.good("inspect", bundle).out
    dry = host.good("install", bundle, "--dry-run", "--health-check", "/bin/sh -c 'test -e /usr'")
    assert "run      /bin/sh -c 'echo started 1; exit 0' (after of web, at most 60 s)" in dry.out
    assert "run      /bin/sh -c 'test -e /usr' (health, at most 60 s)" in dry.out
    document = host("--json", "inspect", bundle).json
    assert document["hooks"][0]["command"] == ["/bin/sh", "-c", "echo started 1; exit 0"]
    assert faults(document, "inspect") == []
    document = host("--json", "install", bundle, "--dry-run", "--health-check", "/x").json
    assert [one["when"] for one in document["plan"]["commands"]] == ["after", "health"]
    assert faults(document, "install") == []


def test_what_they_said_is_in_the_receipt_and_in_the_history(host: Desk) -> None:
    host.good("key", "trust", "key.pub", "--yes", "--hooks")
    assert "note: web: started 1" in host.good("install", build(host, "1")).out
    assert "    hooks: web: started 1" in host.good("history", "1").out
    document = host("--json", "history", "1").json
    assert document["transactions"][0]["hooks"] == ["web: started 1"]
    assert faults(document, "history") == []


def test_a_hook_that_says_no_ends_with_8_and_tells_why(host: Desk) -> None:
    host.good("key", "trust", "key.pub", "--yes", "--hooks")
    host.good("install", build(host, "1"))
    failed = host("install", build(host, "2", code=7))
    assert failed.code == 8
    assert "the action after web 2 ended with 7" in failed.err
    assert "  - web: started 2" in failed.err
    assert "now: everything was rolled back; the root is as it was" in failed.err
    assert (host.root / "usr/share/web").read_text() == "1"
    assert faults(host("--json", "install", "web-2-all.tar.zst").json, "error") == []


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("curl http://localhost", "must begin with the absolute path of a program, not 'curl'"),
        ("/bin/sh -c 'open", "No closing quotation"),
        ("", "must name a program"),
    ],
)
def test_a_health_check_that_cannot_be_one_is_refused_at_once(check: str, said: str, host: Desk) -> None:
    refused = host("install", build(host, "1"), "--health-check", check)
    assert refused.code == 2
    assert said in refused.err
    assert "--health-check '/usr/bin/true'" in refused.err


def test_a_health_check_decides(host: Desk) -> None:
    bundle = build(host, "1")
    failed = host(
        "install", bundle, "--no-hooks", "--allow-unsigned", "--health-check", "/bin/sh -c 'exit 3'"
    )
    assert failed.code == 3  # the key still may not sign hooks, whether or not they would be run
    host.good("key", "trust", "key.pub", "--yes", "--hooks")
    failed = host("install", bundle, "--no-hooks", "--health-check", "/bin/sh -c 'echo sick; exit 3'")
    assert failed.code == 8
    assert "health check: sick" in failed.err
    assert not (host.root / "usr/share/web").exists()
    host.good("install", bundle, "--health-check", "/bin/sh -c 'test -e /usr/share/web'")


def test_an_interrupted_one_says_what_comes_next(host: Desk) -> None:
    Path("content").write_text("x")
    Path("web.toml").write_text(
        MANIFEST.replace("VERSION", "1").replace("exit CODE", "kill -9 $PPID; while :; do :; done")
    )
    host.good("build", "web.toml", "--key", "key")
    host.good("key", "trust", "key.pub", "--yes", "--hooks")
    assert host.process("install", "web-1-all.tar.zst").code == -9
    status = host("recover", "--status")
    assert status.code == 6
    assert "interrupted in phase PROVISIONAL" in status.out
    assert "undo it, because its hooks or its health check had not confirmed it" in status.out
    assert "now rolled back" in host.good("recover").out
    assert not (host.root / "usr/share/web").exists()


def test_ctrl_c_while_one_runs_ends_it_and_rolls_back(host: Desk) -> None:
    Path("content").write_text("x")
    hang = "kill -INT $PPID; while :; do :; done"
    Path("web.toml").write_text(MANIFEST.replace("VERSION", "1").replace("exit CODE", hang))
    host.good("build", "web.toml", "--key", "key")
    host.good("key", "trust", "key.pub", "--yes", "--hooks")
    interrupted = host.process("install", "web-1-all.tar.zst")
    assert interrupted.code == 130
    assert "Traceback" not in interrupted.err
    assert not (host.root / "usr/share/web").exists()
    assert host("recover", "--status").code == 0


def test_ctrl_c_in_the_midst_of_a_recovery_ends_its_hook_and_completes_it(host: Desk) -> None:
    """The first run is killed before its action, so that the recovery has to run it."""
    Path("content").write_text("x")
    hook = "if [ -e /again ]; then kill -INT $PPID; while :; do :; done; fi"
    Path("web.toml").write_text(MANIFEST.replace("VERSION", "1").replace("exit CODE", hook))
    host.good("build", "web.toml", "--key", "key")
    host.good("key", "trust", "key.pub", "--yes", "--hooks")
    host.good("install", "web-1-all.tar.zst")
    host.good("rollback")
    (host.root / "again").write_text("")
    code = f"""
import os, signal, sys
from intact.transaction import commit
def die(*_arguments):
    os.kill(os.getpid(), signal.SIGKILL)
commit._confirm = die
from intact.cli.main import run_command
run_command(["--root", {str(host.root)!r}, "install", "web-1-all.tar.zst"])
"""
    died = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert died.returncode == -9
    assert "STAGED" in host("recover", "--status").out
    interrupted = host.process("recover")
    assert interrupted.code == 130
    assert "what had begun was undone or completed" in interrupted.err
    assert host("recover", "--status").code == 0
    assert not (host.root / "usr/share/web").exists()
