"""Hooks and health checks: real commands inside the root, and what becomes of a transaction when one says no."""

import os
import signal
import time
from pathlib import Path

import pytest

from intact.model.errors import UNCHANGED, HookFailed
from intact.model.hooks import Hook
from intact.model.installed import Outcome
from intact.operations.hooks import HookOptions
from intact.operations.recovering import recover_now
from intact.operations.root import Environment
from intact.transaction.recover import Direction, Recovered
from support.hooks import after, before, script
from support.workshop import Package, Workshop, file, snapshot, state_files

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hooks run in the root by chroot, which needs root")

SAY = script(
    "usr/lib/web/say", 'echo "$PKG_HOOK $PKG_PACKAGE $PKG_VERSION $*"', 'echo "$PKG_HOOK $PKG_VERSION" >>/log'
)
SAID = "/usr/lib/web/say"


def web(version: str, *hooks: Hook) -> Package:
    return Package("web", version, file("usr/bin/web", f"web {version}", 0o755), SAY, hooks=hooks)


PLAIN = web("1", after(SAID, "restart", undo=(SAID, "stop")))


@pytest.fixture
def workshop(fast_path: Path) -> Workshop:
    made = Workshop(fast_path / "place")
    made.give_shell()
    made.write("log", "")
    return made


def log(workshop: Workshop) -> list[str]:
    return workshop.read("log").splitlines()


def history(workshop: Workshop) -> list[Outcome]:
    with workshop.opened() as root, root.database() as database:
        return [one.outcome for one in reversed(database.history())]


def without_log(workshop: Workshop) -> dict[str, tuple[object, ...]]:
    return {path: what for path, what in snapshot(workshop).items() if path != "log"}


class TestWhatIsRun:
    """Each moment has its commands, in an order that can be relied upon."""

    def test_an_action_follows_the_files(self, workshop: Workshop) -> None:
        receipt = workshop.install(web("1", after("/bin/sh", "-c", 'read line </usr/bin/web; echo "$line"')))
        assert receipt.told == ("web: web 1",)

    def test_a_check_comes_before_them_and_runs_from_the_staging_tree(self, workshop: Workshop) -> None:
        check = script("usr/lib/web/check", 'test ! -e /usr/bin/web && echo "nothing there yet, and I am $0"')
        package = Package("web", "1", file("usr/bin/web", "x"), check, hooks=(before("/usr/lib/web/check"),))
        receipt = workshop.install(package)
        assert "nothing there yet, and I am /var/lib/intact/private/transactions/1/slots/" in receipt.told[0]

    def test_the_environment_holds_nothing_of_ours(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET", "password")
        monkeypatch.setenv("LD_PRELOAD", "")
        show = "export -p; pwd; umask; read line || echo no input; ls /proc/self/fd 2>/dev/null; echo done"
        receipt = workshop.install(web("1", after("/bin/sh", "-c", show)))
        text = "\n".join(receipt.told)
        assert "SECRET" not in text and "LD_PRELOAD" not in text  # noqa: PT018
        for said in (
            "PATH=",
            "PKG_HOOK='after'",
            "PKG_PACKAGE='web'",
            "PKG_TRANSACTION='1'",
            "web: /",
            "0022",
            "no input",
        ):
            assert said in text

    def test_no_open_file_is_passed_on(self, workshop: Workshop) -> None:
        look = "for n in 3 4 5 6 7 8 9; do (: <&$n) 2>/log && echo open: $n; done; echo looked"
        receipt = workshop.install(web("1", after("/bin/sh", "-c", look)))
        assert receipt.told == ("web: looked",)

    def test_an_upgrade_runs_the_action_of_the_new_version_alone(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        workshop.install(web("2", after(SAID)))
        assert log(workshop) == ["after 1", "after 2"]

    def test_a_removal_undoes_from_the_backup(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        workshop.remove("web")
        assert log(workshop) == ["after 1", "undo 1"]
        assert not (workshop.path / "usr/lib/web").exists()

    def test_a_rollback_of_an_installation_undoes_too(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        workshop.roll_back()
        assert log(workshop) == ["after 1", "undo 1"]

    def test_a_rollback_of_an_upgrade_acts_for_the_version_that_is_back(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        workshop.install(web("2", after(SAID)))
        workshop.roll_back()
        assert log(workshop) == ["after 1", "after 2", "after 1"]

    def test_a_rollback_of_a_removal_acts_again(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        workshop.remove("web")
        workshop.roll_back()
        assert log(workshop) == ["after 1", "undo 1", "after 1"]

    def test_what_does_not_change_runs_nothing(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        assert not workshop.install(PLAIN).changed
        assert log(workshop) == ["after 1"]

    def test_a_dry_run_runs_nothing_and_tells_all(self, workshop: Workshop) -> None:
        receipt = workshop.install(PLAIN, dry_run=True)
        assert [one.command for one in receipt.plan.commands.after] == [(SAID, "restart")]
        assert log(workshop) == []

    def test_no_hooks_runs_none_and_says_so(self, workshop: Workshop) -> None:
        receipt = workshop.install(PLAIN, hooks=HookOptions(run=False))
        assert log(workshop) == []
        assert f"not run (--no-hooks): web: after: {SAID} restart" in receipt.plan.notes

    def test_what_they_said_is_kept_with_the_transaction(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        kept = workshop.read("var/lib/intact/private/transactions/1/hooks.log")
        assert kept == "web: after web 1 restart\n"

    def test_much_output_is_cut_from_its_beginning(self, workshop: Workshop) -> None:
        shout = 'n=0; while [ $n -lt 5000 ]; do echo "line $n"; n=$((n+1)); done'
        receipt = workshop.install(web("1", after("/bin/sh", "-c", shout)))
        assert receipt.told[-1] == "web: line 4999"
        assert len(receipt.told) == 21


FAILURES = {
    "it says no": (after("/bin/sh", "-c", "echo I do not like it; exit 3"), "ended with 3"),
    "it is killed": (after("/bin/sh", "-c", "kill -9 $$"), "was killed by SIGKILL"),
    "it is not there": (after("/usr/bin/nothing"), "could not be started"),
    "it cannot be executed": (after("/usr/bin/web"), "could not be started"),
    "it hangs": (after("/bin/sh", "-c", "while :; do :; done", seconds=1), "took longer than 1 s"),
    "it shouts without end": (
        after(
            "/bin/sh",
            "-c",
            "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done",
            seconds=1,
        ),
        "took longer than 1 s",
    ),
    "it hangs with its output closed": (
        after("/bin/sh", "-c", "exec >&- 2>&-; while :; do :; done", seconds=1),
        "took longer than 1 s",
    ),
    "it hangs and does not listen": (
        after("/bin/sh", "-c", "trap '' TERM; while :; do :; done", seconds=1),
        "took longer than 1 s",
    ),
}


class TestWhenOneSaysNo:
    """The root is as it was, and what belongs to the way back is run."""

    @pytest.mark.parametrize(("hook", "said"), FAILURES.values(), ids=FAILURES)
    def test_an_installation_is_rolled_back(self, hook: Hook, said: str, workshop: Workshop) -> None:
        old = snapshot(workshop)
        package = Package("web", "1", file("usr/bin/web", "no program", 0o755), hooks=(hook,))
        with pytest.raises(HookFailed, match=said) as caught:
            workshop.install(package)
        assert caught.value.exit_code == 8
        assert "rolled back" in caught.value.root_state
        assert "--no-hooks" in str(caught.value.remedy)
        assert snapshot(workshop) == old
        assert history(workshop) == [Outcome.ROLLED_BACK]
        assert not [name for name in state_files(workshop) if "transactions/" in name]

    def test_its_words_are_in_the_error_and_in_the_history(self, workshop: Workshop) -> None:
        with pytest.raises(HookFailed) as caught:
            workshop.install(web("1", FAILURES["it says no"][0]))
        assert "web: I do not like it" in caught.value.details
        with workshop.opened() as root, root.database() as database:
            assert "I do not like it" in database.history()[0].reason

    def test_what_it_has_written_to_the_new_files_stays_and_is_told(self, workshop: Workshop) -> None:
        (workshop.path / "usr/bin").mkdir(parents=True)
        hooks = (after("/bin/sh", "-c", "echo more >>/usr/bin/web; exit 1"),)
        with pytest.raises(HookFailed) as caught:
            workshop.install(Package("web", "1", file("usr/bin/web", "one"), hooks=hooks))
        assert workshop.read("usr/bin/web") == "onemore\n"
        told = "/usr/bin/web: was changed by somebody, or by a hook, after it had been put there; stays"
        assert told in caught.value.details
        assert (
            caught.value.root_state
            == "everything was rolled back; the root is as it was, but for what is named above"
        )

    def test_where_it_was_interrupted_too_all_of_it_is_told(self, workshop: Workshop) -> None:
        workshop.install(Package("web", "1", file("opt/x", "one")))
        workshop.write("opt/x", "mine")
        check = ("/bin/sh", "-c", "echo hook >/opt/x; kill -INT $PPID; while :; do :; done")
        package = Package("web", "2", file("opt/x", "two"))
        with pytest.raises(KeyboardInterrupt) as caught:
            workshop.install(package, hooks=HookOptions(health_check=check))
        state, *details = map(str, caught.value.args)
        assert state.endswith("but for what is named above")
        assert any("the health check was interrupted" in line for line in details)
        (kept,) = [line for line in details if "your version is kept in" in line]
        assert workshop.read(kept.rpartition(" in /")[2]) == "mine"
        with workshop.opened() as root, root.database() as database:
            assert kept in database.history()[0].notes

    def test_what_it_says_on_the_way_back_is_no_exception(self, workshop: Workshop) -> None:
        with pytest.raises(HookFailed) as caught:
            workshop.install(web("1", *PLAIN.source.manifest.hooks, after("/bin/sh", "-c", "exit 1")))
        assert "web: undo web 1 stop" in caught.value.details
        assert caught.value.root_state == "everything was rolled back; the root is as it was"

    def test_an_upgrade_goes_back_and_the_old_version_acts_again(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        old = without_log(workshop)
        with pytest.raises(HookFailed):
            workshop.install(web("2", after(SAID), after("/bin/sh", "-c", "exit 1")))
        assert without_log(workshop) == old
        assert log(workshop) == ["after 1", "after 2", "after 1"]

    def test_an_installation_that_fails_is_undone_by_the_programs_it_brought(
        self, workshop: Workshop
    ) -> None:
        with pytest.raises(HookFailed):
            workshop.install(web("1", *PLAIN.source.manifest.hooks, after("/bin/sh", "-c", "exit 1")))
        assert log(workshop) == ["after 1", "undo 1"]

    def test_a_check_that_fails_leaves_everything_untouched(self, workshop: Workshop) -> None:
        old = snapshot(workshop)
        with pytest.raises(HookFailed, match="check before web 1 ended with 4") as caught:
            workshop.install(web("1", before("/bin/sh", "-c", "exit 4"), after(SAID)))
        assert caught.value.root_state == UNCHANGED
        assert snapshot(workshop) == old
        assert history(workshop) == [Outcome.DISCARDED]

    def test_a_removal_is_rolled_back_too(self, workshop: Workshop) -> None:
        workshop.install(web("1", after(SAID, undo=("/bin/sh", "-c", "exit 1"))))
        old = without_log(workshop)
        with pytest.raises(HookFailed, match="undoing of web 1 ended with 1"):
            workshop.remove("web")
        assert without_log(workshop) == old
        assert log(workshop) == ["after 1", "after 1"]
        workshop.remove("web", hooks=HookOptions(run=False))
        assert not (workshop.path / "usr/bin/web").exists()

    def test_a_failure_on_the_way_back_is_told_and_stops_nothing(self, workshop: Workshop) -> None:
        workshop.install(web("1", after("/bin/sh", "-c", "test ! -e /broken")))
        old = without_log(workshop)
        with pytest.raises(HookFailed) as caught:
            workshop.install(web("2", after("/bin/sh", "-c", ": >/broken; exit 1")))
        assert any("action after web 1" in one and "ended with 1" in one for one in caught.value.details)
        assert {path: what for path, what in without_log(workshop).items() if path != "broken"} == old

    def test_what_it_started_does_not_stay(self, workshop: Workshop) -> None:
        linger = "(while :; do :; done) & echo $! >/pid; exit 0"
        workshop.install(web("1", after("/bin/sh", "-c", linger)))
        pid = int(workshop.read("pid"))
        deadline = time.monotonic() + 5
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":
                break
            time.sleep(0.01)
        else:
            assert not Path(f"/proc/{pid}").exists()


class TestHealthCheck:
    """The user's own condition."""

    def test_it_comes_last_and_sees_the_new_files(self, workshop: Workshop) -> None:
        check = ("/bin/sh", "-c", 'read line </usr/bin/web; test "$line" = "web 1"; echo "health $?" >>/log')
        workshop.install(PLAIN, hooks=HookOptions(health_check=check))
        assert log(workshop) == ["after 1", "health 0"]

    def test_unless_it_confirms_everything_is_rolled_back(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        old = without_log(workshop)
        with pytest.raises(HookFailed, match="health check ended with 9"):
            workshop.install(
                web("2", after(SAID)), hooks=HookOptions(health_check=("/bin/sh", "-c", "exit 9"))
            )
        assert without_log(workshop) == old
        assert log(workshop) == ["after 1", "after 2", "after 1"]

    def test_it_has_a_time_limit(self, workshop: Workshop) -> None:
        endless = HookOptions(health_check=("/bin/sh", "-c", "while :; do :; done"), health_seconds=1)
        with pytest.raises(HookFailed, match="took longer than 1 s"):
            workshop.install(web("1"), hooks=endless)


def _killed_while_it_runs(workshop: Workshop, package: Package) -> None:
    """Install in a process of its own, which the hook kills."""
    workshop.bundle(package)
    child = os.fork()
    if child == 0:
        try:
            workshop.install(package)
        finally:
            os._exit(77)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def _recover(workshop: Workshop, direction: Direction = Direction.AUTOMATIC) -> tuple[Recovered, ...]:
    with workshop.opened() as root:
        return recover_now(root, direction, Environment("pkg recover")).transactions


class TestWhenItKillsUs:
    """A hook that kills its parent, as a restart of the service that `pkg` runs in does."""

    KILLER = web("2", after("/bin/sh", "-c", "echo killing >>/log; kill -9 $PPID; while :; do :; done"))

    def test_the_next_command_rolls_back_and_does_not_run_it_again(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        old = without_log(workshop)
        _killed_while_it_runs(workshop, self.KILLER)
        assert workshop.read("usr/bin/web") == "web 2"  # everything is in place, and not confirmed
        (found,) = _recover(workshop)
        assert found.outcome is Outcome.ROLLED_BACK
        assert without_log(workshop) == old
        assert log(workshop) == ["after 1", "killing", "after 1"]

    def test_it_dies_with_us(self, workshop: Workshop) -> None:
        package = web("1", after("/bin/sh", "-c", "echo $$ >/pid; kill -9 $PPID; while :; do :; done"))
        _killed_while_it_runs(workshop, package)
        pid = int(workshop.read("pid"))
        deadline = time.monotonic() + 5
        while Path(f"/proc/{pid}/cwd").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not Path(f"/proc/{pid}/cwd").exists()

    def test_somebody_who_knows_better_can_keep_it(self, workshop: Workshop) -> None:
        workshop.install(PLAIN)
        _killed_while_it_runs(workshop, self.KILLER)
        (found,) = _recover(workshop, Direction.FORWARD)
        assert found.outcome is Outcome.COMMITTED
        assert workshop.read("usr/bin/web") == "web 2"
        assert log(workshop) == ["after 1", "killing"]

    def test_one_that_kills_on_the_way_back_is_not_run_again_either(self, workshop: Workshop) -> None:
        workshop.install(web("1", after("/bin/sh", "-c", "if [ -e /armed ]; then kill -9 $PPID; fi")))
        workshop.write("armed", "")
        old = without_log(workshop)
        _killed_while_it_runs(workshop, web("2", after("/bin/sh", "-c", "exit 1")))
        (found,) = _recover(workshop)
        assert found.outcome is Outcome.ROLLED_BACK
        assert any("perhaps not run" in one for one in found.told)
        assert without_log(workshop) == old
