"""The instruments of the proof: do they see what they are meant to see?"""

import errno
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from proof.defects import DEFECTS
from proof.examine import all_or_nothing, half_done
from proof.faults import fail_at
from proof.instruments import BUDGETS, INSTRUMENTS, most_states, scenes
from proof.kills import first_kills, kill_at, recovery_of, states
from proof.listener import Call, is_possible
from proof.powercut import SECTOR, Recording, disk_after
from proof.powercut import states as cut_states
from proof.recorder import Record, read_log
from proof.report import Circumstances, as_json, as_markdown, as_svg, without_duplicates
from proof.run import choose
from proof.stage import Stage, set_stage
from proof.stories import STORIES
from proof.supervise import CONTINUE, KILL, count_calls, load_all, run_pkg, supervised
from proof.syscall_table import CHANGING, LOOKING, NAMES, OPENAT
from proof.verdicts import Scene, Tally, Verdict

listens = pytest.mark.skipif(not is_possible(), reason="the kernel lacks seccomp's user notification")
CALL = Call(1, "renameat2", (0,) * 6)


@pytest.fixture
def stage(fast_path: Path) -> Stage:
    load_all()
    return set_stage("upgrade", fast_path)


class TestListening:
    """A process is stopped before each of its system calls that change something."""

    pytestmark = listens

    def test_every_change_of_the_disk_is_asked_about(self, stage: Stage) -> None:
        names = Counter(count_calls(stage.command(stage.copy("count")), stage.place))
        assert names["renameat2"] >= 8
        assert names["syncfs"] >= 2
        assert names["fsync"] >= 4
        assert set(names) <= CHANGING | {OPENAT}

    def test_looking_is_asked_about_on_request_only(self, stage: Stage) -> None:
        few = count_calls(stage.command(stage.copy("few")), stage.place)
        many = count_calls(stage.command(stage.copy("many")), stage.place, looking=True)
        assert len(many) > 3 * len(few)
        assert LOOKING & set(many)

    def test_the_number_of_calls_is_the_same_each_time(self, stage: Stage) -> None:
        counts = {len(count_calls(stage.command(stage.copy(str(n))), stage.place)) for n in range(3)}
        assert len(counts) == 1

    def test_a_killed_process_has_not_made_the_call(self, stage: Stage) -> None:
        workshop = stage.copy("killed")
        ended = supervised(stage.command(workshop), stage.place, kill_at(1))
        assert (ended.code, ended.calls) == (None, 1)
        assert all_or_nothing(workshop, stage.expected) == ("old", [])

    def test_a_refused_call_fails_with_that_errno(self, stage: Stage) -> None:
        workshop = stage.copy("refused")
        ended = supervised(stage.command(workshop), stage.place, fail_at(40, "EIO", forever=True))
        assert ended.code not in {None, 0}
        assert "EIO" in ended.said

    def test_without_a_word_everything_goes_on(self, stage: Stage) -> None:
        workshop = stage.copy("whole")
        ended = supervised(stage.command(workshop), stage.place, lambda _number, _call: CONTINUE)
        assert (ended.code, ended.said) == (0, "")
        assert all_or_nothing(workshop, stage.expected) == ("new", [])

    def test_the_states_are_all_calls_and_the_end(self, stage: Stage) -> None:
        count = len(count_calls(stage.command(stage.copy("count")), stage.place))
        assert first_kills(stage) == [str(number) for number in range(1, count + 2)]
        assert states(stage) == [f"{number}{way}" for number in first_kills(stage) for way in ("", "-back")]


class TestExamining:
    """A root that is not as it has to be is recognised, whatever is wrong with it."""

    pytestmark = listens

    def test_both_ends_are_recognised(self, stage: Stage) -> None:
        workshop = stage.copy("old")
        assert all_or_nothing(workshop, stage.expected) == ("old", [])
        assert run_pkg(stage.command(workshop), stage.place).code == 0
        assert all_or_nothing(workshop, stage.expected) == ("new", [])

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            ("usr/bin/tool", "is neither old nor new"),
            ("usr/share/tool/same", "is neither old nor new"),
        ],
    )
    def test_a_half_written_file_is_seen(self, spoil: str, said: str, stage: Stage) -> None:
        workshop = stage.copy("half")
        path = workshop.path / spoil
        path.write_bytes(path.read_bytes()[:1])
        assert [line for line in half_done(workshop, stage.expected) if said in line]

    def test_a_missing_file_is_seen_also_where_directories_may_blink(self, stage: Stage) -> None:
        workshop = stage.copy("missing")
        (workshop.path / "usr/bin/tool").unlink()
        for may_blink in (False, True):
            assert half_done(workshop, stage.expected, may_blink=may_blink) == [
                "/usr/bin/tool is neither old nor new: None"
            ]

    def test_a_mixture_is_not_all_of_anything(self, stage: Stage) -> None:
        workshop = stage.copy("mixed")
        (workshop.path / "usr/bin/tool").write_text("two")
        assert half_done(workshop, stage.expected) != []
        _, found = all_or_nothing(workshop, stage.expected)
        assert any("usr/bin/tool" in line for line in found)

    def test_what_is_left_behind_is_seen(self, stage: Stage) -> None:
        workshop = stage.copy("left")
        (workshop.path / "var/lib/intact/private/transactions/9.trash").mkdir()
        (workshop.path / "usr/share/stray").write_text("x")
        _, found = all_or_nothing(workshop, stage.expected)
        assert any("9.trash" in line for line in found)
        assert any("usr/share/stray" in line for line in found)

    def test_a_transaction_that_is_still_open_is_seen(self, stage: Stage) -> None:
        workshop = stage.copy("open")
        renames = 0

        def policy(_number: int, call: Call) -> int:
            nonlocal renames
            renames += call.name == "renameat2"
            return KILL if renames == 4 else CONTINUE

        supervised(stage.command(workshop), stage.place, policy)
        _, found = all_or_nothing(workshop, stage.expected)
        assert any("is still open" in line for line in found)
        assert run_pkg(recovery_of(workshop), stage.place).code == 0
        assert all_or_nothing(workshop, stage.expected) == ("new", [])

    def test_a_lost_edit_is_seen(self, fast_path: Path) -> None:
        load_all()
        stage = set_stage("edited", fast_path)
        workshop = stage.copy("edited")
        assert run_pkg(stage.command(workshop), stage.place).code == 0
        (workshop.path / "usr/share/tool/mine").unlink()
        _, found = all_or_nothing(workshop, stage.expected)
        assert any("usr/share/tool/mine" in line and "missing" in line for line in found)


class TestCutting:
    """Disks as they may look after the power has gone."""

    @pytest.fixture
    def recording(self, fast_path: Path) -> Recording:
        base = fast_path / "base"
        base.write_bytes(b"." * SECTOR * 8)
        groups = (
            (Record("W", 0, b"a" * SECTOR), Record("W", SECTOR, b"b" * SECTOR * 2)),
            (
                Record("W", 0, b"c" * SECTOR),
                Record("W", SECTOR * 4, b"d" * SECTOR),
                Record("W", 0, b"e" * SECTOR),
            ),
            (),
        )
        nothing = set_stage  # never called: the expectation is not looked at
        return Recording("ext4", base, groups, 1, "new", nothing, fast_path)  # type: ignore[arg-type]

    def _disk(self, recording: Recording, state: str) -> str:
        image = recording.place / "cut"
        disk_after(recording, state, image)
        content = image.read_bytes()
        return "".join(chr(content[at]) for at in range(0, len(content), SECTOR))

    @pytest.mark.parametrize(
        ("state", "disk"),
        [
            ("0-none", "........"),
            ("0-all", "abb....."),
            ("0-prefix-1", "a......."),
            ("0-only-1", ".bb....."),
            ("0-without-0", ".bb....."),
            ("0-torn-1", "ab......"),
            ("1-none", "abb....."),
            ("1-all", "ebb.d..."),
            ("1-prefix-1", "cbb....."),
            ("1-prefix-2", "cbb.d..."),
            ("1-only-1", "abb.d..."),
            ("1-without-1", "ebb....."),
            ("2-none", "ebb.d..."),
        ],
    )
    def test_what_came_through_is_there_and_nothing_else(
        self, state: str, disk: str, recording: Recording
    ) -> None:
        assert self._disk(recording, state) == disk

    def test_what_was_flushed_is_always_there(self, recording: Recording) -> None:
        for state in cut_states(recording, seeds=5):
            if state.startswith(("1-", "2-")):
                assert self._disk(recording, state)[1:3] == "bb"

    def test_a_random_state_is_the_same_each_time(self, recording: Recording) -> None:
        names = [one for one in cut_states(recording, seeds=5) if "random" in one]
        assert len(names) == 5
        assert [self._disk(recording, one) for one in names] == [self._disk(recording, one) for one in names]

    def test_no_state_is_named_twice(self, recording: Recording) -> None:
        names = cut_states(recording, seeds=5)
        assert len(names) == len(set(names))
        assert "2-none" in names

    def test_an_unknown_state_is_refused(self, recording: Recording) -> None:
        with pytest.raises(ValueError, match="sideways"):
            self._disk(recording, "0-sideways-1")

    def test_a_log_is_read_as_it_was_written(self, fast_path: Path) -> None:
        log = fast_path / "log"
        log.write_bytes(
            b"W" + (7).to_bytes(8, "little") + (3).to_bytes(8, "little") + b"abc" + b"F" + bytes(16)
        )
        assert list(read_log(log)) == [Record("W", 7, b"abc"), Record("F", 0, b"")]


class TestChoosing:
    """A sample is repeatable, and every scene has its share."""

    SCENE = Scene("kill", "ext4", "upgrade")
    STATES = tuple(str(number) for number in range(100))

    def test_the_same_seed_chooses_the_same_states(self) -> None:
        assert choose(self.SCENE, self.STATES, 10, 1) == choose(self.SCENE, self.STATES, 10, 1)
        assert choose(self.SCENE, self.STATES, 10, 1) != choose(self.SCENE, self.STATES, 10, 2)
        assert len(set(choose(self.SCENE, self.STATES, 10, 1))) == 10

    def test_every_kind_of_state_has_its_share(self) -> None:
        states = [*(f"often-{number}" for number in range(1000)), "once", "rarely-1", "rarely-2"]
        chosen = choose(self.SCENE, states, 10, 1)
        assert len(chosen) == 10
        assert {"once", "rarely-1", "rarely-2"} < set(chosen)

    def test_without_a_limit_all_are_chosen(self) -> None:
        assert choose(self.SCENE, self.STATES, None, 1) == list(self.STATES)
        assert choose(self.SCENE, self.STATES, 100, 1) == list(self.STATES)

    def test_a_larger_budget_has_all_scenes_of_a_smaller_one(self) -> None:
        quick, full, every = (set(scenes(budget)) for budget in BUDGETS)
        assert quick < full == every
        assert {one.instrument for one in quick} == set(INSTRUMENTS)
        assert {one.filesystem for one in quick if one.instrument == "cut"} == {"ext4", "xfs", "btrfs"}

    @pytest.mark.parametrize("name", INSTRUMENTS)
    def test_an_instrument_plays_stories_that_exist(self, name: str) -> None:
        for story in INSTRUMENTS[name].stories:
            assert story.partition("+")[0] in STORIES
        assert most_states(name, "every") is None
        assert (most_states(name, "quick") or 0) > 0


class TestReporting:
    """What is told is what was seen."""

    SCENE = Scene("kill", "ext4", "upgrade")

    def test_verdicts_are_added_up(self) -> None:
        fine = Verdict(self.SCENE, "1", 3, Counter(old=2, new=1))
        wrong = Verdict(self.SCENE, "2", 1, Counter(new=1), ("something", "else"))
        tally = Tally.of([fine, wrong])
        assert (tally.tried, tally.outcomes) == (4, Counter(old=2, new=2))
        assert tally.violations == ["kill/ext4/upgrade/2: something", "kill/ext4/upgrade/2: else"]

    def test_the_report_has_every_figure_and_every_violation(self) -> None:
        report = {self.SCENE: Tally(4, Counter(old=4), ["kill/ext4/upgrade/2: wrong"])}
        text = as_json(report, Circumstances("quick", 1, "6.1", "3.11", "0.1", 2.5))
        assert '"states": 4' in text
        assert "kill/ext4/upgrade/2: wrong" in text
        assert "| ext4 | upgrade | 4 | old 4 | 1 |" in as_markdown(report)
        assert as_svg(report, "a title").startswith("<svg")

    def test_the_same_violation_of_many_states_is_told_once(self) -> None:
        lines = ["a/1: lost", "a/2: lost", "a/3: torn"]
        assert without_duplicates(lines) == ["a/1: lost", "a/3: torn"]


@pytest.mark.parametrize(
    ("number", "count", "forever", "decision"),
    [(3, 2, False, CONTINUE), (3, 3, False, errno.EIO), (3, 4, False, CONTINUE), (3, 4, True, errno.EIO)],
)
def test_a_fault_comes_once_or_from_then_on(number: int, count: int, decision: int, *, forever: bool) -> None:
    assert fail_at(number, "EIO", forever=forever)(count, CALL) == decision


def test_the_tables_of_system_calls_fit_together() -> None:
    assert not CHANGING & LOOKING
    assert OPENAT not in CHANGING | LOOKING
    assert len(set(NAMES)) == len(NAMES)
    assert {"renameat2", "syncfs", "fsync", "write", "unlinkat"} <= CHANGING


def test_there_are_more_than_a_dozen_defects_and_each_says_what_it_breaks() -> None:
    assert len(DEFECTS) >= 12
    for name, put in DEFECTS.items():
        assert put.__doc__, name


# How each shows itself: the part of the quick proof that finds it at once, because all of it takes minutes. What is
# durable at a power cut is the kernel's to decide in part, so for such a defect there are more parts to look at.
FOUND_BY = {
    "no-barrier": "cut/ext4/upgrade cut/xfs/upgrade cut/ext4/rollback cut/btrfs/upgrade",
    "no-directory-sync": "cut/ext4/upgrade cut/xfs/upgrade cut/ext4/rollback cut/btrfs/upgrade",
    "no-sync-before-committed": "cut/ext4/upgrade cut/ext4/rollback cut/xfs/upgrade",
    "no-journal-sync": "cut/ext4/upgrade+busy cut/xfs/upgrade+busy cut/btrfs/upgrade+busy",
    "lost-staged": "kill/ext4/install",
    "lost-committed": "kill/ext4/install",
    "lost-rolling-back": "kill/ext4/refused",
    "undo-in-wrong-order": "kill/overlayfs/upgrade",
    "done-turned-round": "kill/ext4/upgrade",
    "half-the-steps": "kill/ext4/remove",
    "in-place": "kill/ext4/upgrade",
    "remove-then-rename": "kill/ext4/edited",
    "backups-deleted-early": "kill/ext4/upgrade",
    "database-before-commit-point": "kill/ext4/upgrade",
    "trash-stays": "kill/ext4/upgrade",
    "discard-keeps-files": "kill/ext4/upgrade",
    "plan-believed": "damage/tmpfs/upgrade+crash",
    "hooks-not-asked": "kill/ext4/refused",
    "work-not-kept": "meddle/tmpfs/refused",
    "changes-not-noticed": "meddle/tmpfs/upgrade",
    "old-journals-believed": "damage/tmpfs/upgrade+done+back",
    "parts-not-taken-away": "kill/ext4/install-in-parts kill/ext4/upgrade-in-parts fault/overlayfs/install-in-parts",
}


def test_every_deliberate_defect_has_its_test_and_every_test_is_a_part_of_the_quick_proof() -> None:
    assert set(FOUND_BY) == set(DEFECTS)
    assert {one for parts in FOUND_BY.values() for one in parts.split()} <= {
        str(one) for one in scenes("quick")
    }


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or not is_possible(), reason="needs root and seccomp's user notification"
)
@pytest.mark.parametrize("name", FOUND_BY)
def test_each_deliberate_defect_makes_the_quick_proof_red(name: str) -> None:
    first, *others = FOUND_BY[name].split()
    done = _quick_proof(name, *first.split("/"))
    if done.stderr.startswith("prove: "):
        pytest.skip(done.stderr)  # this machine lacks what it needs
    while done.returncode == 0 and others:
        done = _quick_proof(name, *others.pop(0).split("/"))
    assert done.returncode == 1, f"{name}: not found\n{done.stdout}\n{done.stderr}"
    assert "the instrument itself failed" not in done.stdout


def _quick_proof(
    defect: str, instrument: str, filesystem: str, story: str
) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-m",
        "proof",
        "--quick",
        "--stop-at-first",
        "--workers",
        "1",
        "--defect",
        defect,
    ]
    command += ["--only", instrument, "--filesystem", filesystem, "--story", story]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
