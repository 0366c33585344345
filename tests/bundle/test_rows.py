"""Sections are compared and searched in one piece, with the answers that lists and sets of their rows would give."""

from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.bundle import rows as rows_module
from intact.bundle.rows import START, Rows, path_in

_PATHS = st.text("ab-/é", min_size=1, max_size=6).map(str.encode)
_SECTIONS = st.dictionaries(_PATHS, st.integers(0, 3), max_size=40)


def _row(path: bytes, value: int, time: int | None = None) -> bytes:
    return (
        START
        + path
        + b'", size = %d%s},' % (value, b"" if time is None else b', sha256 = "x", mtime = %d' % time)
    )


def _rows(section: dict[bytes, int], time: int | None = None) -> Rows:
    ordered = sorted(section.items(), key=itemgetter(0))
    return Rows(b"\n".join(_row(path, value, time) for path, value in ordered))


@pytest.fixture(autouse=True, params=[1, 1 << 10])
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_PIECE", request.param)
    monkeypatch.setattr(rows_module, "_BLOCK", request.param)


@given(_SECTIONS, _SECTIONS, st.booleans())
def test_what_only_one_has_is_found_as_with_sets(
    some: dict[bytes, int],
    others: dict[bytes, int],
    has_times: bool,  # noqa: FBT001  drawn
) -> None:
    mine, theirs = _rows(some, 5 if has_times else None), _rows(others, 7 if has_times else None)
    only_mine, only_theirs = mine.against(theirs, but_times=True)
    time = 5 if has_times else None
    assert only_mine == [
        _row(path, some[path], time) for path in sorted(some) if others.get(path) != some[path]
    ]
    time = 7 if has_times else None
    assert only_theirs == [
        _row(path, others[path], time) for path in sorted(others) if some.get(path) != others[path]
    ]


@given(_SECTIONS, _PATHS)
def test_a_row_is_found_by_its_path_and_what_is_below_it(section: dict[bytes, int], path: bytes) -> None:
    rows = _rows(section)
    assert rows.count == len(section)
    assert rows.find(path) == (_row(path, section[path]) if path in section else None)
    assert rows.has_below(path) == any(one.startswith(path + b"/") for one in section)
    found = [line for piece in rows.pieces() for line in piece.split(b"\n") if line]
    assert [path_in(line) for line in found] == sorted(section)


@pytest.mark.parametrize(
    "text",
    [
        b'  {path = "b"},\n  {path = "a"},',
        b'  {path = "a"},\n  {path = "a"},',
        b'  {path = "a"},\n',
        b'\n  {path = "a"},',
        b'  {path = "a},',
        b'  {size = 1, path = "a"},',
        b'  {path = ""},',
    ],
)
def test_what_is_no_sorted_row_for_each_entry_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="rows"):
        Rows(text)
