"""The parts of the screen by themselves: results, messages, errors, the progress bar; and the session."""

import io
import json
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from intact.cli import screen as screen_module
from intact.cli.endings import Interrupted, OutputLost, Terminated
from intact.cli.screen import ProgressBar, Screen, finish_output
from intact.cli.session import Session, root_path
from intact.model.errors import Conflict, UsageError, machine_error
from intact.operations.root import open_root


class _Refusing(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, _text: str) -> int:
        raise OSError(self._number, os.strerror(self._number))

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_WRONLY)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("quiet", [False, True])
def test_a_result_is_lines_or_a_document(quiet: bool, capsys: Captured) -> None:  # noqa: FBT001
    Screen(as_json=False, quiet=quiet).result({"a": 1}, ["one", "two"])
    assert capsys.readouterr().out == "one\ntwo\n"
    Screen(as_json=True, quiet=quiet).result({"a": "é\udcff"}, ["one"])
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": "é\udcff"}
    assert text.isascii()


def test_a_result_without_lines_is_nothing_not_an_empty_line(capsys: Captured) -> None:
    Screen(as_json=False, quiet=False).result({"packages": []}, [])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("as_json", "quiet", "expected"),
    [(False, False, "done\n"), (False, True, ""), (True, False, "{}\n"), (True, True, "{}\n")],
)
def test_what_was_done_is_told_unless_quiet(
    as_json: bool,  # noqa: FBT001
    quiet: bool,  # noqa: FBT001
    expected: str,
    capsys: Captured,
) -> None:
    Screen(as_json=as_json, quiet=quiet).done({}, ["done"])
    assert capsys.readouterr().out == expected


def test_a_message_is_escaped_and_for_standard_error(capsys: Captured) -> None:
    Screen(as_json=True, quiet=False).say("a\x1b\nb")
    Screen(as_json=False, quiet=True).say("not told")
    assert capsys.readouterr() == ("", "a\\x1b\\x0ab\n")


def test_an_error_is_told_even_when_quiet(capsys: Captured) -> None:
    Screen(as_json=False, quiet=True).error(Conflict("no", remedy="this"))
    assert capsys.readouterr() == ("", "pkg: no\n  now: the root is as it was\n  next: this\n")


def test_an_error_as_json_has_all_its_fields(capsys: Captured) -> None:
    error = machine_error("open", OSError(13, "Permission denied"), "usr/x")
    Screen(as_json=True, quiet=False).error(error)
    assert json.loads(capsys.readouterr().out) == {
        "error": {
            "kind": "MachineError",
            "message": "open: EACCES (Permission denied)",
            "path": "usr/x",
            "details": [],
            "remedy": "run the command as root or as the owner of the root",
            "root_state": "the root is as it was",
            "errno": "EACCES",
        },
        "exit_code": 1,
    }


def test_a_reader_that_left_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Refusing(32))
    Screen(as_json=False, quiet=False).result({}, ["one"])


@pytest.mark.parametrize(("number", "name"), [(28, "ENOSPC"), (5, "EIO"), (122, "EDQUOT")])
def test_an_output_that_is_lost_is_an_error(number: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Refusing(number))
    with pytest.raises(OutputLost, match=name) as caught:
        Screen(as_json=True, quiet=False).result({}, [])
    assert caught.value.exit_code == 1
    assert "is done" in caught.value.root_state


def test_an_error_is_told_to_people_when_its_document_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdout", _Refusing(28))
    Screen(as_json=True, quiet=False).error(Conflict("no"))
    assert capsys.readouterr().err.startswith("pkg: no\n")


def test_a_message_that_nobody_can_hear_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Refusing(28))
    Screen(as_json=False, quiet=False).say("hello")
    Screen(as_json=False, quiet=False).error(Conflict("no"))


def test_what_is_buffered_for_a_full_disk_is_dropped_at_the_end(tmp_path: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        full.write("x")
        finish_output(full)
        full.flush()  # goes nowhere, and does not fail any more
    with (tmp_path / "good").open("w", encoding="utf-8") as good:
        good.write("x")
        finish_output(good)
        assert (tmp_path / "good").read_text() == "x"


def test_interruptions_have_the_exit_codes_of_their_signals() -> None:
    assert (Interrupted().exit_code, Terminated().exit_code) == (128 + 2, 128 + 15)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(screen_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def _on_terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    """Make standard error a terminal; in the test itself, because pytest sets it anew after the fixtures."""
    made = _Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("TERM", "xterm")
    return made


def test_a_bar_has_patience(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _on_terminal(monkeypatch)
    bar = ProgressBar(enabled=True)
    bar("stage", 1, 10)
    clock[0] += 0.9
    bar("stage", 2, 10)
    bar.close()
    assert terminal.getvalue() == ""


def test_a_bar_shows_every_phase_once(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _on_terminal(monkeypatch)
    bar = ProgressBar(enabled=True)
    clock[0] += 1.1
    for done in range(10):
        bar("stage", done, 10)
    bar("commit", 3, 3)
    bar.close()
    shown = terminal.getvalue()
    assert "stage" in shown
    assert "commit" in shown
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l") == 1  # the cursor is back


def test_a_bar_is_drawn_ten_times_a_second_and_by_no_thread(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _on_terminal(monkeypatch)
    threads = threading.active_count()
    bar = ProgressBar(enabled=True)
    clock[0] += 1.1
    lengths = []
    for done in range(1, 100):
        clock[0] += 0.01
        bar("stage", done, 100)
        lengths.append(len(terminal.getvalue()))
    assert threading.active_count() == threads
    assert 8 <= len(set(lengths)) <= 11
    bar.close()


def test_no_bar_without_a_terminal_or_when_it_is_not_wanted(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _on_terminal(monkeypatch)
    unwanted = ProgressBar(enabled=False)
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stderr", plain)
    nobody = ProgressBar(enabled=True)
    clock[0] += 5
    for bar in (unwanted, nobody):
        bar("stage", 1, 2)
        bar.close()
    assert (terminal.getvalue(), plain.getvalue()) == ("", "")


def test_a_bar_of_nothing_does_not_divide_by_it(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    _on_terminal(monkeypatch)
    bar = ProgressBar(enabled=True)
    clock[0] += 2
    bar("stage", 0, 0)
    bar.close()
    bar.close()  # twice is once


def test_an_environment_knows_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pkg", "install", "a b.tar.zst", "--overwrite", "*"])
    session = Session("/", Screen(as_json=False, quiet=True), 3.5)
    with session.environment() as environment:
        assert environment.command == "pkg install 'a b.tar.zst' --overwrite '*'"
        assert environment.lock_timeout == 3.5


PATHS: dict[str, tuple[str, str | None]] = {
    "absolute": ("/usr/bin/x", "usr/bin/x"),
    "relative": ("usr/bin/x", "usr/bin/x"),
    "with the root in front": ("{root}/usr/bin/x", "usr/bin/x"),
    "with a slash behind": ("/usr/bin/", "usr/bin"),
    "with many in front": ("///usr", "usr"),
    "a name like the root's": ("{root}x/usr", "{root}x/usr"),
    "the root itself": ("/", None),
    "empty": ("", None),
    "climbing": ("/usr/../../etc", None),
    "with a dot": ("/usr/./x", None),
    "doubled inside": ("/usr//x", None),
    "with a line feed": ("/usr/a\nb", None),
    "no UTF-8": ("/usr/\udcff", None),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_typed_path_is_one_of_the_root_or_a_usage_error(name: str, tmp_path: Path) -> None:
    text, expected = PATHS[name]
    with open_root(str(tmp_path)) as root:
        text = text.replace("{root}", str(tmp_path))
        if expected is None:
            with pytest.raises(UsageError) as caught:
                root_path(text, root)
            assert caught.value.path == text
            assert caught.value.remedy is not None
        else:
            assert root_path(text, root) == expected.replace("{root}", str(tmp_path).strip("/"))
