"""What one package demands of another: how it is written, and what meets it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.model.relations import Relation, RelationFault, Requirement, parse_relation, parse_requirement
from intact.model.versions import Version

WRITTEN = {
    "a": Relation("a"),
    "libc6": Relation("libc6"),
    "g++": Relation("g++"),
    "python3.11-minimal": Relation("python3.11-minimal"),
    "a_b": Relation("a_b"),
    "a (= 1)": Relation("a", "=", Version("1")),
    "a (>= 1:2.3-4~x)": Relation("a", ">=", Version("1:2.3-4~x")),
    "a(<<2)": Relation("a", "<<", Version("2")),
    "  a  (  <=  2  )  ": Relation("a", "<=", Version("2")),
    "a (>> 0)": Relation("a", ">>", Version("0")),
}
FAULTS = [
    "",
    " ",
    "A",
    "-a",
    ".a",
    "a b",
    "a()",
    "a (1)",
    "a (> 1)",
    "a (< 1)",
    "a (== 1)",
    "a (~ 1)",
    "a (>= )",
    "a (>= 1",
    "a >= 1",
    "a (>= 1) b",
    "a (>= 1) (<< 2)",
    "a, b",
    "a:any",
    "a [amd64]",
    "a (>= x y)",
    "a (>= _)",
    "a" * 129,
]
ADMITS = {
    "a": {"0": True, "1": True, "2": True},
    "a (<< 1)": {"0.9": True, "1~": True, "1": False, "1.0": False, "2": False},
    "a (<= 1)": {"0.9": True, "1": True, "1-0": True, "1-1": False, "2": False},
    "a (= 1)": {"0.9": False, "1": True, "0:1": True, "1-1": False},
    "a (>= 1)": {"1~rc": False, "1": True, "1-1": True, "1:0": True},
    "a (>> 1)": {"0": False, "1": False, "1-0": False, "1-1": True},
}


@pytest.mark.parametrize("text", WRITTEN, ids=repr)
def test_a_relation_is_read(text: str) -> None:
    assert parse_relation(text) == WRITTEN[text]


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: repr(text)[:30])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RelationFault):
        parse_relation(text)
    with pytest.raises(RelationFault):
        parse_requirement(f"fine | {text}")


@pytest.mark.parametrize(
    ("relation", "version", "admitted"),
    [(text, version, yes) for text, cases in ADMITS.items() for version, yes in cases.items()],
)
def test_which_versions_a_bound_admits(relation: str, version: str, *, admitted: bool) -> None:
    assert parse_relation(relation).admits(Version(version)) is admitted


def test_what_has_no_version_meets_no_bound() -> None:
    assert parse_relation("a").admits(None)
    for bound in ("<<", "<=", "=", ">=", ">>"):
        assert not parse_relation(f"a ({bound} 1)").admits(None)


def test_alternatives_are_read_in_their_order() -> None:
    found = parse_requirement("mta | exim4 (>= 4.90)|postfix")
    assert found == Requirement(
        (Relation("mta"), Relation("exim4", ">=", Version("4.90")), Relation("postfix"))
    )
    assert str(found) == "mta | exim4 (>= 4.90) | postfix"


@given(
    st.from_regex(r"\A[a-z0-9][a-z0-9+._-]{0,10}\Z"),
    st.sampled_from([None, "<<", "<=", "=", ">=", ">>"]),
    st.from_regex(r"\A[0-9][0-9a-z.~]{0,6}\Z"),
)
def test_what_is_written_is_read_again(name: str, comparison: str | None, version: str) -> None:
    relation = Relation(name, comparison, Version(version)) if comparison else Relation(name)
    assert parse_relation(str(relation)) == relation
    assert parse_requirement(f"{relation} | x").alternatives[0] == relation


@given(st.from_regex(r"\A[0-9][0-9a-c.~]{0,4}\Z"), st.from_regex(r"\A[0-9][0-9a-c.~]{0,4}\Z"))
def test_the_bounds_divide_the_versions(bound: str, version: str) -> None:
    def admits(comparison: str) -> bool:
        return Relation("a", comparison, Version(bound)).admits(Version(version))

    assert admits("<<") + admits("=") + admits(">>") == 1
    assert admits("<=") == (admits("<<") or admits("="))
    assert admits(">=") == (admits(">>") or admits("="))
