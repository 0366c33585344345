"""Everything works for a user who is not root, on a root that this user owns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")

# Modules first, because the interpreter's own files may be closed to other users.
CODE = """
import importlib, os, pkgutil, sys
sys.path.insert(0, sys.argv[2])
import intact
for module in pkgutil.walk_packages(intact.__path__, "intact."):
    importlib.import_module(module.name)
from pathlib import Path
from support.workshop import Package, Workshop, directory, file, snapshot
from intact.model.errors import Conflict, RootUnusable
from intact.model.hooks import Hook, Moment
from intact.operations.hooks import HookOptions
from intact.operations.root import Environment
from intact.operations.verify import verify
place = Path(sys.argv[1])
(place / "foreign/root").mkdir(parents=True)
os.chown(place, 65534, 65534)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
work = Workshop(place / "mine")
first = Package("a", "1", file("opt/a", "one", 0o4755, owner="12"), directory("opt/closed", 0o555), file("opt/closed/x", "x"))
receipt = work.install(first)
assert any("not root" in note for note in receipt.plan.notes), receipt.plan.notes
status = (work.path / "opt/a").stat()
assert (status.st_uid, status.st_mode & 0o7777) == (65534, 0o755), status
before = snapshot(work)
work.install(Package("a", "2", file("opt/a", "two")))
work.roll_back()
assert snapshot(work) == before
with work.opened() as root:
    assert not verify(root, [], Environment()).differences
work.remove("a")
assert snapshot(work) == {}
for version in range(3, 16):
    work.install(Package("a", str(version), file("opt/closed/x", str(version)), directory("opt/closed", 0o500)))
state = snapshot(work)
hooked = Package("hooked", "1", file("opt/h", "h"), hooks=(Hook(Moment.AFTER, ("/opt/h",)),))
try:
    work.install(hooked)
except Conflict as error:
    assert "only the superuser can enter" in str(error) and "--no-hooks" in error.remedy, error
else:
    raise AssertionError
assert snapshot(work) == state
assert "not run (--no-hooks): hooked: after: /opt/h" in work.install(hooked, hooks=HookOptions(run=False)).plan.notes
work.path = place / "foreign/root"
try:
    work.install(first)
except RootUnusable as error:
    assert "may not change" in str(error)
else:
    raise AssertionError
print("good")
"""


def test_a_whole_life_without_root(fast_path: Path) -> None:
    fast_path.chmod(0o755)
    command = [sys.executable, "-B", "-c", CODE, str(fast_path), str(Path(__file__).parent.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("good\n"), done.stderr
