"""Run the tests of tests/security and write which requirement is shown by which of them, and with what result.

scripts/security-table            writes docs/reference/security-requirements.md
"""

import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import tomli

TOP = Path(__file__).resolve().parent.parent
REQUIREMENTS = TOP / "tests/security/requirements.toml"
PAGE = TOP / "docs/reference/security-requirements.md"
NAME = re.compile(r"test_(sec|sig)_(\d+)_")

HEAD = """# Security requirements

What has to hold, and the tests that show it. `scripts/security-table` runs them and writes this page; each test is in
`tests/security/` and bears the name of its requirement. Requirements that we changed, or that wait for a part that is
not there yet, name the decision that says why. The [threat model](../explanation/threat-model.md) explains against whom.

| requirement | what has to hold | tests | result |
|---|---|---|---|
"""


def results(junit: Path) -> dict[str, Counter[str]]:
    """Count passed, failed and skipped cases by test function."""
    found: dict[str, Counter[str]] = {}
    for case in ET.parse(junit).iter("testcase"):  # noqa: S314  our own file
        function = case.get("name", "").partition("[")[0]
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        place = case.get("classname", "").rpartition(".")[2]
        found.setdefault(f"{place}.py::{function}", Counter())[outcome] += 1
    return found


def requirement_of(test: str) -> str | None:
    """``SEC-14`` for ``test_sec_14_…``."""
    named = NAME.match(test.partition("::")[2])
    return f"{named[1].upper()}-{named[2]}" if named else None


def row(name: str, fields: dict[str, str], shown: dict[str, Counter[str]]) -> str:
    """Write one line of the table."""
    files: dict[str, int] = {}
    for test in shown:
        files[test.partition("::")[0]] = files.get(test.partition("::")[0], 0) + 1
    tests = ", ".join(f"`{file}` ({count})" for file, count in sorted(files.items()))
    total = sum(shown.values(), Counter())
    result = ", ".join(f"{count:,} {kind}" for kind, count in sorted(total.items()))
    decision = fields.get("changed") or fields.get("later")
    why = f" ([decision {decision}](../decisions/))" if decision else ""
    if "later" in fields:
        tests, result = "", "not there yet"
    return f"| {name} | {fields['holds']}{why} | {tests} | {result} |"


def main() -> int:
    """Run the tests and write the page; return the exit code of the tests."""
    with tempfile.TemporaryDirectory() as place:
        junit = Path(place) / "junit.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "2",
            "-p",
            "no:cacheprovider",
            f"--junit-xml={junit}",
        ]
        ended = subprocess.run([*command, "tests/security"], cwd=TOP, check=False)
        found = results(junit)
    lines = []
    for name, fields in tomli.loads(REQUIREMENTS.read_text()).items():
        shown = {test: counts for test, counts in found.items() if requirement_of(test) == name}
        lines.append(row(name, fields, shown))
    PAGE.write_text(HEAD + "\n".join(lines) + "\n")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
