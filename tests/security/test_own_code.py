"""The code of `pkg` is root's, and has nothing in it that runs what it reads."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import intact

SOURCE = Path(intact.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
DANGEROUS_MODULES = frozenset(
    {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml", "code", "codeop", "pty", "runpy", "imp"}
)
DANGEROUS_CALLS = frozenset({"eval", "exec", "compile", "__import__", "input"})
FUNCTIONS_OF_VALUES = SOURCE / "model/values.py"  # compiled from names in our own source: decision 8
DANGEROUS_OF_OS = frozenset(
    {"system", "popen", "spawnl", "spawnv", "spawnvp", "execvp", "execlp", "startfile"}
)

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from intact.cli.screen import Screen
from intact.cli.session import Session
session = Session(sys.argv[2], Screen(as_json=False, quiet=False), 0)
with session.environment(changing=sys.argv[3] == "changing"):
    pass
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Our own code, somewhere else."""
    place = tmp_path / "site"
    shutil.copytree(SOURCE, place / "intact", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return place


def _said(copy: Path, root: str = "/", how: str = "changing") -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", CODE, copy, root, how], capture_output=True, text=True, check=True
    )
    return "\n".join(line for line in done.stderr.splitlines() if str(copy) in line)


@pytest.mark.skipif(os.geteuid() != 0, reason="it is root's commands that are looked at")
class TestWhoseItIs:
    """A warning, before root runs what somebody else could have changed."""

    def test_sec_43_what_is_roots_is_not_spoken_of(self, copy: Path) -> None:
        assert _said(copy) == ""

    @pytest.mark.parametrize("part", ["", "intact"])
    def test_sec_43_what_belongs_to_somebody_else_is_named(self, part: str, copy: Path) -> None:
        os.chown(copy / part, 65534, 65534)
        assert (
            _said(copy) == f"warning: the code of pkg is not root's alone: {copy / part} belongs to uid 65534"
        )

    @pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
    def test_sec_43_what_others_can_write_is_named(self, mode: int, copy: Path) -> None:
        os.chown(copy, 0, 65534)
        copy.chmod(mode)
        assert f"{copy} can be written by others (mode {mode:04o})" in _said(copy)

    def test_sec_43_only_who_changes_the_system_is_warned(self, copy: Path) -> None:
        copy.chmod(0o777)
        assert _said(copy, root="/srv/other") == ""
        assert _said(copy, how="asking") == ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_sec_43_nothing_that_is_read_is_run(path: Path) -> None:
    calls = DANGEROUS_CALLS - ({"exec"} if path == FUNCTIONS_OF_VALUES else set())
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {one.name.split(".")[0] for one in node.names} & DANGEROUS_MODULES
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in DANGEROUS_MODULES
        elif isinstance(node, ast.Call):
            name = node.func
            assert not isinstance(name, ast.Name) or name.id not in calls, ast.unparse(node)
            if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "os":
                assert name.attr not in DANGEROUS_OF_OS, ast.unparse(node)
            assert not [one for one in node.keywords if one.arg == "shell"], ast.unparse(node)
