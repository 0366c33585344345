"""Whoever starts `pkg`, and with whatever limits, masks and descriptors: it does the same, or says what is missing."""

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable

import pytest

from support.command_line import PKG, Desk, Result, clean_environment


def _start(desk: Desk, *words: str, before: Callable[[], object] | None = None, umask: int = -1) -> Result:
    """Start a command whose process is prepared by `before`."""
    done = subprocess.run(
        [PKG, "--root", desk.root, *words],
        cwd=desk.place,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        umask=umask,
        close_fds=False,
        preexec_fn=before,
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _modes(desk: Desk) -> dict[str, int]:
    state = desk.root / "var/lib/intact"
    return {
        str(path.relative_to(state)): stat.S_IMODE(path.lstat().st_mode)
        for path in sorted(state.rglob("*"))
        if len(path.name) != 69  # manifests, whose names are digests
    }


@pytest.fixture
def ready(trusting: Desk) -> Desk:
    """A root, and a bundle for it."""
    trusting.bundle("app", "1", {"usr/app": "1", "etc/app": "1"})
    return trusting


@pytest.fixture
def usual(ready: Desk) -> tuple[Desk, dict[str, object]]:
    """As above, with what an installation under the usual umask leaves."""
    result = _start(ready, "install", "app-1.tar.zst", umask=0o022)
    assert (result.code, result.err) == (0, "")
    usual = {"root": ready.snapshot(), "state": _modes(ready), "out": result.out}
    subprocess.run(["rm", "-r", ready.root], check=True)
    ready.root.mkdir()
    ready.good("key", "trust", "key.pub", "--yes")
    return ready, usual


def _many_descriptors() -> None:
    for number in range(20, 60):
        os.dup2(1, number, inheritable=True)


SURROUNDINGS: dict[str, tuple[int, Callable[[], object] | None]] = {
    "umask 0": (0, None),
    "umask 0777": (0o777, None),
    "standard input closed": (0o022, lambda: os.close(0)),
    "forty descriptors more": (0o022, _many_descriptors),
    "no core file may be written": (0o022, lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))),
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_sec_26_it_does_the_same(name: str, usual: tuple[Desk, dict[str, object]]) -> None:
    desk, expected = usual
    umask, before = SURROUNDINGS[name]
    result = _start(desk, "install", "app-1.tar.zst", before=before, umask=umask)
    assert (result.code, result.err) == (0, "")
    assert {"root": desk.snapshot(), "state": _modes(desk), "out": result.out} == expected


def test_sec_26_a_deleted_working_directory_changes_nothing(ready: Desk) -> None:
    gone = ready.place / "gone"

    def delete() -> None:
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    # The shell that starts the interpreter may complain; what it starts does not.
    bundle = str(ready.place / "app-1.tar.zst")
    for words in (["install", bundle], ["list"], ["verify"], ["rollback"]):
        result = _start(ready, *words, before=delete)
        assert result.code == 0, result
        assert all("getcwd" in line for line in result.err.splitlines()), result.err


def test_sec_26_a_relative_root_in_a_deleted_working_directory_is_told(ready: Desk) -> None:
    done = subprocess.run(
        ["sh", "-c", f'mkdir gone && cd gone && rmdir ../gone && exec "{PKG}" --root root list'],
        cwd=ready.place,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the root cannot be opened (ENOENT" in done.stderr
    assert "Traceback" not in done.stderr


def test_sec_26_no_core_file_holds_a_key() -> None:
    code = (
        "import resource; from intact.cli.surroundings import settle_surroundings as settle; settle();"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n"


@pytest.mark.parametrize("most", [14, 18, 24])
def test_sec_26_too_few_descriptors_are_told(most: int, ready: Desk) -> None:
    wide = {f"usr/{'/'.join('abcdefghijklmnopqrstuvwxyz')}/{number}": "x" for number in range(3)}
    ready.bundle("wide", "1", wide)
    before = ready.snapshot()
    result = _start(
        ready,
        "install",
        "wide-1.tar.zst",
        before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)),
    )
    assert result.code == 1
    assert "EMFILE" in result.err
    assert "next: raise the limit of open files (ulimit -n)" in result.err
    assert "Traceback" not in result.err
    assert ready.snapshot() == before
    ready.good("install", "wide-1.tar.zst")


@pytest.mark.parametrize("most", [0, 100, 20_000, 300_000])
def test_sec_26_a_limit_of_file_sizes_is_told(most: int, ready: Desk) -> None:
    ready.bundle("big", "1", {"usr/big": os.urandom(200_000).hex()})
    before = ready.snapshot()
    result = _start(
        ready,
        "install",
        "big-1.tar.zst",
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert result.code == 1, result
    assert "EFBIG" in result.err
    assert "next: raise the limit of file sizes (ulimit -f)" in result.err
    assert "Traceback" not in result.err
    assert ready.snapshot() == before
    ready.good("install", "big-1.tar.zst")


@pytest.mark.parametrize("words", [("install", "app-1.tar.zst"), ("list",), ("key", "trust", "other.pub")])
def test_sec_26_standard_input_that_is_no_terminal_is_not_read(words: tuple[str, ...], ready: Desk) -> None:
    ready.good("key", "generate", "other")
    reading, writing = os.pipe()
    os.write(writing, b"y\ny\n")
    os.close(writing)
    done = subprocess.run(
        [PKG, "--root", "root", *words],
        cwd=ready.place,
        env=clean_environment(),
        stdin=reading,
        capture_output=True,
        check=False,
        timeout=60,
    )
    left = os.read(reading, 100)
    os.close(reading)
    assert b"Traceback" not in done.stderr
    assert left == b"y\ny\n"
