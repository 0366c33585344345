"""What goes to standard output, what to standard error, and what happens when one of them is closed, full or narrow?"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import PKG, Desk, clean_environment


def _run(desk: Desk, command: str, **environment: str) -> tuple[int, bytes, bytes]:
    """Run a shell's line, where $PKG is the command."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=desk.place,
        env=clean_environment(PKG=str(PKG), PKG_ROOT="root", **environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def full(trusting: Desk) -> Desk:
    """A root with two packages."""
    trusting.good("install", trusting.bundle("one", "1"), trusting.bundle("two", "2"))
    return trusting


def test_a_result_is_on_standard_output_alone(full: Desk) -> None:
    assert _run(full, "$PKG list") == (0, b"one 1 all\ntwo 2 all\n", b"")


def test_an_error_is_on_standard_error_alone(full: Desk) -> None:
    code, out, err = _run(full, "$PKG info nope")
    assert (code, out) == (1, b"")
    assert err.startswith(b"pkg: no such package\n")


def test_with_json_an_error_is_on_both(full: Desk) -> None:
    code, out, err = _run(full, "$PKG --json info nope")
    assert code == json.loads(out)["exit_code"] == 1
    assert err.startswith(b"pkg: no such package\n")


def test_messages_of_a_build_do_not_mix_with_its_json(full: Desk) -> None:
    full.source("three", "3", {"usr/three": "3"})
    code, out, err = _run(full, "$PKG --json build three-3.toml")
    assert (code, json.loads(out)["name"]) == (0, "three")
    assert b"note: the bundle is not signed" in err


@pytest.mark.parametrize("command", ["list", "files one", "history", "--json list", "--help"])
def test_a_reader_that_has_seen_enough_is_told_nothing(command: str, full: Desk) -> None:
    code, out, err = _run(full, f"$PKG {command} | true")
    assert (out, err) == (b"", b"")
    assert code == (1 if command == "--help" else 0)


def test_a_large_answer_stops_where_its_reader_stops(desk: Desk) -> None:
    """More than a pipe and Python's own buffer hold."""
    more = "\n".join(f'[[symlink]]\npath = "links/{number:0200}"\ntarget = "x"' for number in range(700))
    desk.good("build", desk.source("many", "1", {}, more=more), "-o", "many.tar.zst")
    desk.good("install", "--allow-unsigned", "many.tar.zst")
    assert _run(desk, "$PKG files many | head -n 2") == (0, b"/links\n/links/" + b"0" * 200 + b"\n", b"")


def test_an_install_into_a_closed_pipe_is_done_and_says_so_by_its_exit_code(full: Desk) -> None:
    full.bundle("one", "2")
    code, _, err = _run(full, "$PKG install one-2.tar.zst | true")
    assert (code, err) == (0, b"")
    assert full("list").out == "one 2 all\ntwo 2 all\n"


def test_a_full_disk_behind_standard_output_is_an_error(full: Desk) -> None:
    code, _, err = _run(full, "$PKG list >/dev/full")
    assert code == 1
    assert err.decode().splitlines() == [
        "pkg: standard output: the result could not be written: ENOSPC (No space left on device)",
        "  now: what the command does is done; only its output is missing",
        "  next: `pkg list` and `pkg history` tell again",
    ]


def test_an_install_whose_result_is_lost_does_not_claim_that_nothing_happened(full: Desk) -> None:
    full.bundle("one", "2")
    code, _, err = _run(full, "$PKG --json install one-2.tar.zst >/dev/full")
    assert code == 1
    assert b"now: what the command does is done" in err
    assert b"the root is as it was" not in err
    assert full("list").out == "one 2 all\ntwo 2 all\n"


def test_help_that_cannot_be_written_is_an_error_without_a_traceback(desk: Desk) -> None:
    code, _, err = _run(desk, "$PKG --help >/dev/full")
    assert code == 1
    assert b"ENOSPC" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_an_install_works_with_closed_streams_and_no_file_takes_their_place(closed: str, full: Desk) -> None:
    """The journal must not become descriptor 2, where messages would be written into it."""
    full.bundle("one", "2")
    code, _, err = _run(full, f"$PKG install one-2.tar.zst {closed}")
    assert (code, err) == (0, b"")
    assert full("list").out == "one 2 all\ntwo 2 all\n"
    assert full("verify").code == 0


def test_an_error_without_standard_error_does_not_go_to_standard_output(full: Desk) -> None:
    assert _run(full, "$PKG info nope 2>&-") == (1, b"", b"")


def test_standard_input_that_is_closed_is_an_empty_bundle(desk: Desk) -> None:
    code, _, err = _run(desk, "$PKG install - <&-")
    assert code == 3
    assert b"standard input: the file is empty" in err


def test_a_standard_error_that_takes_nothing_stops_no_work(full: Desk) -> None:
    full.source("three", "3", {"usr/three": "3"})
    code, out, _ = _run(full, "$PKG build three-3.toml 2>/dev/full")
    assert code == 0
    assert b"three 3 (all)" in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_character_that_the_encoding_does_not_have_is_escaped(encoding: str, full: Desk) -> None:
    """A locale's; no variable of Python's own is listened to."""
    full.bundle("one", "2")
    code = (
        f"import sys; sys.stdout.reconfigure(encoding={encoding!r}); sys.argv[1:] = ['install', 'one-2.tar.zst'];"
        "from intact.cli.main import main; main()"
    )
    ended, out, err = _run(full, f'{sys.executable} -I -c "{code}"')
    assert (ended, err) == (0, b"")
    arrow = "→" if encoding == "utf-8" else "\\u2192"
    assert f"upgrade  one 1 {arrow} 2" in out.decode(encoding)


def test_a_language_without_utf8_changes_nothing(full: Desk) -> None:
    code, out, _ = _run(full, "$PKG list", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert (code, out) == (0, b"one 1 all\ntwo 2 all\n")


def test_nothing_is_coloured_and_no_bar_appears_without_a_terminal(full: Desk) -> None:
    full.bundle("one", "2", {"usr/one": "x" * 3_000_000})
    code, out, err = _run(full, "$PKG install one-2.tar.zst; $PKG verify", FORCE_COLOR="1")
    assert (code, err) == (0, b"")
    assert b"\x1b" not in out


def test_a_bundle_is_read_from_standard_input_and_a_named_pipe_points_there(full: Desk) -> None:
    full.bundle("one", "2")
    code, _, err = _run(full, "$PKG install <(cat one-2.tar.zst)")
    assert code == 3
    assert b"(`-` reads a bundle from standard input)" in err
    code, out, _ = _run(full, "cat one-2.tar.zst | $PKG --json install -")
    assert (code, json.loads(out)["packages"][0]["new"]) == (0, "2")


def test_one_json_document_also_where_standard_input_is_the_bundle(full: Desk) -> None:
    code, out, _ = _run(full, "cat one-1.tar.zst | $PKG --json inspect -")
    assert (code, json.loads(out)["name"]) == (0, "one")
    code, out, _ = _run(full, "head -c 300 one-1.tar.zst | $PKG --json inspect -")
    assert (code, json.loads(out)["error"]["kind"]) == (3, "BundleDamaged")


def test_the_working_directory_is_where_relative_names_begin(full: Desk, tmp_path: Path) -> None:
    code, out, _ = _run(full, f"cd {tmp_path} && $PKG --root {os.path.relpath(full.root, tmp_path)} list")
    assert (code, out) == (0, b"one 1 all\ntwo 2 all\n")
