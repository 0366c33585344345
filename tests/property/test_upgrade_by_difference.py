"""An upgrade that reads only what differs does what one does that reads everything, as long as nobody has changed what stays."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from intact.bundle.difference import difference
from intact.bundle.entry_rules import is_privileged
from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.bundle.tarstream import layout, stream_length
from intact.model.entries import NEW_SUFFIX, DirectoryEntry, Entry, FileEntry
from intact.model.errors import Conflict
from intact.model.limits import DEFAULT_LIMITS
from intact.model.manifest import Manifest, PackageIdentity
from intact.model.paths import RelPath
from intact.model.versions import Version
from intact.operations.receipt import Receipt
from property.test_plan_laws import PATHS as SOME_PATHS
from property.test_plan_laws import SHAPES, Shape, parts_of
from support.workshop import MTIME, Package, Workshop, snapshot

# … and names that the new versions of edited configuration files would get.
PATHS = [*SOME_PATHS, *(f"{path}{NEW_SUFFIX}" for path in ("x", "d/x"))]
PACKAGES = st.dictionaries(st.sampled_from(PATHS), SHAPES, max_size=12)
EDITS = st.dictionaries(st.sampled_from(PATHS), st.tuples(SHAPES, st.booleans()), max_size=4)
LAWS = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
SLOW_LAWS = settings(LAWS, max_examples=60)
_IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def edited(shapes: dict[str, Shape], edits: dict[str, tuple[Shape, bool]]) -> dict[str, Shape]:
    """Make a second version that has much in common with the first."""
    left = {path: shape for path, shape in shapes.items() if path not in edits}
    return left | {path: shape for path, (shape, is_there) in edits.items() if is_there}


def manifest_of(shapes: dict[str, Shape], version: str, created: int) -> Manifest:
    """Return a manifest without a payload."""
    entries = sorted((part.entry for part in parts_of(shapes)), key=lambda one: one.path)
    identity = PackageIdentity("a", Version(version), "all")
    return Manifest(identity, created=created, entries=tuple(entries))


def _essence(entry: Entry) -> object:
    """Take what an upgrade acts upon: everything but the time."""
    if not isinstance(entry, FileEntry):
        return entry
    return (
        entry.path,
        entry.mode,
        entry.owner,
        entry.group,
        entry.size,
        entry.digest,
        entry.config,
        entry.xattrs,
    )


@LAWS
@given(PACKAGES, EDITS, st.sampled_from([1_600_000_000, 1_700_000_000]))
def test_what_is_read_is_what_differs_and_what_that_depends_on(
    shapes: dict[str, Shape], edits: dict[str, tuple[Shape, bool]], created: int
) -> None:
    old, new = manifest_of(shapes, "1", 1_600_000_000), manifest_of(edited(shapes, edits), "2", created)
    found = difference(render_manifest(old), render_manifest(new), DEFAULT_LIMITS)
    if found is None:
        event("read whole")
        return
    event("read what differs")
    files = [entry for entry in new.entries if isinstance(entry, FileEntry)]
    assert found.length == stream_length(files)
    assert (found.entries, found.entries_before) == (len(new.entries), len(old.entries))
    assert found.size == sum(entry.size for entry in files)
    entries = _entries(found.text)
    before, after = {_essence(one) for one in old.entries}, {one.path: one for one in new.entries}
    assert all(after[one.path] == one for one in entries)
    assert {one.path for one in entries} >= {one.path for one in new.entries if _essence(one) not in before}
    assert {one.path for one in entries} >= {one.path for one in new.entries if is_privileged(one)}
    starts = {span.entry.path: span.start for span in layout(files)}
    read_files = [one.path for one in entries if isinstance(one, FileEntry)]
    assert found.starts == {path: starts[path] for path in read_files}
    assert set(found.gone) == _gone(old, new)


def _entries(text: bytes) -> tuple[Entry, ...]:
    """Read entries whose payload nobody has made."""
    head, mark, entries = text.partition(b"\n[entries]\n")
    frames = b'frames = [\n  {compressed = 1, size = 1024, sha256 = "' + b"0" * 64 + b'"},\n]'
    return parse_manifest(head.replace(b"frames = [\n]", frames) + mark + entries, stream=1024).entries


def _gone(old: Manifest, new: Manifest) -> set[RelPath]:
    def standing(manifest: Manifest) -> set[RelPath]:
        paths = {one.path for one in manifest.entries}
        return paths | {above for path in paths for above in path.ancestors}

    gone = {one.path for one in old.entries} - {one.path for one in new.entries}
    named = {one.path for one in new.entries if isinstance(one, DirectoryEntry)}
    above = {one for path in gone for one in path.ancestors} - named
    return {one for one in gone | above if one in gone or one not in standing(new)}


def _rows(workshop: Workshop) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(workshop.path / "var/lib/intact/installed.db")) as connection:
        columns = "location, path, kind, mode, uid, gid, size, mtime_ns, digest, target, config, hardlink"
        return list(connection.execute(f"SELECT {columns} FROM entries ORDER BY location"))  # noqa: S608


def _said(receipt: Receipt) -> tuple[object, ...]:
    return (
        receipt.changed,
        receipt.packages,
        receipt.plan.notes,
        [str(one)[:40] for one in receipt.plan.actions],
    )


def _refusal(workshop: Workshop, package: Package) -> tuple[str, ...]:
    """Say what stands in the way, as of a person's file in a directory that has to go."""
    try:
        workshop.install(package, dry_run=True)
    except Conflict as refused:
        return tuple(refused.details)
    return ()


@contextmanager
def _two_roots(first: Package, people: dict[str, str]) -> "Iterator[tuple[Workshop, Workshop]]":
    """Install a package in two roots, of which the second has lost the manifest, and let people work in both."""
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY) as place:
        workshops = Workshop(Path(place, "quick")), Workshop(Path(place, "whole"))
        for one in workshops:
            one.install(first)
            for path, text in people.items():
                if (one.path / path).is_file():
                    os.utime(one.write(path, text), (MTIME, MTIME))
        for retained in (workshops[1].path / "var/lib/intact/private/manifests").iterdir():
            retained.unlink()
        yield workshops


@SLOW_LAWS
@given(PACKAGES, EDITS, st.data())
def test_both_ways_end_in_the_same_root_and_lead_back(
    shapes: dict[str, Shape], edits: dict[str, tuple[Shape, bool]], data: st.DataObject
) -> None:
    parts = parts_of(shapes), parts_of(edited(shapes, edits))
    first, second = Package("a", "1", *parts[0]), Package("a", "2", *parts[1])
    # Of what differs, anything may have been edited; what is the same in both versions stands as it was installed.
    differing = {one.entry for one in parts[0]} ^ {one.entry for one in parts[1]}
    paths = sorted({str(one.path) for one in differing})
    people = dict.fromkeys(data.draw(st.sets(st.sampled_from(paths), max_size=2)) if paths else (), "mine")
    with _two_roots(first, people) as (quick, whole):
        before = snapshot(quick, links=False)
        refused = _refusal(quick, second), _refusal(whole, second)
        assert refused[0] == refused[1]
        if refused[0]:
            event("refused")
            return
        receipts = quick.install(second), whole.install(second)
        assert _said(receipts[0]) == _said(receipts[1])
        assert snapshot(quick) == snapshot(whole)
        assert _rows(quick) == _rows(whole)
        back = quick.roll_back(), whole.roll_back()
        assert back[0].plan.notes == back[1].plan.notes
        assert snapshot(quick) == snapshot(whole)
        assert snapshot(quick, links=False) == before  # what comes back shares its inode with the history
        assert _rows(quick) == _rows(whole)
