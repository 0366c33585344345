"""The instrument that fills a filesystem: is it really full, and is harm seen?"""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from proof import quotas
from proof.filling import cramped, free_bytes, free_inodes, leave_bytes, leave_inodes, make_room
from proof.full import Arena, judge, prepare, states, try_full
from proof.images import missing_tools, unmount
from proof.kills import kill_at
from proof.stage import Stage, set_stage
from proof.supervise import Ended, load_all, supervised
from proof.verdicts import Scene
from support.workshop import Workshop

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or bool(missing_tools()), reason="needs root and the tools of the filesystems"
)

NOBODY = 65534
KIB = 1024
REFUSED = Ended(9, 0, "preflight: ENOSPC (2 bytes are needed, 1 are free)\n  now: the root is as it was")


@pytest.fixture(params=["ext4", "xfs", "btrfs", "tmpfs"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each filesystem."""
    return str(request.param)


@pytest.fixture
def top(kind: str, fast_path: Path) -> Iterator[Path]:
    """A small one of its own."""
    try:
        filesystem = cramped(kind, fast_path)
        place = filesystem.__enter__()
    except subprocess.CalledProcessError:
        pytest.skip(f"this machine cannot mount {kind}")
    yield place
    filesystem.__exit__(None, None, None)


@pytest.fixture
def stage(fast_path: Path) -> Stage:
    load_all()
    return set_stage("upgrade", fast_path)


class TestFilling:
    """Full is full, and nobody has to say so."""

    def test_not_one_more_block_can_be_written(self, top: Path) -> None:
        leave_bytes(top, 0)
        with pytest.raises(OSError, match="No space left") as caught:
            _add_a_block(top / "ballast")
        assert caught.value.errno == errno.ENOSPC

    @pytest.mark.parametrize("kib", [64, 1000])
    def test_as_much_is_left_as_was_asked_for(self, kib: int, kind: str, top: Path) -> None:
        leave_bytes(top, kib)
        wanted = kib * KIB
        if kind == "btrfs":  # says that there is nothing once its directories could not grow
            assert free_bytes(top) < wanted + 4 * KIB
        else:
            assert wanted <= free_bytes(top) < wanted + 4 * KIB

    def test_there_is_room_again_afterwards(self, top: Path) -> None:
        before = free_bytes(top)
        leave_bytes(top, 0)
        make_room(top)
        assert free_bytes(top) >= before * 0.9
        (top / "fits").write_bytes(bytes(1 << 20))

    @pytest.mark.parametrize("kind", ["ext4", "tmpfs"], indirect=True)
    @pytest.mark.parametrize("count", [0, 3])
    def test_so_many_inodes_are_left_and_no_more(self, count: int, top: Path) -> None:
        leave_inodes(top, count)
        assert free_inodes(top) == count
        for number in range(count):
            (top / f"one more {number}").touch()
        with pytest.raises(OSError, match="No space left"):
            (top / "one too many").touch()
        assert free_bytes(top) > 0

    def test_more_inodes_than_there_are_cannot_be_left(self, fast_path: Path) -> None:
        with cramped("tmpfs", fast_path) as top, pytest.raises(AssertionError, match="inodes are free"):
            leave_inodes(top, 10_000)

    @pytest.mark.parametrize("kind", quotas.KINDS)
    def test_a_user_at_the_end_of_his_quota_can_write_nothing_and_others_can(
        self, kind: str, fast_path: Path
    ) -> None:
        try:
            with quotas.with_quotas(kind, fast_path) as top:
                mine = top / "mine"
                mine.mkdir()
                os.chown(mine, NOBODY, NOBODY)
                quotas.give_quota(kind, top, NOBODY, 0)
                assert free_bytes(top) > 1 << 20
                assert _writes(mine) == errno.EDQUOT
                quotas.end_quota(kind, top, NOBODY)
                assert _writes(mine) == 0
        except quotas.NotPossible as error:
            pytest.skip(str(error))


def _add_a_block(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(bytes(4 * KIB))
        os.fsync(file.fileno())


def _writes(place: Path) -> int:
    """Write some blocks as nobody, and return the errno that comes of it."""
    child = os.fork()
    if child == 0:
        number = 255
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with (place / "file").open("wb") as file:
                file.write(bytes(64 * KIB))
                file.flush()
                os.fsync(file.fileno())
            number = 0
        except OSError as error:
            number = error.errno or 255
        finally:
            os._exit(number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class TestJudging:
    """A root that is wrong is told, however it came to be."""

    def _found(self, stage: Stage, workshop: Workshop, ended: Ended) -> list[str]:
        return judge(stage, workshop, ended, lambda: None)[1]

    def test_a_refusal_that_changed_nothing_is_fine(self, stage: Stage) -> None:
        assert judge(stage, stage.copy("old"), REFUSED, lambda: None) == ("refused, old", [])

    def test_a_success_is_fine(self, stage: Stage) -> None:
        workshop = stage.copy("new")
        assert judge(stage, workshop, stage.run(stage.command(workshop)), lambda: None) == ("done, new", [])

    def test_a_file_that_is_half_there_is_told(self, stage: Stage) -> None:
        workshop = stage.copy("half")
        tool = workshop.path / "usr/bin/tool"
        tool.write_bytes(tool.read_bytes()[:1])
        found = self._found(stage, workshop, REFUSED)
        assert any("is neither old nor new" in one for one in found)
        assert any("says that the root is as it was, and it is not" in one for one in found)

    def test_a_lost_file_is_told(self, stage: Stage) -> None:
        workshop = stage.copy("lost")
        (workshop.path / "usr/share/somebody").unlink()
        assert any("usr/share/somebody" in one for one in self._found(stage, workshop, REFUSED))

    def test_a_success_that_did_nothing_is_told(self, stage: Stage) -> None:
        found = self._found(stage, stage.copy("idle"), Ended(0, 0, ""))
        assert "exit code 0, and not everything is new" in found
        assert any("and then all is old" in one for one in found)

    def test_a_refusal_that_did_everything_is_told(self, stage: Stage) -> None:
        workshop = stage.copy("everything")
        stage.run(stage.command(workshop))
        assert any("exit code 9, and then all is new" in one for one in self._found(stage, workshop, REFUSED))

    def test_a_refusal_of_another_name_is_told(self, stage: Stage) -> None:
        found = self._found(stage, stage.copy("other"), Ended(1, 0, "write: EIO (Input/output error)"))
        assert any("exit code 1 for a lack of space" in one for one in found)
        assert any("does not name ENOSPC" in one for one in found)

    def test_what_is_to_be_recovered_may_end_in_either(self, stage: Stage) -> None:
        workshop = stage.copy("killed")
        supervised(stage.command(workshop), stage.place, kill_at(110))
        outcome, found = judge(stage, workshop, Ended(6, 0, "exchange: ENOSPC"), lambda: None)
        assert outcome in {"to be recovered, new", "to be recovered, old"}
        assert found == []


class TestTrying:
    """A state is found again by its name."""

    @pytest.fixture
    def arena(self, fast_path: Path) -> Arena:
        load_all()
        return prepare("upgrade", "tmpfs", fast_path)

    def test_each_way_to_run_out_has_states_and_none_is_named_twice(self, arena: Arena) -> None:
        names = states(arena)
        assert len(names) == len(set(names))
        assert {one.partition("-")[0] for one in names} == {"bytes", "inodes", "late"}

    @pytest.mark.parametrize(
        ("state", "outcome"),
        [
            ("bytes-0", "refused, old"),
            ("bytes-4096", "done, new"),
            ("inodes-0", "refused, old"),
            ("inodes-100", "done, new"),
            ("late-20-0", "refused, old"),
            ("late-20-4096", "done, new"),
        ],
    )
    def test_what_it_ends_in_is_told(self, state: str, outcome: str, arena: Arena) -> None:
        verdict = try_full(Scene("full", "tmpfs", "upgrade"), arena, state)
        assert (verdict.tried, dict(verdict.outcomes), verdict.violations) == (1, {outcome: 1}, ())

    @pytest.mark.parametrize(
        ("state", "outcome"),
        [
            ("quota-0", "refused, old"),
            ("quota-4096", "done, new"),
            ("spent-10", "refused, old"),
            ("spent-9999", "done, new"),
        ],
    )
    @pytest.mark.parametrize("kind", quotas.KINDS)
    def test_what_a_quota_does_is_told(self, state: str, outcome: str, kind: str, fast_path: Path) -> None:
        load_all()
        fast_path.chmod(0o755)
        arena = prepare("upgrade", kind, fast_path)
        if arena.not_possible is not None:
            pytest.skip(arena.not_possible)
        verdict = try_full(Scene("full", kind, "upgrade"), arena, state)
        assert (verdict.tried, dict(verdict.outcomes), verdict.violations) == (1, {outcome: 1}, ())

    def test_a_quota_that_cannot_be_tried_is_told_and_not_counted(self, arena: Arena) -> None:
        verdict = try_full(Scene("full", "tmpfs", "upgrade"), arena, "quota-0")
        assert verdict.tried == 0
        assert [one.partition(":")[0] for one in verdict.outcomes] == ["not possible here"]

    def test_an_unknown_state_is_refused(self, arena: Arena) -> None:
        with pytest.raises(ValueError, match="sideways"):
            try_full(Scene("full", "tmpfs", "upgrade"), arena, "sideways-1")


def test_nothing_stays_mounted(fast_path: Path) -> None:
    with cramped("ext4", fast_path) as top:
        assert top.is_mount()
    assert not top.is_mount()
    assert list(fast_path.glob("*.image")) == []
    unmount(top)
