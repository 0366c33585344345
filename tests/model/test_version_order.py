"""Is the order of versions Debian's, and is it an order at all?"""

import subprocess
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from intact.model.versions import Version, version_fault

# Each line from the earliest to the latest.
ASCENDING = {
    "digits are numbers": ["1", "2", "9", "10", "11", "100"],
    "after a dot too": ["0.9", "0.10", "0.11", "1.0"],
    "a tilde before the end": ["1.0~~", "1.0~~a", "1.0~", "1.0~a", "1.0", "1.0a", "1.0+"],
    "candidates before the release": ["1.0~beta1", "1.0~beta2", "1.0~rc1", "1.0"],
    "letters before the rest, by their codes": ["1A", "1Z", "1a", "1z", "1+", "1.", "1.a"],
    "a revision is no part of the upstream version": ["1-1~", "1-1", "1a", "1+", "1.1"],
    "revisions are numbers": ["1.0", "1.0-1", "1.0-2", "1.0-10"],
    "uploads between revisions": ["1.0-1", "1.0-1+b1", "1.0-1+deb12u1", "1.0-1.1", "1.0-2"],
    "backports before their original": ["1.0-1~bpo11+1", "1.0-1~bpo12+1", "1.0-1"],
    "a tilde after a nought": ["0~", "0~1", "0", "0a", "0.1"],
    "a tilde after a revision of nought": ["1-0~", "1-0~bpo1", "1", "1-0a", "1-0.1"],
    "epochs beat everything": ["9999", "1:0", "1:1", "2:0"],
    "a letter is less than one more dot": ["1.2.3", "1.2.3a", "1.2.3.1", "1.2.4"],
    "a revision of letters after one of digits": ["1.0-1", "1.0-9", "1.0-rc1"],
    "only the last hyphen starts the revision": ["1-1", "1-2", "1-1-1"],
    "dates": ["20231231", "20240101", "20240101.1"],
    "snapshots": ["1.0~git20240101", "1.0~git20240102"],
    "huge numbers": ["99999999999999999998", "99999999999999999999", "100000000000000000000"],
    "digits before letters at the start": ["1", "9", "a", "b"],
    "the same rules in the revision": ["1.0-1~", "1.0-1", "1.0-1a", "1.0-1+", "1.0-1."],
    "a patch level of letters": ["7.6-0", "7.6p1-1", "7.6p2-4"],
    "as kernels count": ["5.4-20", "5.4-20.1", "5.5-0", "1:0.1"],
}

EQUAL = [
    ("1", "01"),
    ("1.0", "1.00"),
    ("1.0", "1.0-0"),
    ("1.0", "1.0-00"),
    ("0:1", "1"),
    ("00:1", "1"),
    ("1.", "1.0"),
    ("1a", "1a0"),
    ("1a", "1a00"),
    ("1-1", "1-01"),
    ("1:1", "01:1"),
    ("0", "00"),
    ("1.a.0", "1.a."),
    ("1~", "1~0"),
]


@pytest.mark.parametrize("texts", ASCENDING.values(), ids=ASCENDING)
def test_versions_come_in_this_order(texts: list[str]) -> None:
    versions = [Version(one) for one in texts]
    for number, earlier in enumerate(versions):
        for later in versions[number + 1 :]:
            assert earlier < later
            assert later > earlier
            assert earlier != later
    backwards = versions[::-1]
    assert sorted(backwards) == versions


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_versions_that_only_look_different_are_equal(one: str, other: str) -> None:
    assert Version(one) == Version(other)
    assert hash(Version(one)) == hash(Version(other))
    assert not Version(one) < Version(other)
    assert Version(one) <= Version(other)
    assert len({Version(one), Version(other)}) == 1


def test_the_text_that_was_given_is_kept_although_it_is_equal_to_another() -> None:
    assert [str(one) for one in (Version("1.00"), Version("1.0"))] == ["1.00", "1.0"]


@pytest.mark.parametrize("other", ["1", 1, None, ("1",), 1.0])
def test_a_version_equals_nothing_but_a_version(other: object) -> None:
    assert Version("1") != other


# A question to dpkg takes milliseconds; what it disagrees about is short enough to read.
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)

digits = st.sampled_from(["0", "00", "1", "01", "2", "9", "10", "099", "100", "18446744073709551616"])
marks = st.sampled_from(["", ".", "~", "~~", "+", "a", "Z", "rc", ".~", "+b", "..", "a~"])
upstream = st.builds(
    lambda head, tail: head + "".join(map("".join, tail)),
    digits,
    st.lists(st.tuples(marks, digits), max_size=3),
)
endings = st.sampled_from(["", "", "~", ".", "a", "+"])
revision = st.one_of(st.just(""), st.builds("-{}{}{}".format, digits, marks, digits))
epoch = st.sampled_from(["", "", "", "0:", "1:", "02:"])
texts = st.builds("{}{}{}{}".format, epoch, upstream, endings, revision)
# Versions that differ in the tail only are where rules meet.
neighbours = st.builds(lambda text, one, other: (text + one, text + other), texts, endings, endings)
pairs_of_texts = st.one_of(st.tuples(texts, texts), neighbours)


def dpkg_answers(pairs: list[tuple[str, str]]) -> list[tuple[bool, bool, bool]]:
    """Ask dpkg whether each first is earlier than, equal to, later than the second; one shell for all."""
    script = 'while read -r a b; do for o in lt eq gt; do dpkg --compare-versions "$a" $o "$b"; printf %s $?; done; echo; done'
    questions = "".join(f"{one} {other}\n" for one, other in pairs)
    done = subprocess.run(["sh", "-c", script], input=questions, capture_output=True, text=True, check=True)
    # dpkg compares these, with a warning; they occur in the wild.
    assert all(line.endswith("does not start with digit") for line in done.stderr.splitlines())
    answers = done.stdout.split()
    assert len(answers) == len(pairs)
    assert all(sorted(one) == ["0", "1", "1"] for one in answers)
    return [(one[0] == "0", one[1] == "0", one[2] == "0") for one in answers]


def our_answers(pairs: list[tuple[str, str]]) -> list[tuple[bool, bool, bool]]:
    versions = [(Version(one), Version(other)) for one, other in pairs]
    return [(one < other, one == other, one > other) for one, other in versions]


needs_dpkg = pytest.mark.skipif(
    subprocess.run(["sh", "-c", "command -v dpkg"], capture_output=True, check=False).returncode != 0,
    reason="needs dpkg",
)


@needs_dpkg
def test_dpkg_agrees_with_the_tables_of_this_file() -> None:
    pairs = [pair for texts in ASCENDING.values() for pair in pairwise(texts)]
    pairs += EQUAL
    assert dpkg_answers(pairs) == our_answers(pairs)
    assert our_answers(EQUAL) == [(False, True, False)] * len(EQUAL)


@needs_dpkg
@settings(max_examples=8, deadline=None, phases=NO_SHRINKING)
@given(st.lists(pairs_of_texts, min_size=30, max_size=40))
def test_dpkg_agrees_about_versions_of_every_kind(pairs: list[tuple[str, str]]) -> None:
    assert dpkg_answers(pairs) == our_answers(pairs)


@needs_dpkg
@settings(max_examples=3, deadline=None, phases=NO_SHRINKING)
@given(st.lists(st.text("0123456789.~+-aZ:", max_size=7).map("1{}".format), min_size=60, max_size=60))
def test_dpkg_accepts_what_we_accept(candidates: list[str]) -> None:
    ours = [(one, one) for one in candidates if version_fault(one) is None]
    assert dpkg_answers(ours) == [(False, True, False)] * len(ours)


@given(texts)
def test_a_version_equals_itself(text: str) -> None:
    assert Version(text) == Version(text)
    assert not Version(text) < Version(text)


@given(texts, texts)
def test_of_two_versions_exactly_one_relation_holds(one: str, other: str) -> None:
    left, right = Version(one), Version(other)
    assert [left < right, left == right, left > right].count(True) == 1
    assert (left < right) == (right > left)
    assert (left <= right) == (not right < left)
    assert (left >= right) == (not left < right)
    assert (left != right) == ((left == right) is False)


@given(texts, texts, texts)
def test_the_order_is_transitive(one: str, other: str, third: str) -> None:
    low, middle, high = sorted(map(Version, (one, other, third)))
    assert low <= middle <= high
    assert low <= high
    assert not high < low


@given(texts, texts)
def test_equal_versions_hash_alike(one: str, other: str) -> None:
    if Version(one) == Version(other):
        assert hash(Version(one)) == hash(Version(other))


@given(texts)
def test_a_candidate_comes_before_its_release_and_a_higher_epoch_after(text: str) -> None:
    plain = text.rpartition(":")[2]
    assert Version(f"{text}~") < Version(text) < Version(f"7:{plain}")


@given(upstream, digits)
def test_zeros_before_a_number_do_not_count(head: str, number: str) -> None:
    assert Version(f"{head}.{number}") == Version(f"{head}.000{number}")


@given(st.lists(texts, max_size=12))
def test_sorting_does_not_depend_on_where_it_starts(all_of_them: list[str]) -> None:
    one = sorted(map(Version, all_of_them))
    other = sorted(map(Version, reversed(all_of_them)))
    assert one == other


def test_a_version_is_neither_equal_to_a_text_nor_in_order_with_one() -> None:
    assert Version("1") != "1"
    with pytest.raises(TypeError):
        _ = Version("1") < "2"
