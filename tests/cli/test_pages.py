"""The help of a command leads to a page that is there, and that is about it."""

from pathlib import Path

import pytest

from intact.cli.pages import PAGES
from support.command_line import Desk


@pytest.mark.parametrize("command", PAGES)
def test_the_help_ends_with_a_page_that_is_there(command: str, desk: Desk) -> None:
    last = desk.bare(command, "--help").out.rstrip().splitlines()[-1]
    page = Path(last.strip().removeprefix("Step by step: "))
    assert page.is_absolute()
    assert page.is_file()
    assert command in page.read_text()


def test_a_long_path_with_hyphens_stays_in_one_piece(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = tmp_path / "-".join(["a-long-prefix"] * 8) / "place.md"
    with monkeypatch.context() as patched:
        patched.setattr("intact.cli.commands.page_of", lambda _: page)
        assert desk.bare("place", "--help").out.rstrip().endswith(f"Step by step: {page}")
        shown = desk.bare("produce", "--help").out.rstrip()
    assert shown.endswith(f"Step by step: {page}")
    assert "pkg produce OUT... -- COMMAND..." in shown
    assert str(page) not in desk.bare("produce", "--help").out


def test_the_help_of_all_names_the_directory_of_the_pages(desk: Desk) -> None:
    shown = desk.bare("--help").out
    place = Path(shown.split("Step by step:")[1].split()[0])
    assert {path.name for path in place.iterdir()} >= {
        "running-programs.md",
        "repair.md",
        "place.md",
        "probe.md",
    }


def test_a_command_of_a_group_leads_there_too(desk: Desk) -> None:
    assert desk.bare("key", "trust", "--help").out.rstrip().endswith("how-to/sign-and-trust.md")
