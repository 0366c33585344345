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
