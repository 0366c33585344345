"""SEC-4: where a path leads is found by walking its components, never by asking what its text comes to."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent.parent / "src" / "intact"
BY_TEXT = frozenset(
    {"realpath", "abspath", "normpath", "commonpath", "commonprefix", "resolve", "is_relative_to"}
)


ASKS_WHO_MAY_WRITE = "cli/surroundings.py"  # looks where the interpreter comes from; opens and grants nothing


def test_sec_4_no_containment_is_proven_by_the_text_of_a_path() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}: {node.attr}"
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in BY_TEXT
        if path != SOURCE / ASKS_WHO_MAY_WRITE
    ]
    found += [
        f"{path.relative_to(SOURCE)}:{node.lineno}: {alias.name}"
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in BY_TEXT
    ]
    assert found == []
