"""Paths: what is one, what is none and why, and how they relate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.model.paths import ROOT, PathFault, RelPath, collision_key, path_fault

GOOD = [
    "a",
    "usr/bin/x",
    "a b",
    "-rf",
    "~",
    "$HOME",
    "a\\b",
    'a"b',
    "a'b",
    "*",
    "...",
    "..a",
    "a..",
    ".hidden",
    "ünïcode",
    "日本語/名前",
    "a" * 255,
    "/".join(["d" * 100] * 10),
    "emoji-🙂",
    "con.txt",
    "a:b",
]
BAD = {
    "": "is empty",
    "/": "is absolute",
    "/etc": "is absolute",
    "a/": "has a component ''",
    "a//b": "has a component ''",
    ".": "has a component '.'",
    "./a": "has a component '.'",
    "a/./b": "has a component '.'",
    "a/.": "has a component '.'",
    "..": "has a component '..'",
    "../a": "has a component '..'",
    "a/../b": "has a component '..'",
    "a/..": "has a component '..'",
    "a\0b": "unprintable character U+0000",
    "a\nb": "unprintable character U+000A",
    "a\x1b[31m": "unprintable character U+001B",
    "a\x7f": "unprintable character U+007F",
    "a\u202eb": "unprintable character U+202E",
    "a\u200bb": "unprintable character U+200B",
    "a\ue000": "unprintable character U+E000",
    "e\u0301": "not in Unicode normal form C",
    "\udcff": "not valid UTF-8",
    "a" * 256: "a component is longer than 255 bytes",
    "é" * 128: "a component is longer than 255 bytes",
    "/".join(["d" * 100] * 11): "longer than 1024 bytes",
}
COMPONENT = st.text(st.sampled_from("ab.-_é~ "), min_size=1, max_size=4).filter(
    lambda text: text not in {".", ".."} and path_fault(text) is None
)
PATHS = st.lists(COMPONENT, min_size=1, max_size=5).map("/".join)


@pytest.mark.parametrize("text", GOOD, ids=ascii)
def test_a_path_is_taken_as_it_is(text: str) -> None:
    assert path_fault(text) is None
    assert RelPath.parse(text) == text
    assert isinstance(RelPath.parse(text), RelPath)


@pytest.mark.parametrize("text", BAD, ids=lambda text: ascii(text)[:40])
def test_anything_else_is_refused_with_the_reason_and_not_repaired(text: str) -> None:
    assert BAD[text] in (path_fault(text) or "")
    with pytest.raises(PathFault):
        RelPath.parse(text)


@pytest.mark.parametrize(
    ("path", "parent", "name", "parts", "ancestors"),
    [
        ("", "", "", [], []),
        ("a", "", "a", ["a"], []),
        ("a/b", "a", "b", ["a", "b"], ["a"]),
        ("a/b/c.d", "a/b", "c.d", ["a", "b", "c.d"], ["a", "a/b"]),
    ],
)
def test_the_pieces_of_a_path(
    path: str, parent: str, name: str, parts: list[str], ancestors: list[str]
) -> None:
    one = RelPath(path)
    assert (one.parent, one.name, one.parts, one.ancestors) == (parent, name, parts, ancestors)


@pytest.mark.parametrize(
    ("path", "directory", "below"),
    [
        ("a/b", "a", True),
        ("a/b/c", "a", True),
        ("a", "", True),
        ("a", "a", False),
        ("ab", "a", False),
        ("a-b/c", "a", False),
        ("a", "a/b", False),
        ("", "", False),
        ("", "a", False),
    ],
)
def test_what_lies_below_what(path: str, directory: str, *, below: bool) -> None:
    assert RelPath(path).is_below(RelPath(directory)) is below


def test_joining_to_the_root_adds_no_slash() -> None:
    assert ROOT / "a" == "a"
    assert ROOT / "a" / "b" == "a/b"
    assert isinstance(ROOT / "a", RelPath)


@given(PATHS)
def test_parent_and_name_make_the_path_again(text: str) -> None:
    path = RelPath.parse(text)
    assert path.parent / path.name == path
    assert "/".join(path.parts) == path
    assert path.ancestors == [RelPath("/".join(path.parts[:count])) for count in range(1, len(path.parts))]
    assert all(path.is_below(above) for above in [ROOT, *path.ancestors])


@given(PATHS, PATHS)
def test_below_is_what_joining_says(one: str, other: str) -> None:
    joined = RelPath(f"{one}/{other}")
    assert joined.is_below(RelPath(one))
    assert not RelPath(one).is_below(joined)


@given(st.text(max_size=12))
def test_every_text_is_a_path_or_has_a_fault_never_both(text: str) -> None:
    if path_fault(text) is None:
        assert RelPath.parse(text) == text
        assert not text.startswith("/")
        assert not {"", ".", ".."} & set(text.split("/"))
    else:
        with pytest.raises(PathFault):
            RelPath.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("README", "readme", True),
        ("straße", "STRASSE", True),
        ("ﬁle", "file", True),
        ("K", "K", True),  # the Kelvin sign
        ("a", "b", False),
        ("a/b", "a-b", False),
        ("é", "e", False),
    ],
)
def test_names_that_meet_on_a_filesystem_that_folds_case(one: str, other: str, *, meet: bool) -> None:
    assert (collision_key(one) == collision_key(other)) is meet
