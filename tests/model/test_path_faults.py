"""Which texts are paths of a root, and what is said about the others?"""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.model.paths import MAX_COMPONENT_BYTES, MAX_PATH_BYTES, PathFault, RelPath, path_fault

PATHS = [
    pytest.param("usr", id="one component"),
    pytest.param("usr/bin/x", id="three components"),
    pytest.param("a b/c d", id="blanks inside"),
    pytest.param(" a /b ", id="blanks at the ends"),
    pytest.param(" ", id="a single blank"),
    pytest.param("...", id="three dots"),
    pytest.param("..a", id="two dots and a letter"),
    pytest.param("a..", id="a letter and two dots"),
    pytest.param(".hidden", id="a hidden file"),
    pytest.param("a/.hidden/b", id="a hidden directory"),
    pytest.param("a/.../b", id="three dots inside"),
    pytest.param("~root", id="a tilde"),
    pytest.param("-rf", id="an option"),
    pytest.param("$HOME/`x`;&|<>*?[]'\"", id="what a shell would act upon"),
    pytest.param("a\\b", id="a backslash"),
    pytest.param("C:", id="a drive"),
    pytest.param("é", id="a composed letter"),
    pytest.param("日本/語", id="Japanese"),
    pytest.param("Ω/ß", id="letters that have other cases"),
    pytest.param("\U0001f600", id="a picture"),
    pytest.param("a\u00a0b", id="a blank that does not break"),
    pytest.param("n" * 255, id="the longest component"),
    pytest.param("é" * 127, id="the longest component of two-byte letters"),
    pytest.param("/".join(["n" * 255] * 4), id="four of the longest components"),
    pytest.param("/".join(["n"] * 512), id="the deepest path"),
]

BAD_PATHS = [
    pytest.param("", "is empty", id="nothing"),
    pytest.param("/", "is absolute", id="the root"),
    pytest.param("/etc/passwd", "is absolute", id="an absolute path"),
    pytest.param("//a", "is absolute", id="two slashes first"),
    pytest.param(".", "component '.'", id="here"),
    pytest.param("..", "component '..'", id="up"),
    pytest.param("../a", "component '..'", id="up first"),
    pytest.param("a/..", "component '..'", id="up last"),
    pytest.param("a/../../b", "component '..'", id="up inside"),
    pytest.param("./a", "component '.'", id="here first"),
    pytest.param("a/.", "component '.'", id="here last"),
    pytest.param("a/./b", "component '.'", id="here inside"),
    pytest.param("a/", "component ''", id="a slash last"),
    pytest.param("a//b", "component ''", id="two slashes inside"),
    pytest.param("a\x00b", "U+0000", id="a NUL"),
    pytest.param("a\nb", "U+000A", id="a line end"),
    pytest.param("a\n", "U+000A", id="a line end last"),
    pytest.param("a\tb", "U+0009", id="a tab"),
    pytest.param("a\x1b[2Jb", "U+001B", id="an escape"),
    pytest.param("a\x7f", "U+007F", id="a delete"),
    pytest.param("a\x85b", "U+0085", id="a next line"),
    pytest.param("a\x9bb", "U+009B", id="a control sequence introducer"),
    pytest.param("a\u00adb", "U+00AD", id="a soft hyphen"),
    pytest.param("a\u200bb", "U+200B", id="a blank of no width"),
    pytest.param("a\u200db", "U+200D", id="a joiner of no width"),
    pytest.param("a\u202eb", "U+202E", id="a text that runs backwards"),
    pytest.param("a\u2028b", "U+2028", id="a line separator"),
    pytest.param("a\u2029b", "U+2029", id="a paragraph separator"),
    pytest.param("a\u2066b", "U+2066", id="an isolate"),
    pytest.param("\ufeffa", "U+FEFF", id="a byte order mark"),
    pytest.param("a\ue000", "U+E000", id="a private letter"),
    pytest.param("a\uffff", "U+FFFF", id="no letter at all"),
    pytest.param("a\U000e0041", "U+E0041", id="a tag"),
    pytest.param("a\ud800b", "not valid UTF-8", id="half a pair"),
    pytest.param("a\udcffb", "not valid UTF-8", id="a byte that is no UTF-8"),
    pytest.param("e\u0301", "normal form C", id="a letter in two pieces"),
    pytest.param("\u212b", "normal form C", id="a unit that is a letter"),
    pytest.param("a/\u1100\u1161", "normal form C", id="Korean in pieces"),
    pytest.param("n" * 256, "component is longer than 255 bytes", id="a component too long"),
    pytest.param("é" * 128, "component is longer than 255 bytes", id="two-byte letters too long"),
    pytest.param("a/" + "n" * 256 + "/b", "component is longer than 255 bytes", id="too long inside"),
    pytest.param("/".join(["n" * 204] * 5) + "/", "longer", id="a byte too long as a whole"),
    pytest.param("/".join(["n"] * 513), "longer than 1024 bytes", id="a path too deep"),
    pytest.param("n" * 1_000_000, "longer than 1024 bytes", id="a million letters"),
]


@pytest.mark.parametrize("text", PATHS)
def test_a_good_path_is_taken_as_it_is(text: str) -> None:
    assert path_fault(text) is None
    assert RelPath.parse(text) == text
    assert type(RelPath.parse(text)) is RelPath


@pytest.mark.parametrize(("text", "reason"), BAD_PATHS)
def test_a_bad_path_is_refused_with_the_reason(text: str, reason: str) -> None:
    assert reason in (path_fault(text) or "")
    with pytest.raises(PathFault) as caught:
        RelPath.parse(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(("text", "reason"), BAD_PATHS)
def test_the_reason_is_one_line_that_a_terminal_can_show(text: str, reason: str) -> None:
    told = path_fault(text) or ""
    assert told.isprintable()
    assert told.isascii()
    assert len(told) < 100


def test_the_ceilings_are_those_of_linux_filesystems_with_room_for_staging() -> None:
    assert MAX_COMPONENT_BYTES == 255  # NAME_MAX
    assert MAX_PATH_BYTES * 2 < 4096  # PATH_MAX, with the staging tree before it and the NUL after it


@pytest.mark.parametrize(("length", "good"), [(MAX_PATH_BYTES, True), (MAX_PATH_BYTES + 1, False)])
@pytest.mark.parametrize("letter", ["n", "\u00e9"])
def test_the_length_counts_in_bytes(letter: str, length: int, good: bool) -> None:  # noqa: FBT001  a table
    width = len(letter.encode())
    text = "/".join([letter * (200 // width)] * 5)
    text += "/" + "n" * (length - len(text.encode()) - 1)
    assert len(text.encode()) == length
    assert (path_fault(text) is None) is good


def test_a_path_that_is_wrong_in_two_ways_has_one_reason() -> None:
    assert path_fault("/../a\n") == "the path is absolute; paths are relative to the root"


components = st.text(min_size=1, max_size=12)
foreign = st.one_of(st.text(max_size=30), st.lists(components, max_size=5).map("/".join))
nasty = st.text("./\\ \n\x00a\u0301\u202e\ud800-", max_size=12)


@given(st.one_of(foreign, nasty))
def test_what_is_taken_stays_below_the_root_and_can_be_shown(text: str) -> None:
    if path_fault(text) is not None:
        return
    parts = text.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert unicodedata.normalize("NFC", text) == text
    assert len(text.encode()) <= MAX_PATH_BYTES
    assert all(len(part.encode()) <= MAX_COMPONENT_BYTES for part in parts)
    assert not {unicodedata.category(one) for one in text} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.one_of(foreign, nasty))
def test_any_text_is_a_path_or_a_fault_and_nothing_else(text: str) -> None:
    if path_fault(text) is None:
        assert RelPath.parse(text) == text
    else:
        with pytest.raises(PathFault):
            RelPath.parse(text)


@given(foreign, foreign)
def test_a_path_is_good_exactly_if_its_halves_are(one: str, other: str) -> None:
    together = path_fault(f"{one}/{other}") is None
    halves = path_fault(one) is None and path_fault(other) is None
    # A mark that combines may join the letter before the slash only in theory; lengths add up.
    assert together == halves or len(f"{one}/{other}".encode(errors="replace")) > MAX_PATH_BYTES


@given(st.text("abc.-_ ~", min_size=250, max_size=260))
def test_the_short_way_and_the_long_way_decide_alike(text: str) -> None:
    """Plain short ASCII is decided by one match; a letter beyond ASCII forces the long way."""
    longer = "\u00e9/" + text
    assert (path_fault(text) is None) == (path_fault(longer) is None)
