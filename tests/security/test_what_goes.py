"""Staging, deleting, recovering and removing touch what is ours alone."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from intact.model.errors import IntactError, RecoveryFailed
from intact.model.paths import RelPath
from intact.operations.root import Environment
from intact.operations.verify import verify
from intact.system.linux import LinuxDisk
from intact.transaction.deleting import drop_tree
from intact.transaction.journal import BLOCK, Journal, Record
from intact.transaction.phases import Phase
from support.command_line import Desk
from support.faulty_disk import Crash, FaultyDisk, crash_at
from support.scenarios import FIRST, SECOND, recover
from support.workshop import Package, Workshop, directory, file, snapshot


@pytest.fixture
def bait(workshop: Workshop) -> Path:
    """What lies outside the root and must not change."""
    place = workshop.place / "bait"
    (place / "inner").mkdir(parents=True)
    for name in ("one", "inner/two"):
        (place / name).write_text("bait")
    return place


def picture(top: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_ino, path.read_bytes() if path.is_file() else b"")
        for path in sorted(top.rglob("*"))
    }


# --- SEC-16, SEC-17 ---------------------------------------------------------------------------------------
def test_sec_16_what_is_staged_lies_where_only_its_owner_can_enter(workshop: Workshop) -> None:
    workshop.install(FIRST)
    crashed = workshop.copy("count")
    counting = FaultyDisk(crashed.path)
    crashed.install(SECOND, disk=counting)
    steps = len(counting.steps)
    counting.close()
    for step in range(5, steps, 9):
        crashed = workshop.copy("crashed")
        broken = FaultyDisk(crashed.path, crash_at(step))
        with pytest.raises(Crash):
            crashed.install(SECOND, disk=broken)
        broken.close()
        private = crashed.path / "var/lib/intact/private"
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        for directory_of_slots in crashed.path.rglob(".intact"):
            assert stat.S_IMODE(directory_of_slots.stat().st_mode) == 0o700


def test_sec_16_a_name_that_is_taken_is_not_written_to(workshop: Workshop, bait: Path) -> None:
    (workshop.path / "taken").symlink_to(bait / "one")
    disk = LinuxDisk(str(workshop.path))
    with pytest.raises(IntactError, match="EEXIST"), disk.create_file(RelPath("taken")) as writer:
        writer.write(b"no")
    disk.close()
    assert (bait / "one").read_text() == "bait"


def test_sec_17_deleting_a_tree_follows_no_link(workshop: Workshop, bait: Path) -> None:
    before = picture(bait)
    tree = workshop.path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "link").symlink_to(bait)
    (tree / "deep/up").symlink_to("../../../bait/inner")
    (tree / "file").symlink_to(bait / "one")
    os.link(bait / "one", tree / "name")
    disk = LinuxDisk(str(workshop.path))
    drop_tree(disk, RelPath("tree"))
    disk.close()
    assert not tree.exists()
    assert picture(bait) == before


# --- SEC-38 -----------------------------------------------------------------------------------------------
HOSTILE = {
    "upwards": "../../bait/one",
    "upwards inside": "usr/../../bait/one",
    "absolute": "/etc/passwd",
    "empty component": "usr//bin",
    "our own state": "var/lib/intact/private/lock",
}


def interrupted(workshop: Workshop) -> Path:
    """A root whose upgrade was interrupted in the middle of its renames; returns the transaction's directory."""
    workshop.install(FIRST)
    undisturbed = workshop.copy("count")
    counting = FaultyDisk(undisturbed.path)
    undisturbed.install(SECOND, disk=counting)
    verbs = [verb for verb, _ in counting.steps]
    counting.close()
    broken = FaultyDisk(workshop.path, crash_at(verbs.index("exchange") + 2))
    with pytest.raises(Crash):
        workshop.install(SECOND, disk=broken)
    broken.close()
    return workshop.path / "var/lib/intact/private/transactions/2"


def vouch_again(home: Path) -> None:
    """Write the journal anew, so that it vouches for the altered plan: digests alone must not be what protects."""
    digest = hashlib.sha256((home / "plan.json").read_bytes()).hexdigest()
    disk = LinuxDisk(str(home))
    place = RelPath("journal")
    records = Journal.load(disk, place, 2)
    assert records is not None
    (home / "journal").unlink()
    journal = Journal.create(disk, place, 2, records.records[0])
    for record in records.records[1:]:
        attached = digest if record.phase is Phase.STAGED else record.attached
        journal.append(Record(record.phase, record.time, attached, record.reason))
    disk.close()
    assert (home / "journal").stat().st_size == BLOCK * 16


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("where", ["action", "slot", "mount"])
def test_sec_38_a_forged_plan_leads_recovery_nowhere(
    name: str, where: str, workshop: Workshop, bait: Path
) -> None:
    home = interrupted(workshop)
    plan = json.loads((home / "plan.json").read_text())
    for step in plan["steps"]:
        if where == "action":
            step[3][1] = HOSTILE[name]
        elif where == "slot":
            step[0] = HOSTILE[name]
    if where == "mount":
        plan["mounts"] = [HOSTILE[name]]
    (home / "plan.json").write_text(json.dumps(plan))
    vouch_again(home)
    outside, inside = picture(bait), snapshot(workshop)
    passwd = Path("/etc/passwd").read_bytes()
    for direction in ("", "--back", "--forward"):
        with pytest.raises(IntactError):
            _recover(workshop, direction)
        assert picture(bait) == outside
    assert Path("/etc/passwd").read_bytes() == passwd
    if where == "action":
        assert snapshot(workshop).keys() == inside.keys()


def _recover(workshop: Workshop, direction: str) -> None:
    from intact.transaction.recover import Direction  # noqa: PLC0415

    chosen = {"": Direction.AUTOMATIC, "--back": Direction.BACK, "--forward": Direction.FORWARD}[direction]
    recover(workshop, direction=chosen)
    raise RecoveryFailed("it went through")  # what is forged may be found to be nothing at all to do


def test_sec_38_a_journal_of_another_transaction_is_not_believed(workshop: Workshop) -> None:
    home = interrupted(workshop)
    (home / "journal").write_bytes((home.parent / "1/journal").read_bytes())
    before = snapshot(workshop)
    with pytest.raises(IntactError, match="belongs to another journal"):
        recover(workshop)
    assert snapshot(workshop) == before


# --- SEC-39 -----------------------------------------------------------------------------------------------
def test_sec_39_removal_takes_what_is_still_as_it_was_put_there(workshop: Workshop) -> None:
    workshop.install(
        Package("app", "1", file("usr/a", "a"), file("usr/b", "b"), file("usr/c", "c"), directory("usr/own"))
    )
    workshop.install(Package("other", "1", directory("usr/own"), file("usr/own/x", "x")))
    workshop.write("usr/a", "edited")
    (workshop.path / "usr/b").unlink()
    (workshop.path / "usr/b").symlink_to("/etc/passwd")
    workshop.write("usr/own/mine", "mine")
    workshop.remove("app")
    assert workshop.read("usr/a") == "edited"
    assert (workshop.path / "usr/b").is_symlink()
    assert not (workshop.path / "usr/c").exists()
    assert workshop.read("usr/own/x") == "x"
    workshop.remove("other")
    assert workshop.read("usr/own/mine") == "mine"
    with workshop.opened() as root:
        assert verify(root, [], Environment()).differences == ()


def test_sec_11_an_administrator_decides_how_large_bundles_may_be(trusting: Desk) -> None:
    bundle = trusting.bundle("app", "1", {"usr/a": "a" * 100, "usr/b": "b"})
    settings = trusting.root / "etc/intact/settings.toml"
    settings.parent.mkdir(parents=True)
    for text, says in (("entries = 1", "1"), ('content = "100 B"', "100")):
        settings.write_text(f"[limits]\n{text}\n")
        refused = trusting("install", bundle)
        assert (refused.code, says in refused.err) == (3, True)
    settings.write_text('[limits]\nentries = 2\ncontent = "101 B"\n')
    trusting.good("install", bundle)
