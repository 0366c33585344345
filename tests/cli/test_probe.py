"""`pkg probe` as people and programs use it."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from intact.plan.probe_rows import QUESTIONS
from support.command_line import PKG, Desk, clean_environment
from support.json_schema import faults

SLOW = 60.0


def test_the_table_has_each_question_with_answer_and_explanation(desk: Desk) -> None:
    result = desk.bare("probe")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[0].startswith(f"{desk.place}: ")
    assert sum(line.startswith(("* ", "  ")) and not line.startswith("   ") for line in lines) >= len(
        QUESTIONS
    )
    at = next(number for number, line in enumerate(lines) if "(RENAME_EXCHANGE)" in line)
    assert lines[at].split() == ["*", "exchange", "two", "files", "(RENAME_EXCHANGE)", "yes"]
    assert lines[at + 1].startswith("      Old and new change places")
    assert any(line.split() == ["files:", "exchange"] for line in lines)
    assert max(len(line) for line in lines) <= 120


def test_the_document_says_the_same(desk: Desk) -> None:
    result = desk.bare("--json", "probe", "root")
    assert faults(result.json, "probe") == []
    assert [row["key"] for row in result.json["rows"]] == list(QUESTIONS)
    assert result.json["directory"] == str(desk.root)
    assert result.json["kernel"] == f"Linux {os.uname().release}"
    assert result.json["strategy"][0]["way"] == "exchange"


def test_the_directory_is_one_of_the_machine_whatever_the_root_is(desk: Desk) -> None:
    result = desk.bare("--root", "nowhere", "--json", "probe", desk.root)
    assert (result.code, result.json["directory"]) == (0, str(desk.root))
    assert list(desk.root.iterdir()) == []


def test_the_measured_tables_have_every_question(desk: Desk) -> None:
    page = (Path(__file__).parent.parent.parent / "docs/explanation/filesystems.md").read_text()
    rows = desk.bare("--json", "probe").json["rows"]
    missing = [row["question"] for row in rows if f"| {row['question']} " not in page]
    assert missing == [], "run scripts/probe-table"


@pytest.mark.parametrize(("name", "errno"), [("missing", "ENOENT"), ("file", "ENOTDIR")])
def test_what_is_no_directory_is_told(name: str, errno: str, desk: Desk) -> None:
    (desk.place / "file").write_text("")
    result = desk.bare("probe", name)
    assert result.code == 1
    assert result.err.startswith(f"pkg: {name}: open: {errno} ")
    assert "now: nothing was tried" in result.err
    assert "next: " in result.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("seconds", [0.0, 0.15, 0.3])
def test_an_interruption_leaves_nothing_behind(number: int, seconds: float, desk: Desk) -> None:
    running = _begun(desk)
    time.sleep(seconds)
    running.send_signal(signal.SIGSTOP)
    is_at_work = any(desk.root.iterdir())  # else it has ended by now
    running.send_signal(number)
    running.send_signal(signal.SIGCONT)
    _, err = running.communicate(timeout=SLOW)
    if is_at_work:
        assert (running.returncode, "interrupted" in err) == (128 + number, True)
    assert list(desk.root.iterdir()) == []
    _expect_no_process_in(desk.root)


def test_no_process_outlives_a_killed_one(desk: Desk) -> None:
    running = _begun(desk)
    running.kill()
    running.communicate(timeout=SLOW)
    _expect_no_process_in(desk.root)
    left = [one.name for one in desk.root.iterdir()]
    assert all(one.startswith(".intact-probe-") for one in left)


def _begun(desk: Desk) -> "subprocess.Popen[str]":
    running = subprocess.Popen(
        [PKG, "probe", desk.root],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
        # The tests may run under nohup; this process has one thread.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + SLOW
    while not any(desk.root.glob(".intact-probe-*/*")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
    return running


def _expect_no_process_in(place: Path) -> None:
    deadline = time.monotonic() + SLOW
    while left := [one for one in Path("/proc").glob("[0-9]*/cwd") if _leads_into(one, place)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def _leads_into(link: Path, place: Path) -> bool:
    try:
        return str(place) in str(link.readlink())
    except OSError:
        return False
