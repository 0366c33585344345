"""Which texts are relations, how are they printed, and which versions meet them?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.model.relations import (
    NAME_PATTERN,
    Relation,
    RelationFault,
    Requirement,
    parse_relation,
    parse_requirement,
)
from intact.model.versions import Version

RELATIONS = [
    pytest.param("libc6", Relation("libc6"), "libc6", id="a name"),
    pytest.param("0ad", Relation("0ad"), "0ad", id="a digit first"),
    pytest.param("g++-12", Relation("g++-12"), "g++-12", id="plus and hyphen"),
    pytest.param("a_b.c", Relation("a_b.c"), "a_b.c", id="underscore and dot"),
    pytest.param("a", Relation("a"), "a", id="one letter"),
    pytest.param("n" * 128, Relation("n" * 128), "n" * 128, id="the longest name"),
    pytest.param("a (>= 1)", Relation("a", ">=", Version("1")), "a (>= 1)", id="at least"),
    pytest.param("a (<= 1)", Relation("a", "<=", Version("1")), "a (<= 1)", id="at most"),
    pytest.param("a (= 1)", Relation("a", "=", Version("1")), "a (= 1)", id="exactly"),
    pytest.param("a (>> 1)", Relation("a", ">>", Version("1")), "a (>> 1)", id="later"),
    pytest.param("a (<< 1)", Relation("a", "<<", Version("1")), "a (<< 1)", id="earlier"),
    pytest.param("a(>=1)", Relation("a", ">=", Version("1")), "a (>= 1)", id="no blanks"),
    pytest.param("  a  (  >=  1  )  ", Relation("a", ">=", Version("1")), "a (>= 1)", id="many blanks"),
    pytest.param("\ta\t(>=\t1)\n", Relation("a", ">=", Version("1")), "a (>= 1)", id="tabs and line ends"),
    pytest.param(
        "a (=1:2~b-3)", Relation("a", "=", Version("1:2~b-3")), "a (= 1:2~b-3)", id="a full version"
    ),
]

NO_RELATIONS = [
    pytest.param("", id="nothing"),
    pytest.param("   ", id="blanks"),
    pytest.param("A", id="a capital"),
    pytest.param("-a", id="a hyphen first"),
    pytest.param(".a", id="a dot first"),
    pytest.param("a b", id="two names"),
    pytest.param("a,b", id="a comma"),
    pytest.param("a/b", id="a slash"),
    pytest.param("a:any", id="an architecture"),
    pytest.param("é", id="a letter beyond ASCII"),
    pytest.param("n" * 129, id="a name too long"),
    pytest.param("n" * 129 + " (= 1)", id="a name too long with a bound"),
    pytest.param("a ()", id="empty parentheses"),
    pytest.param("a (>=)", id="no version"),
    pytest.param("a (1)", id="no comparison"),
    pytest.param("a (> 1)", id="a single greater"),
    pytest.param("a (< 1)", id="a single less"),
    pytest.param("a (== 1)", id="two equals"),
    pytest.param("a (=> 1)", id="the wrong way round"),
    pytest.param("a (!= 1)", id="unequal"),
    pytest.param("a (~= 1)", id="Python's"),
    pytest.param("a (= 1", id="not closed"),
    pytest.param("a = 1", id="no parentheses"),
    pytest.param("a (= 1) (= 2)", id="two bounds"),
    pytest.param("a (= 1) b", id="something after"),
    pytest.param("(= 1)", id="no name"),
    pytest.param("a (= 1 2)", id="two versions"),
    pytest.param("a [amd64]", id="Debian's architectures"),
    pytest.param("a <!nocheck>", id="Debian's profiles"),
    pytest.param("a\x00", id="a NUL"),
]


@pytest.mark.parametrize(("text", "relation", "printed"), RELATIONS)
def test_a_relation_is_read_and_printed_in_one_form(text: str, relation: Relation, printed: str) -> None:
    assert parse_relation(text) == relation
    assert str(relation) == printed
    assert parse_relation(printed) == relation


@pytest.mark.parametrize("text", NO_RELATIONS)
def test_what_is_no_relation_is_refused_quoted_with_the_form_to_write(text: str) -> None:
    with pytest.raises(RelationFault, match=r"write NAME or NAME \(>= VERSION\)") as caught:
        parse_relation(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("version", ["a:1", "1-", "1_2", "~1", "1:", "1" * 129])
def test_a_bad_version_in_a_bound_is_a_fault_of_the_relation(version: str) -> None:
    with pytest.raises(RelationFault, match="version"):
        parse_relation(f"a (= {version})")
    with pytest.raises(RelationFault, match="version"):
        parse_requirement(f"b | a (= {version})")


@pytest.mark.parametrize("hostile", ["a" + " " * 400_000 + "!", "a (" + " " * 400_000 + "!", " " * 400_000])
def test_a_long_run_of_blanks_costs_no_more_than_its_length(hostile: str) -> None:
    with pytest.raises(RelationFault):  # at the square of its length, this would take half an hour
        parse_relation(hostile)


# Which of the versions 1, 2 and 3 meet a bound of 2, and does an unversioned package?
ADMITTED = [
    (None, {"1", "2", "3", None}),
    ("<<", {"1"}),
    ("<=", {"1", "2"}),
    ("=", {"2"}),
    (">=", {"2", "3"}),
    (">>", {"3"}),
]


@pytest.mark.parametrize(("comparison", "admitted"), ADMITTED)
@pytest.mark.parametrize("version", ["1", "2", "3", None])
def test_who_meets_a_bound(comparison: str | None, admitted: set[str | None], version: str | None) -> None:
    relation = Relation("a", comparison, Version("2")) if comparison else Relation("a")
    assert relation.admits(Version(version) if version else None) is (version in admitted)


@pytest.mark.parametrize(
    ("bound", "version", "met"),
    [
        pytest.param("= 1.0", "1.00", True, id="equal by the rules, not by the letters"),
        pytest.param("= 0:1", "1", True, id="an epoch of nought"),
        pytest.param(">= 1.0", "1.0~rc1", False, id="a candidate is earlier"),
        pytest.param(">= 1.0~", "1.0~rc1", True, id="a bound that lets candidates in"),
        pytest.param("<< 2", "1:1", False, id="an epoch beats the rest"),
        pytest.param(">> 1.0", "1.0-1", True, id="a revision comes later than none"),
        pytest.param("= 1.0", "1.0-0", True, id="a revision of nought is none"),
    ],
)
def test_bounds_follow_debians_order(bound: str, version: str, met: bool) -> None:  # noqa: FBT001  a table
    assert parse_relation(f"a ({bound})").admits(Version(version)) is met


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a", ["a"]),
        ("a|b", ["a", "b"]),
        ("mta | exim4 (>= 4.90)", ["mta", "exim4 (>= 4.90)"]),
        (" a (<< 2)|b(>>3) | c ", ["a (<< 2)", "b (>> 3)", "c"]),
    ],
)
def test_a_requirement_has_its_alternatives_in_order(text: str, printed: list[str]) -> None:
    requirement = parse_requirement(text)
    assert [str(one) for one in requirement.alternatives] == printed
    assert str(requirement) == " | ".join(printed)
    assert parse_requirement(str(requirement)) == requirement


@pytest.mark.parametrize("text", ["", "|", "a|", "|a", "a||b", "a | | b", "a, b", "a || b (= 1)"])
def test_a_requirement_with_an_empty_alternative_is_refused(text: str) -> None:
    with pytest.raises(RelationFault):
        parse_requirement(text)


names = st.from_regex(NAME_PATTERN, fullmatch=True)
versions = st.from_regex(r"(?:[0-9]:)?[0-9][a-z0-9.+~]{0,6}(?:-[0-9]{1,2})?", fullmatch=True).map(Version)
bounded = st.builds(Relation, names, st.sampled_from(["<<", "<=", "=", ">=", ">>"]), versions)
relations = st.one_of(st.builds(Relation, names), bounded)


@given(relations)
def test_what_is_printed_can_be_read_again(relation: Relation) -> None:
    again = parse_relation(str(relation))
    assert again == relation
    assert str(again) == str(relation)


@given(st.lists(relations, min_size=1, max_size=4))
def test_what_is_printed_of_a_requirement_can_be_read_again(alternatives: list[Relation]) -> None:
    requirement = Requirement(tuple(alternatives))
    assert parse_requirement(str(requirement)) == requirement


@given(bounded, versions)
def test_each_version_is_earlier_or_equal_or_later_than_a_bound(relation: Relation, version: Version) -> None:
    met = {one: Relation("a", one, relation.version).admits(version) for one in ("<<", "<=", "=", ">=", ">>")}
    assert [met["<<"], met["="], met[">>"]].count(True) == 1
    assert met["<="] == (met["<<"] or met["="])
    assert met[">="] == (met[">>"] or met["="])


@given(st.text(max_size=30))
def test_any_text_is_a_requirement_or_a_fault_and_nothing_else(text: str) -> None:
    try:
        parsed = parse_requirement(text)
    except RelationFault as fault:
        assert str(fault)  # noqa: PT017  either way is right
    else:
        assert parse_requirement(str(parsed)) == parsed
