"""How are paths joined, taken apart, compared and sorted?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.model.paths import ROOT, RelPath, path_fault

TAKEN_APART = [
    # path, parent, name, parts, ancestors
    ("", "", "", [], []),
    ("a", "", "a", ["a"], []),
    ("a/b", "a", "b", ["a", "b"], ["a"]),
    ("a/b/c", "a/b", "c", ["a", "b", "c"], ["a", "a/b"]),
    ("usr/lib/x.so.1", "usr/lib", "x.so.1", ["usr", "lib", "x.so.1"], ["usr", "usr/lib"]),
    (" / ", " ", " ", [" ", " "], [" "]),
    ("é/日", "é", "日", ["é", "日"], ["é"]),
]


@pytest.mark.parametrize(("text", "parent", "name", "parts", "ancestors"), TAKEN_APART)
def test_a_path_is_taken_apart(
    text: str, parent: str, name: str, parts: list[str], ancestors: list[str]
) -> None:
    path = RelPath(text)
    assert path.parent == parent
    assert path.name == name
    assert path.parts == parts
    assert path.ancestors == ancestors


def test_every_piece_that_is_a_path_has_the_type_of_one() -> None:
    path = RelPath("a/b/c")
    assert {type(one) for one in (path.parent, path / "d", ROOT / "d", *path.ancestors)} == {RelPath}


def test_the_root_is_its_own_parent_and_has_nothing_above() -> None:
    assert ROOT.parent == ROOT
    assert ROOT.ancestors == []
    assert not ROOT


@pytest.mark.parametrize(
    ("path", "directory", "below"),
    [
        ("a/b", "a", True),
        ("a/b/c", "a", True),
        ("a/b/c", "a/b", True),
        ("a", "", True),
        ("a/b", "", True),
        ("a", "a", False),
        ("", "", False),
        ("", "a", False),
        ("a", "a/b", False),
        ("ab", "a", False),
        ("a-b", "a", False),
        ("b/a", "a", False),
        ("aa/b", "a", False),
        ("A/b", "a", False),
    ],
)
def test_what_lies_below_what(path: str, directory: str, below: bool) -> None:  # noqa: FBT001  a table
    assert RelPath(path).is_below(RelPath(directory)) is below


def test_a_path_moves_with_what_is_above_it() -> None:
    assert RelPath("a/b/c").moved(RelPath("a/b"), RelPath("slots/1")) == RelPath("slots/1/c")
    assert RelPath("a/b").moved(RelPath("a/b"), RelPath("slots/1")) == RelPath("slots/1")


def test_a_path_is_a_text_for_whoever_prints_or_looks_it_up() -> None:
    assert f"/{RelPath('a/b')}" == "/a/b"
    assert {RelPath("a"): 1}[RelPath("a")] == 1
    assert {"a": 1}[RelPath("a")] == 1


def test_a_path_carries_nothing_but_its_text() -> None:
    with pytest.raises(AttributeError):
        RelPath("a").note = "x"  # type: ignore[attr-defined]


def test_directories_come_before_what_they_hold_even_where_a_name_continues() -> None:
    paths = [RelPath(one) for one in ("a/b", "a.b", "a", "a-b", "a0", "a/b/c", "a b")]
    assert sorted(paths) == ["a", "a b", "a-b", "a.b", "a/b", "a/b/c", "a0"]


names = st.text(min_size=1, max_size=8).filter(lambda one: "/" not in one and path_fault(one) is None)
paths = st.lists(names, min_size=1, max_size=5).map("/".join).map(RelPath)


@given(paths)
def test_parent_and_name_joined_are_the_path(path: RelPath) -> None:
    assert path.parent / path.name == path


@given(paths, names)
def test_joining_is_undone_by_parent_and_name(path: RelPath, name: str) -> None:
    joined = path / name
    assert joined.parent == path
    assert joined.name == name
    assert joined.is_below(path)
    assert path_fault(joined) is None


@given(paths)
def test_the_parts_joined_from_the_root_are_the_path(path: RelPath) -> None:
    built = ROOT
    for part in path.parts:
        built /= part
    assert built == path


@given(paths)
def test_the_ancestors_are_the_parents_up_to_the_root(path: RelPath) -> None:
    walked: list[RelPath] = []
    above = path.parent
    while above:
        walked.insert(0, above)
        above = above.parent
    assert path.ancestors == walked
    assert all(path.is_below(one) for one in walked)
    assert sorted(walked) == walked


@given(paths, paths)
def test_below_means_that_it_is_among_the_ancestors(one: RelPath, other: RelPath) -> None:
    assert one.is_below(other) == (other in one.ancestors)
    assert not (one.is_below(other) and other.is_below(one))


@given(st.lists(paths, max_size=8))
def test_paths_sort_as_their_bytes_do(several: list[RelPath]) -> None:
    assert sorted(several) == sorted(several, key=str.encode)


@given(st.sets(paths, max_size=8))
def test_sorted_paths_have_each_directory_before_its_content(several: set[RelPath]) -> None:
    seen: set[RelPath] = set()
    for path in sorted(several | {above for one in several for above in one.ancestors}):
        assert set(path.ancestors) <= seen
        seen.add(path)
