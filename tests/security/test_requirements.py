"""No requirement without a test, no test for a requirement that nobody has written down, and a page that says so."""

import re
from pathlib import Path

import pytest
import tomli

HERE = Path(__file__).parent
TOP = HERE.parent.parent
REQUIREMENTS: dict[str, dict[str, str]] = tomli.loads((HERE / "requirements.toml").read_text())
PAGE = (TOP / "docs/reference/security-requirements.md").read_text()
TESTS: dict[str, set[str]] = {}
for _path in sorted(HERE.glob("test_*.py")):
    for _kind, _number in re.findall(r"^def test_(sec|sig)_(\d+)_", _path.read_text(), re.MULTILINE):
        TESTS.setdefault(f"{_kind.upper()}-{_number}", set()).add(_path.name)


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_is_shown_or_says_why_not(name: str) -> None:
    fields = REQUIREMENTS[name]
    assert set(fields) <= {"holds", "changed", "later"}
    assert ("later" in fields) != (name in TESTS)
    for decision in (fields.get("changed"), fields.get("later")):
        assert decision is None or list((TOP / "docs/decisions").glob(f"{decision}-*.md"))


def test_the_requirements_are_those_of_the_threat_model() -> None:
    expected = [f"SEC-{number}" for number in range(1, 46)] + [f"SIG-{number}" for number in range(1, 9)]
    assert list(REQUIREMENTS) == expected


def test_no_test_is_named_by_an_unknown_requirement() -> None:
    assert set(TESTS) <= set(REQUIREMENTS)


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_the_page_names_the_files_that_show_it(name: str) -> None:
    (line,) = [one for one in PAGE.splitlines() if one.startswith(f"| {name} |")]
    assert REQUIREMENTS[name]["holds"] in line
    assert set(re.findall(r"`(test_\w+\.py)`", line)) == TESTS.get(name, set())
    assert "failed" not in line
