"""A hook runs because its publisher may and the user wants it, and has nothing of who started `pkg`."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command_line import PKG, Desk, Result, clean_environment
from support.workshop import Workshop

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hooks run in the root by chroot, which needs root")


@pytest.fixture
def host(trusting: Desk) -> Desk:
    """A root with a shell and `id`, and a key that it trusts, for hooks too."""
    workshop = Workshop.__new__(Workshop)
    workshop.path = trusting.root
    workshop.give_shell()
    program = shutil.which("id") or "/usr/bin/id"
    needed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for name in (*(word for word in needed.split() if word.startswith("/")), program):
        target = trusting.root / name[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, target)
    trusting.good("key", "trust", "key.pub", "--yes", "--hooks")
    return trusting


def hooked(desk: Desk, *words: str, when: str = "after", version: str = "1", more: str = "") -> str:
    """Build a package with one hook."""
    (desk.place / "content").write_text("x")
    (desk.place / "hooked.toml").write_text(
        f'format = 1\n[package]\nname = "hooked"\nversion = "{version}"\narchitecture = "all"\n'
        f'[[hook]]\nwhen = "{when}"\ncommand = {list(words)!r}\n{more}\n'
        '[[file]]\nsource = "content"\npath = "usr/hooked"\n'
    )
    desk.good("build", "hooked.toml", "-o", f"hooked-{version}.tar.zst", "--key", "key")
    return f"hooked-{version}.tar.zst"


def _start(
    desk: Desk, *words: str, before: Callable[[], object] | None = None, more: dict[str, str] | None = None
) -> Result:
    done = subprocess.run(
        [PKG, "--root", "root", *words],
        cwd=desk.place,
        env=clean_environment(**(more or {})),
        input="typed by somebody\n",
        capture_output=True,
        text=True,
        close_fds=False,
        preexec_fn=before,
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _said(result: Result) -> list[str]:
    assert (result.code, result.err) == (0, "")
    return [
        line.removeprefix("note: hooked: ") for line in result.out.splitlines() if "note: hooked: " in line
    ]


def test_sec_42_no_shell_reads_the_words(host: Desk) -> None:
    bundle = hooked(host, "/bin/sh", "-c", 'printf "%s\\n" "$@"', "0", "$(id)", "; id", "*", "a  b")
    assert _said(_start(host, "install", bundle)) == ["$(id)", "; id", "*", "a  b"]


def test_sec_42_its_environment_is_fixed(host: Desk) -> None:
    bundle = hooked(host, "/bin/sh", "-c", "unset OLDPWD; export -p; echo cwd $PWD; umask")
    evil = {
        "SECRET": "x",
        "LD_LIBRARY_PATH": "/x",
        "ENV": "/x",
        "IFS": "/",
        "PKG_ROOT": "/x",
        "PATH": "/x:/usr/bin:/bin",
    }
    assert _said(_start(host, "install", bundle, more=evil)) == [
        "export HOME='/'",
        "export LANG='C.UTF-8'",
        "export PATH='/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'",
        "export PKG_HOOK='after'",
        "export PKG_PACKAGE='hooked'",
        "export PKG_TRANSACTION='1'",
        "export PKG_VERSION='1'",
        "export PWD='/'",
        "cwd /",
        "0022",
    ]


def test_sec_42_it_gets_no_groups_and_no_descriptors_of_who_started_us(host: Desk) -> None:
    look = "id -u; id -g; id -G; for n in 3 4 5 6 7 8 9 20; do (: <&$n) 2>/discard && echo open $n; done; echo end"

    def before() -> None:
        os.setgroups([0, 4, 27, 4711])
        os.setgid(27)
        for number in (3, 9, 20):
            os.dup2(0, number, inheritable=True)

    bundle = hooked(host, "/bin/sh", "-c", look)
    assert _said(_start(host, "install", bundle, before=before)) == ["0", "0", "0", "end"]


def test_sec_42_standard_input_is_empty(host: Desk) -> None:
    bundle = hooked(host, "/bin/sh", "-c", 'read -r line; echo "$? <$line>"')
    assert _said(_start(host, "install", bundle)) == ["1 <>"]


def test_sec_42_it_has_a_session_of_its_own(host: Desk) -> None:
    (host.root / "proc").mkdir()
    if subprocess.run(
        ["mount", "-t", "proc", "proc", host.root / "proc"], check=False, capture_output=True
    ).returncode:
        pytest.skip("this machine cannot mount")
    try:
        bundle = hooked(host, "/bin/sh", "-c", "read -r line </proc/$$/stat; echo $$ $line")
        (said,) = _said(_start(host, "install", bundle))
    finally:
        subprocess.run(["umount", host.root / "proc"], check=True)
    pid, _, rest = said.partition(" ")
    _state, _parent, group, session, terminal, *_ = rest.rpartition(")")[2].split()
    assert group == session == pid
    assert terminal == "0"


def test_sec_42_it_is_ended_in_time_with_all_that_it_started(host: Desk) -> None:
    hang = "trap '' TERM; (trap '' TERM; echo $$ >/pid; while :; do :; done) & wait; while :; do :; done"
    bundle = hooked(host, "/bin/sh", "-c", hang, more="timeout = 1")
    result = _start(host, "install", bundle)
    assert result.code == 8
    assert "took longer than 1 s and was ended" in result.err
    assert not (host.root / "usr/hooked").exists()
    assert [one for one in Path("/proc").glob("[0-9]*/root") if _leads_to(one, host.root)] == []


def _leads_to(link: Path, place: Path) -> bool:
    try:
        return str(link.readlink()) == str(place)
    except OSError:
        return False


def test_sec_42_a_check_runs_what_was_verified_where_nobody_else_can_enter(host: Desk) -> None:
    (host.place / "check.sh").write_text('#!/bin/sh\necho "$0"\n')
    (host.place / "check.sh").chmod(0o755)
    planted = host.root / "usr/lib/check"
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text("#!/bin/sh\necho planted\n")
    planted.chmod(0o755)
    more = '[[file]]\nsource = "check.sh"\npath = "usr/lib/check"\nmode = "0755"\n'
    bundle = hooked(host, "/usr/lib/check", when="before", more=more)
    (said,) = _said(_start(host, "install", "--overwrite", "/usr/lib/check", bundle))
    assert said.startswith("/var/lib/intact/private/transactions/1/slots/")


@pytest.mark.parametrize("why", ["the key may not", "nobody wants it"])
def test_sec_42_off_unless_role_and_user_want_it(why: str, host: Desk) -> None:
    bundle = hooked(host, "/bin/sh", "-c", "echo run >/run-it")
    if why == "the key may not":
        host.good("key", "trust", "key.pub", "--yes", "--no-hooks")
        assert _start(host, "install", bundle).code == 3
        assert _start(host, "install", "--no-hooks", bundle).code == 3
    else:
        assert _start(host, "install", "--no-hooks", bundle).code == 0
    assert not (host.root / "run-it").exists()
