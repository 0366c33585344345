"""plan.json: every kind of step comes back as it was written, and nothing else is taken for a plan."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.model.actions import (
    Action,
    Create,
    Node,
    OldNode,
    Remove,
    RemoveDirectory,
    Replace,
    SetAttributes,
)
from intact.model.entries import Digest, Xattrs
from intact.model.errors import JournalDamaged
from intact.model.manifest import PackageChange
from intact.model.objects import (
    Attributes,
    Backup,
    BundleContent,
    Kind,
    LiveContent,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
    Observed,
)
from intact.model.paths import ROOT, RelPath, path_fault
from intact.model.versions import Version
from intact.transaction.plan_text import Step, TransactionPlan, parse_plan, plan_pieces, plan_text

PLACE = "/plan.json"
NUMBERS = st.integers(0, 1 << 40)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64).map(Digest)
NAMES = st.text(st.sampled_from("abc.é- _'\"\\"), min_size=1, max_size=5).filter(
    lambda one: path_fault(one) is None
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: RelPath("/".join(parts)))
XATTRS: st.SearchStrategy[Xattrs] = st.lists(
    st.tuples(st.sampled_from(["security.capability", "user.a"]), st.binary(max_size=8)), max_size=2
).map(tuple)
MODES = st.integers(0, 0o7777)
ATTRIBUTES = st.builds(Attributes, MODES, NUMBERS, NUMBERS, st.none() | NUMBERS, XATTRS)
OBSERVED = st.builds(
    Observed,
    kind=st.sampled_from([Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK]),
    mode=MODES,
    uid=NUMBERS,
    gid=NUMBERS,
    size=NUMBERS,
    mtime_ns=NUMBERS,
    inode=NUMBERS,
    links=st.integers(1, 9),
    target=st.text(max_size=6),
    digest=st.none() | DIGESTS,
    xattrs=XATTRS,
)
CONTENTS = (
    st.builds(BundleContent, st.integers(0, 9), PATHS)
    | st.builds(Backup, PATHS)
    | st.builds(LiveContent, PATHS)
)
OBJECTS: st.SearchStrategy[NewObject] = (
    st.builds(NewFile, ATTRIBUTES, NUMBERS, DIGESTS, CONTENTS)
    | st.builds(NewDirectory, ATTRIBUTES)
    | st.builds(NewSymlink, st.text(max_size=9), NUMBERS, NUMBERS)
    | st.builds(NewHardlink, PATHS)
)
NODES = st.lists(st.builds(Node, PATHS, OBJECTS), max_size=2).map(tuple)
OLD_NODES = st.lists(st.builds(OldNode, PATHS, OBSERVED), max_size=2).map(tuple)
SLOTS = st.integers(0, 99)
ACTIONS: st.SearchStrategy[Action] = (
    st.builds(Create, PATHS, SLOTS, OBJECTS, NODES)
    | st.builds(Replace, PATHS, SLOTS, OBJECTS, OBSERVED, NODES, OLD_NODES, st.booleans())
    | st.builds(Remove, PATHS, SLOTS, OBSERVED, OLD_NODES)
    | st.builds(RemoveDirectory, PATHS, OBSERVED)
    | st.builds(SetAttributes, PATHS, ATTRIBUTES, OBSERVED)
)
STEPS = st.builds(Step, ACTIONS, PATHS | st.just(ROOT), NUMBERS, DIGESTS | st.just(""))
VERSIONS = st.sampled_from(["1", "2:3.4-5~x", "0"]).map(Version)
PLANS = st.builds(
    TransactionPlan,
    transaction=st.integers(1, 1 << 30),
    steps=st.lists(STEPS, max_size=4).map(tuple),
    mounts=st.lists(PATHS | st.just(ROOT), max_size=2).map(tuple),
    packages=st.lists(
        st.builds(PackageChange, st.just("a"), st.none() | VERSIONS, st.none() | VERSIONS), max_size=2
    ).map(tuple),
    notes=st.lists(st.text(max_size=9), max_size=2).map(tuple),
    drops=st.lists(NUMBERS, max_size=2).map(tuple),
)


@given(PLANS)
def test_a_plan_comes_back_as_it_was_written(plan: TransactionPlan) -> None:
    assert parse_plan(plan_text(plan), PLACE) == plan


@given(PLANS)
def test_a_plan_is_one_line_of_ascii(plan: TransactionPlan) -> None:
    text = plan_text(plan)
    assert text.isascii()
    assert b"\n" not in text
    assert plan_text(parse_plan(text, PLACE)) == text


@given(PLANS, st.data())
def test_a_plan_that_is_cut_is_no_plan(plan: TransactionPlan, data: st.DataObject) -> None:
    text = plan_text(plan)
    length = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(JournalDamaged, match="the plan cannot be read") as caught:
        parse_plan(text[:length], PLACE)
    assert caught.value.path == PLACE


OLD = Observed(Kind.FILE, 0o644, 0, 0, 1, 2, 3, digest=Digest("a" * 64))
NEW = NewFile(Attributes(0o644, 0, 0, 5), 1, Digest("b" * 64), BundleContent(0, RelPath("a")))
SAMPLE = TransactionPlan(
    7,
    (
        Step(Create(RelPath("a"), 0, NEW), RelPath("s/0"), 11, "b" * 64),
        Step(Replace(RelPath("b"), 1, NEW, OLD, keep=True), RelPath("s/1"), 12, "b" * 64),
        Step(Remove(RelPath("c"), 2, OLD), RelPath("s/2"), 0),
        Step(SetAttributes(RelPath("d"), Attributes(0o700, 1, 2), OLD), ROOT, 0),
    ),
    (ROOT,),
    (PackageChange("p", None, Version("1")),),
    ("a note",),
    (3,),
)


def _sample() -> Any:  # noqa: ANN401  JSON
    return json.loads(plan_text(SAMPLE))


def _set(*way: str | int) -> Callable[[Any, Any], None]:
    def change(document: Any, value: Any) -> None:  # noqa: ANN401  JSON
        for key in way[:-1]:
            document = document[key]
        document[way[-1]] = value

    return change


WRONG: dict[str, tuple[Callable[[Any, Any], None], Any]] = {
    "another format": (_set("format"), 3),
    "no format": (_set("format"), None),
    "steps that are no list": (_set("steps"), 7),
    "a step that is too short": (_set("steps", 0), ["s/0", 1]),
    "an unknown action": (_set("steps", 0, 3, 0), "format disk"),
    "a slot that climbs": (_set("steps", 0, 0), "../../etc"),
    "an absolute slot": (_set("steps", 0, 0), "/etc/x"),
    "a slot with a control character": (_set("steps", 0, 0), "s/\x1b"),
    "a slot that is endless": (_set("steps", 0, 0), "/".join(["d" * 200] * 20)),
    "a path that climbs": (_set("steps", 0, 3, 1), "../a"),
    "an absolute path": (_set("steps", 1, 3, 1), "/b"),
    "a path that is a number": (_set("steps", 2, 3, 1), 5),
    "an inode that is a word": (_set("steps", 0, 1), "eleven"),
    "mounts that are no list": (_set("mounts"), 5),
    "a mount that climbs": (_set("mounts"), ["../x"]),
    "a version that is none": (_set("packages"), [["p", None, "not a version"]]),
    "a package that is too short": (_set("packages"), [["p"]]),
    "a transaction that is a word": (_set("transaction"), "seven"),
    "a transaction that is missing": (_set("transaction"), None),
    "drops that are words": (_set("drops"), ["x"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_plan_with_one_thing_wrong_is_no_plan(name: str) -> None:
    change, value = WRONG[name]
    document = _sample()
    change(document, value)
    with pytest.raises(JournalDamaged) as caught:
        parse_plan(json.dumps(document).encode(), PLACE)
    assert caught.value.path == PLACE
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"7", b'"x"', b"{}", b"\xff", b"[" * 100_000])
def test_what_is_no_plan_at_all(text: bytes) -> None:
    with pytest.raises(JournalDamaged):
        parse_plan(text, PLACE)


@pytest.mark.parametrize("key", list(_sample()))
def test_nothing_of_a_plan_may_be_missing(key: str) -> None:
    document = _sample()
    del document[key]
    with pytest.raises(JournalDamaged):
        parse_plan(json.dumps(document).encode(), PLACE)


def test_the_slot_of_a_very_long_path_is_read_again() -> None:
    longest = RelPath("/".join(["d" * 99] * 10 + ["f" * 24]))
    assert len(longest) == 1024
    slot = RelPath(f"var/lib/intact/private/transactions/12/slots/3/{longest}")
    backup = NewFile(NEW.attributes, 1, NEW.digest, Backup(slot))
    plan = TransactionPlan(7, (Step(Create(longest, 0, backup), slot, 1),), (ROOT,))
    assert parse_plan(plan_text(plan), PLACE) == plan


@given(st.lists(STEPS, max_size=4))
def test_departures_are_the_steps_that_took_something_out_and_as_they_were(steps: list[Step]) -> None:
    text = plan_text(TransactionPlan(1, tuple(steps), (ROOT,)))
    taken = tuple(step for step in steps if isinstance(step.action, Replace | Remove))
    assert parse_plan(text, PLACE, departures=True).steps == taken


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 3000])
def test_a_large_tree_is_written_in_pieces_and_is_the_same_json(count: int) -> None:
    seen = Observed(Kind.SYMLINK, 0o777, 0, 0, 1, 2, 3, target="x" * 900)
    new = NewSymlink("y" * 900, 0, 0)
    below = tuple(Node(RelPath(f"d/{number}"), new) for number in range(count))
    was_below = tuple(OldNode(RelPath(f"d/{number}"), seen) for number in range(count))
    steps = (
        Step(Create(RelPath("d"), 0, NewDirectory(Attributes(0o755, 0, 0)), below), RelPath("s/0"), 1),
        Step(RemoveDirectory(RelPath("e"), seen), ROOT, 0),
        Step(Replace(RelPath("d"), 1, new, seen, below, was_below, keep=True), RelPath("s/1"), 2),
        Step(Remove(RelPath("d"), 2, seen, was_below), RelPath("s/2"), 0),
    )
    plan = TransactionPlan(1, steps, (ROOT,))
    pieces = [*plan_pieces(plan)]
    assert len(pieces) == 1 if count < 100 else max(map(len, pieces)) < 3 << 20
    text = b"".join(pieces)
    assert parse_plan(text, PLACE) == plan
    assert text == json.dumps(json.loads(text), separators=(",", ":")).encode()
