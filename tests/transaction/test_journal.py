"""The journal: records that are there or not there, and damage that is never taken for either."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intact.model.errors import JournalDamaged
from intact.model.paths import RelPath
from intact.system.linux import LinuxDisk
from intact.transaction.journal import BLOCK, BLOCKS, Journal, Record
from intact.transaction.phases import AFTER_CRASH, FINAL_PHASES, TRANSITIONS, Phase, Verdict

PLACE = RelPath("journal")
DIGEST = "ab" * 32
COMMITTED_WAY = [Phase.OPEN, Phase.STAGED, Phase.COMMITTED, Phase.RECORDED, Phase.CLOSED]
UNDONE_WAY = [Phase.OPEN, Phase.STAGED, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.CLOSED]
DISCARDED_WAY = [Phase.OPEN, Phase.DISCARDED]
CONFIRMED_WAY = [*COMMITTED_WAY[:2], Phase.PROVISIONAL, *COMMITTED_WAY[2:]]
REFUSED_WAY = [*UNDONE_WAY[:2], Phase.PROVISIONAL, *UNDONE_WAY[2:]]
WAYS = [COMMITTED_WAY, UNDONE_WAY, DISCARDED_WAY, CONFIRMED_WAY, REFUSED_WAY]


@pytest.fixture
def disk(fast_path: Path) -> Iterator[LinuxDisk]:
    opened = LinuxDisk(str(fast_path))
    yield opened
    opened.close()


def _record(phase: Phase, number: int = 0) -> Record:
    return Record(
        phase, 1000 + number, DIGEST if phase in {Phase.OPEN, Phase.STAGED} else "", f"reason {number}"
    )


def _write(disk: LinuxDisk, way: list[Phase], transaction: int = 7) -> Path:
    file = Path(disk.root) / "journal"
    file.unlink(missing_ok=True)
    journal = Journal.create(disk, PLACE, transaction, _record(way[0]))
    for number, phase in enumerate(way[1:], 1):
        journal.append(_record(phase, number))
    return file


def _load(disk: LinuxDisk, transaction: int = 7) -> Journal | None:
    return Journal.load(disk, PLACE, transaction)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[-1].name + str(len(way)))
def test_what_is_written_is_read_again(way: list[Phase], disk: LinuxDisk) -> None:
    for length in range(1, len(way) + 1):
        _write(disk, way[:length])
        journal = _load(disk)
        assert journal is not None
        assert [one.phase for one in journal.records] == way[:length]
        assert journal.records == tuple(_record(phase, number) for number, phase in enumerate(way[:length]))
        assert journal.phase is way[length - 1]


def test_it_has_its_whole_size_from_the_beginning_and_keeps_it(disk: LinuxDisk) -> None:
    sizes = {_write(disk, COMMITTED_WAY[:length]).stat().st_size for length in range(1, 6)}
    assert sizes == {BLOCK * BLOCKS}


def test_no_journal_and_an_empty_one_are_none(disk: LinuxDisk) -> None:
    assert _load(disk) is None
    file = Path(disk.root) / "journal"
    for content in (b"", bytes(BLOCK), bytes(BLOCK * BLOCKS)):
        file.write_bytes(content)
        assert _load(disk) is None


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[-1].name + str(len(way)))
def test_no_flipped_byte_is_believed(way: list[Phase], disk: LinuxDisk) -> None:
    file = _write(disk, way)
    whole = file.read_bytes()
    used = len(way) * BLOCK
    for at in [*range(used), *range(used, len(whole), 61)]:
        damaged = bytearray(whole)
        damaged[at] ^= 0x01
        file.write_bytes(damaged)
        with pytest.raises(JournalDamaged):
            _load(disk)


def test_no_block_can_be_left_out_doubled_or_moved(disk: LinuxDisk) -> None:
    file = _write(disk, COMMITTED_WAY)
    whole = file.read_bytes()
    blocks = [whole[at : at + BLOCK] for at in range(0, len(whole), BLOCK)]
    for one in range(5):
        for other in range(6):
            changed = list(blocks)
            changed[one], changed[other] = changed[other], changed[one]
            if changed == blocks:
                continue
            file.write_bytes(b"".join(changed))
            with pytest.raises(JournalDamaged):
                _load(disk)
    for left_out in range(4):
        file.write_bytes(b"".join([*blocks[:left_out], *blocks[left_out + 1 :], bytes(BLOCK)]))
        with pytest.raises(JournalDamaged):
            _load(disk)


def test_the_journal_of_another_transaction_is_not_believed(disk: LinuxDisk) -> None:
    _write(disk, COMMITTED_WAY, transaction=8)
    with pytest.raises(JournalDamaged, match="belongs to another journal"):
        _load(disk, transaction=7)


def test_a_journal_cut_at_a_block_ends_there_and_one_cut_inside_is_damaged(disk: LinuxDisk) -> None:
    file = _write(disk, COMMITTED_WAY)
    whole = file.read_bytes()
    for length in range(0, 6 * BLOCK, 73):
        file.write_bytes(whole[:length])
        records, rest = divmod(length, BLOCK)
        if rest and records < 5:
            with pytest.raises(JournalDamaged):
                _load(disk)
        else:
            journal = _load(disk)
            assert (len(journal.records) if journal else 0) == min(records, 5)


@pytest.mark.parametrize("extra", [b"x", b"\0" * 10, b"\0" * BLOCK + b"intact"])
def test_bytes_behind_the_last_block_are_damage(extra: bytes, disk: LinuxDisk) -> None:
    file = _write(disk, COMMITTED_WAY)
    file.write_bytes(file.read_bytes() + extra)
    with pytest.raises(JournalDamaged, match="after its last record"):
        _load(disk)


def test_a_reason_of_any_length_and_script_fits(disk: LinuxDisk) -> None:
    for reason in ("x" * 5000, "é" * 400, "\udcff" * 300, '"\\' * 200, "\n\0\x1b", ""):
        (Path(disk.root) / "journal").unlink(missing_ok=True)
        journal = Journal.create(disk, PLACE, 7, _record(Phase.OPEN))
        journal.append(Record(Phase.STAGED, 1, DIGEST))
        journal.append(Record(Phase.ROLLING_BACK, 2, reason=reason))
        loaded = _load(disk)
        assert loaded is not None
        assert loaded.phase is Phase.ROLLING_BACK
        kept = loaded.records[-1].reason
        assert kept == reason.encode("ascii", "backslashreplace").decode()[: len(kept)]


@pytest.mark.parametrize("first", list(Phase))
@pytest.mark.parametrize("second", list(Phase))
def test_only_the_transitions_of_the_table_can_be_written(
    first: Phase, second: Phase, disk: LinuxDisk
) -> None:
    way = next((way[: way.index(first) + 1] for way in WAYS if first in way), None)
    assert way is not None
    file = _write(disk, way)
    before = file.read_bytes()
    journal = _load(disk)
    assert journal is not None
    if second in TRANSITIONS[first]:
        journal.append(_record(second, 9))
        assert journal.phase is second
    else:
        with pytest.raises(JournalDamaged, match=f"{second.value} cannot follow {first.value}"):
            journal.append(_record(second, 9))
        assert file.read_bytes() == before


@pytest.mark.parametrize("first", [phase for phase in Phase if phase is not Phase.OPEN])
def test_a_journal_begins_with_open(first: Phase, disk: LinuxDisk) -> None:
    Journal.create(disk, PLACE, 7, _record(first))
    with pytest.raises(JournalDamaged, match="cannot follow the beginning"):
        _load(disk)


def test_a_record_vouches_for_a_file(disk: LinuxDisk) -> None:
    _write(disk, COMMITTED_WAY)
    journal = _load(disk)
    assert journal is not None
    assert journal.attached(Phase.OPEN) == journal.attached(Phase.STAGED) == DIGEST
    with pytest.raises(JournalDamaged, match="no ROLLING_BACK record"):
        journal.attached(Phase.ROLLING_BACK)


def test_damage_is_told_with_the_place_and_what_to_keep(disk: LinuxDisk) -> None:
    file = _write(disk, COMMITTED_WAY)
    file.write_bytes(b"x" * BLOCK * BLOCKS)
    with pytest.raises(JournalDamaged, match="record 0 of the journal is damaged") as caught:
        _load(disk)
    assert caught.value.path == "/journal"
    assert "it holds the backups" in (caught.value.remedy or "")
    assert caught.value.exit_code == 6


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(min_size=1, max_size=BLOCK * 3))
def test_noise_is_never_a_journal(disk: LinuxDisk, noise: bytes) -> None:
    (Path(disk.root) / "journal").write_bytes(noise)
    if noise.strip(b"\0"):
        with pytest.raises(JournalDamaged):
            _load(disk)
    else:
        assert _load(disk) is None


class TestPhases:
    """The table of phases, as DESIGN draws it."""

    def test_the_ways_through_the_table_are_those_of_the_drawing(self) -> None:
        found: list[list[Phase]] = []

        def walk(way: list[Phase]) -> None:
            following = TRANSITIONS[way[-1]]
            if not following:
                found.append(way)
            for phase in following:
                walk([*way, phase])

        walk([Phase.OPEN])
        assert sorted(found) == sorted(WAYS)

    def test_every_phase_has_its_row_and_its_verdict(self) -> None:
        assert set(TRANSITIONS) == set(AFTER_CRASH) == set(Phase)
        assert {Phase.CLOSED, Phase.DISCARDED} == FINAL_PHASES

    @pytest.mark.parametrize(
        ("phase", "verdict"),
        [
            (Phase.OPEN, Verdict.DISCARD),
            (Phase.DISCARDED, Verdict.CLEAN_UP),
            (Phase.STAGED, Verdict.ROLL_FORWARD),
            (Phase.PROVISIONAL, Verdict.UNDO_UNCONFIRMED),
            (Phase.COMMITTED, Verdict.RECORD),
            (Phase.RECORDED, Verdict.CLEAN_UP),
            (Phase.ROLLING_BACK, Verdict.ROLL_BACK),
            (Phase.ROLLED_BACK, Verdict.CLEAN_UP),
            (Phase.CLOSED, Verdict.NOTHING),
        ],
    )
    def test_the_verdict_of_each_phase(self, phase: Phase, verdict: Verdict) -> None:
        assert AFTER_CRASH[phase] is verdict
