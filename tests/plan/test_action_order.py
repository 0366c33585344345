"""In which order does a commit go on, so that what belongs together is mixed as briefly as possible?"""

import pytest

from intact.model.objects import Attributes
from intact.model.paths import RelPath
from intact.plan.assemble import Terrain, assemble
from intact.plan.change import AttributeChange, Change
from support.situations import as_seen, wanted_by
from support.workshop import Part, directory, file, hardlink, symlink

# One of each rank, in the order that the design asks for.
LIBRARY = file("zz/libz.so.1", "library", 0o755)
FILE = file("yy/file", "file")
PROGRAM = file("xx/program", "program", 0o755)
LINK = symlink("ww/link", "target")
UNIT = file("etc/systemd/system/v.service", "unit")
GONE = file("aa/gone", "old")
GONE_DIRECTORY = directory("aa")


def arrivals(*parts: Part, old: bool = False) -> list[Change]:
    """Each part comes, or takes the place of an older one."""
    return [
        Change(at, one.new, as_seen(file(at, "old")) if old else None)
        for at, (one,) in wanted_by({"a": parts}).items()
    ]


def departures(*parts: Part) -> list[Change]:
    return [Change(part.entry.path, None, as_seen(part)) for part in parts]


def order(*changes: Change) -> list[str]:
    return [action.path for action in assemble(changes, [], Terrain({}))]


@pytest.mark.parametrize("old", [False, True], ids=["new", "replaced"])
def test_libraries_come_first_then_what_uses_them_then_links_and_units_removals_last(old: bool) -> None:  # noqa: FBT001  a parameter of the test
    changes = [
        *departures(GONE, GONE_DIRECTORY),
        *arrivals(UNIT, LINK, PROGRAM, FILE, LIBRARY, old=old),
    ]
    expected = [part.entry.path for part in (LIBRARY, FILE, PROGRAM, LINK, UNIT, GONE, GONE_DIRECTORY)]
    assert order(*changes) == expected


def test_attributes_of_directories_are_set_before_anything_arrives_in_them() -> None:
    seen = as_seen(directory("zzz"))
    attributes = [
        AttributeChange(RelPath(path), Attributes(0o755, 0, 0), seen) for path in ("zzz", "zzz/below")
    ]
    actions = assemble(arrivals(LIBRARY), attributes, Terrain({}))
    assert [action.path for action in actions] == ["zzz", "zzz/below", LIBRARY.entry.path]


@pytest.mark.parametrize(
    "name",
    ["libc.so", "libc.so.6", "libfoo-2.31.so", "ld-linux-x86-64.so.2", "libx.so.1.2.3", "_ssl.abi3.so"],
)
def test_such_a_name_is_a_library(name: str) -> None:
    assert order(*arrivals(file("a/data", "d"), file(f"z/{name}", "l"))) == [f"z/{name}", "a/data"]


@pytest.mark.parametrize("name", ["libc.so.conf", "sofa", "a.socket", "libc.so.6.bak", "libc.a", "so"])
def test_such_a_name_is_no_library(name: str) -> None:
    assert order(*arrivals(file("a/data", "d"), file(f"z/{name}", "l"))) == ["a/data", f"z/{name}"]


@pytest.mark.parametrize(
    "path",
    [
        "etc/systemd/system/a.service",
        "usr/lib/systemd/user/a.timer",
        "etc/init.d/a",
        "etc/cron.d/a",
        "etc/cron.daily/a",
        "usr/share/dbus-1/system-services/a.service",
    ],
)
def test_what_starts_programs_comes_after_them(path: str) -> None:
    assert order(*arrivals(file(path, "unit", 0o755), file("usr/zzz/program", "p", 0o755))) == [
        "usr/zzz/program",
        path,
    ]


def test_a_link_to_a_library_comes_after_programs_as_all_links_do() -> None:
    changes = arrivals(symlink("lib/libz.so.1", "libz.so.1.2"), file("lib/libz.so.1.2", "l"), PROGRAM)
    assert order(*changes) == ["lib/libz.so.1.2", PROGRAM.entry.path, "lib/libz.so.1"]


def test_a_further_name_of_a_library_is_a_library() -> None:
    changes = arrivals(
        file("b/data", "d"), file("lib/libz.so.1.2", "l"), hardlink("lib/libz.so.1", "lib/libz.so.1.2")
    )
    assert order(*changes) == ["lib/libz.so.1", "lib/libz.so.1.2", "b/data"]


def test_within_a_rank_paths_are_sorted() -> None:
    parts = [file(name, name) for name in ("b", "a", "c/x", "b-")]
    assert order(*arrivals(*parts)) == ["a", "b", "b-", "c/x"]


def test_directories_leave_from_the_inside_out() -> None:
    parts = [directory("d"), directory("d/e"), directory("d/e/f"), directory("a/b/c/d/e"), directory("a")]
    assert order(*departures(*parts)) == ["a/b/c/d/e", "d/e/f", "d/e", "a", "d"]


def test_files_leave_before_the_directories_that_hold_them() -> None:
    assert order(*departures(directory("a"), file("a/x", "x"), file("z", "z"))) == ["a/x", "z", "a"]


def test_a_whole_tree_that_leaves_takes_its_turn_among_the_removed_files() -> None:
    changes = departures(directory("m"), file("m/x", "x"), file("a", "a"), file("z", "z"))
    actions = assemble(changes, [], Terrain({RelPath("m"): ("x",)}))
    assert [action.path for action in actions] == ["a", "m", "z"]


def test_a_new_directory_is_there_before_anything_is_put_into_it() -> None:
    """Whatever is new in a new directory comes with it, however early its own rank would be."""
    parts = [directory("new"), file("new-", "n"), LIBRARY, file("new/lib.so", "l"), file("new/p", "p", 0o755)]
    assert order(*arrivals(*parts)) == [LIBRARY.entry.path, "new", "new-"]
