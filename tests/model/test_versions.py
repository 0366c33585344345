"""Versions compare by Debian's rules: a table, laws, and dpkg itself."""

import itertools
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intact.model.versions import Version, VersionFault, version_fault

ORDERED = [
    # each line is older than the next one
    "0~~",
    "0~",
    "0~a",
    "0-0~1",
    "0",
    "0-0.1",
    "0-1~bpo12+1",
    "0-1",
    "0-1+b1",
    "0-2",
    "0-10",
    "0a",
    "0b",
    "0+",
    "0.0~rc1",
    "0.0.1",
    "0.1~alpha",
    "0.1~beta",
    "0.1~beta2",
    "0.1~beta10",
    "0.1",
    "0.1+git20260101",
    "0.9",
    "0.10",
    "1~rc1-1",
    "1-1",
    "1.0a",
    "1.0b-1",
    "1.0.0",
    "1.2.3-4",
    "1.2.3-4+deb12u1",
    "1.2.3-4+deb12u2",
    "1.2.3-4.1",
    "2",
    "10",
    "20260101",
    "1:0",
    "1:0.1",
    "2:0~",
    "10:0",
    "999999999:0",
]
EQUAL = [
    ("1", "1-0"),
    ("0:1", "1"),
    ("00:1", "1"),
    ("1.0", "1.00"),
    ("1.01", "1.1"),
    ("1-0", "1"),
    ("1-00", "1-0"),
    ("1.0-1", "1.0-01"),
    ("1a0", "1a"),
]
FAULTS = {
    "": "the version is empty",
    "1" * 129: "longer than 128 characters",
    "a_1": "is not a version",
    "1 2": "is not a version",
    " 1": "is not a version",
    "1\n": "is not a version",
    "1/2": "is not a version",
    "-1": "is not a version",
    ".1": "is not a version",
    "~1": "is not a version",
    "é": "is not a version",
    "\u0661": "is not a version",
    "a:1": "is not a version",
    "1234567890:1": "is not a version",
    ":1": "is not a version",
    "1:": "is not a version",
    "1-": "empty upstream version or revision",
    "1:-1": "is not a version",
    "a:1:2": "is not a version",
    "1--": "empty upstream version or revision",
}
TEXTS = st.from_regex(r"\A(?:[0-9]{1,3}:)?[0-9][0-9a-c.+~]{0,6}(?:-[0-9a-c.+~]{1,4})?\Z")


@pytest.mark.parametrize(("older", "newer"), list(itertools.pairwise(ORDERED)))
def test_neighbours_in_the_table_are_in_order(older: str, newer: str) -> None:
    assert Version(older) < Version(newer)
    assert Version(newer) > Version(older)
    assert Version(older) != Version(newer)
    assert not Version(newer) <= Version(older)


def test_the_whole_table_sorts_from_any_order() -> None:
    shuffled = sorted(ORDERED, key=lambda text: text[::-1])
    assert [str(one) for one in sorted(map(Version, shuffled))] == ORDERED


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_versions_that_debian_holds_equal_are_equal_and_hash_alike(one: str, other: str) -> None:
    assert Version(one) == Version(other)
    assert hash(Version(one)) == hash(Version(other))
    assert len({Version(one), Version(other)}) == 1
    assert Version(one) <= Version(other)
    assert Version(one) >= Version(other)


@pytest.mark.parametrize("text", FAULTS, ids=repr)
def test_what_is_no_version_is_refused_with_the_reason(text: str) -> None:
    assert FAULTS[text] in (version_fault(text) or "")
    with pytest.raises(VersionFault, match="version"):
        Version(text)


@pytest.mark.parametrize("text", [*ORDERED, "1" * 128])
def test_the_text_comes_back_as_it_was(text: str) -> None:
    assert str(Version(text)) == text
    assert repr(Version(text)) == f"Version({text!r})"
    assert version_fault(text) is None


def test_a_version_is_equal_to_no_text() -> None:
    assert Version("1") != "1"
    with pytest.raises(TypeError):
        _ = Version("1") < "2"


@given(TEXTS, TEXTS, TEXTS)
def test_the_order_is_total_and_transitive(one: str, two: str, three: str) -> None:
    first, second, third = Version(one), Version(two), Version(three)
    assert (first < second) + (first == second) + (first > second) == 1
    if first <= second <= third:
        assert first <= third
    if first == second:
        assert hash(first) == hash(second)
        assert (first < third) == (second < third)


@given(TEXTS)
def test_a_tilde_makes_older_and_a_plus_makes_newer(text: str) -> None:
    if not text.endswith(("~", "+")):
        assert Version(f"{text}~") < Version(text)
        assert Version(text) < Version(f"{text}+")


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")
@pytest.mark.parametrize("share", range(4))
def test_dpkg_thinks_the_same_of_every_pair_of_the_table(share: int) -> None:
    pairs = list(itertools.combinations(ORDERED, 2))[share::4]
    _agree_with_dpkg([(one, "lt", other) for one, other in pairs])


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")
@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=10, max_size=30))
def test_dpkg_thinks_the_same_of_any_pairs(pairs: list[tuple[str, str]]) -> None:
    claims = []
    for one, other in pairs:
        first, second = Version(one), Version(other)
        relation = "eq" if first == second else "lt" if first < second else "gt"
        claims.append((one, relation, other))
    _agree_with_dpkg(claims)


def _agree_with_dpkg(claims: list[tuple[str, str, str]]) -> None:
    """Ask dpkg about many comparisons in one shell."""
    questions = "\n".join(
        f"dpkg --compare-versions '{one}' {relation} '{other}' || echo '{one} {relation} {other}'"
        for one, relation, other in claims
    )
    answer = subprocess.run(["sh", "-c", questions], capture_output=True, text=True, check=False)
    assert answer.stdout == ""
