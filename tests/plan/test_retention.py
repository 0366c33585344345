"""Whose backups go to make room for those of the next transaction?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.model.installed import Outcome, TransactionRecord
from intact.plan.retention import RetentionPolicy, choose_pruned


def record(number: int, size: int = 0) -> TransactionRecord:
    return TransactionRecord(number, "install", "pkg", 0, 0, Outcome.COMMITTED, retained=True, size=size)


@pytest.mark.parametrize(
    ("sizes", "count", "size", "upcoming", "expected"),
    [
        pytest.param([], 10, 100, 0, (), id="an empty history"),
        pytest.param([1, 1], 3, 100, 0, (), id="as many as may be"),
        pytest.param([1, 1, 1], 3, 100, 0, (1,), id="one too many"),
        pytest.param([1, 1, 1, 1], 2, 100, 0, (1, 2, 3), id="several too many"),
        pytest.param([1, 1], 1, 100, 0, (1, 2), id="only the coming one"),
        pytest.param([50, 50], 9, 100, 0, (), id="just as large as may be"),
        pytest.param([50, 50], 9, 100, 1, (1,), id="one byte too large"),
        pytest.param([1, 90, 5], 9, 100, 5, (1,), id="a full house"),
        pytest.param([1, 95, 5], 9, 100, 5, (1, 2), id="a large one takes the older with it"),
        pytest.param([1, 1, 1], 9, 100, 1000, (1, 2, 3), id="the coming one alone is too large"),
        pytest.param([0, 0, 0], 9, 0, 0, (), id="nothing takes no room"),
    ],
)
def test_the_oldest_go_when_there_are_too_many_or_they_are_too_large(
    sizes: list[int], count: int, size: int, upcoming: int, expected: tuple[int, ...]
) -> None:
    records = [record(number, one) for number, one in enumerate(sizes, 1)]
    assert choose_pruned(records, RetentionPolicy(count, size), upcoming) == expected


def test_the_default_keeps_ten_and_two_gibibytes() -> None:
    assert RetentionPolicy() == RetentionPolicy(count=10, size=2 * 1024**3)


RECORDS = st.dictionaries(st.integers(1, 50), st.integers(0, 100), max_size=12).map(
    lambda sizes: [record(number, size) for number, size in sizes.items()]
)
POLICIES = st.builds(RetentionPolicy, st.integers(1, 12), st.integers(0, 300))


@given(RECORDS, POLICIES, st.integers(0, 400))
def test_what_stays_fits_and_is_the_newest(
    records: list[TransactionRecord], policy: RetentionPolicy, upcoming: int
) -> None:
    pruned = choose_pruned(records, policy, upcoming)
    stays = [one for one in records if one.id not in pruned]
    assert len(stays) + 1 <= policy.count
    assert not stays or sum(one.size for one in stays) + upcoming <= policy.size
    assert all(one.id > number for one in stays for number in pruned)


@given(RECORDS, POLICIES, st.integers(0, 400))
def test_no_more_goes_than_must(
    records: list[TransactionRecord], policy: RetentionPolicy, upcoming: int
) -> None:
    pruned = choose_pruned(records, policy, upcoming)
    if pruned:
        stays = [one for one in records if one.id not in pruned[:-1]]
        too_many = len(stays) + 1 > policy.count
        assert too_many or sum(one.size for one in stays) + upcoming > policy.size


@given(RECORDS, POLICIES, st.integers(0, 400))
def test_the_order_of_the_history_does_not_matter(
    records: list[TransactionRecord], policy: RetentionPolicy, upcoming: int
) -> None:
    expected = choose_pruned(records, policy, upcoming)
    assert choose_pruned(records[::-1], policy, upcoming) == expected == tuple(sorted(expected))
