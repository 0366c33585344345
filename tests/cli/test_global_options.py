"""--root, PKG_ROOT, --quiet, --lock-timeout and --dry-run mean the same for every command."""

import re
from pathlib import Path

import pytest

from support.command_line import Desk, clean_environment


@pytest.fixture
def settled(trusting: Desk) -> Desk:
    """A root with a package, and a bundle of its next version."""
    trusting.good("install", trusting.bundle("app", "1", {"usr/app": "old", "usr/gone": "old"}))
    trusting.bundle("app", "2", {"usr/app": "new", "usr/new/x": "new"})
    return trusting


def _everything(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Describe all of a root, its state included."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in root.rglob("*")
        if path.name != "lock"  # holds the name of whoever was last
    }


def test_the_root_comes_from_the_environment(settled: Desk) -> None:
    assert (
        settled.process("list", root=None, environment=clean_environment(PKG_ROOT="root")).out
        == "app 1 all\n"
    )


def test_the_option_is_stronger_than_the_environment(settled: Desk) -> None:
    (settled.place / "other").mkdir()
    environment = clean_environment(PKG_ROOT="nowhere")
    assert settled.process("list", root="other", environment=environment).out == ""
    assert settled.process("list", root="root", environment=environment).out == "app 1 all\n"
    assert settled.process("list", root=None, environment=environment).code == 1


def test_an_empty_root_is_not_the_whole_machine(settled: Desk) -> None:
    result = settled.process("list", root="")
    assert (result.code, result.out) == (1, "")
    assert "the root cannot be opened" in result.err


@pytest.mark.parametrize("spelled", ["root/", "./root", "root/.", "{place}/root", "link", "root/usr/.."])
def test_one_root_has_many_names(spelled: str, settled: Desk) -> None:
    (settled.place / "link").symlink_to("root")
    spelled = spelled.replace("{place}", str(settled.place))
    assert settled.bare("--root", spelled, "list").out == "app 1 all\n"
    assert settled.bare("--root", spelled, "install", "app-2.tar.zst").code == 0
    assert settled.bare("--root", spelled, "verify").code == 0
    assert (settled.root / "usr/app").read_text() == "new"


@pytest.mark.parametrize(
    "spelled", ["/usr/app", "usr/app", "root/usr/app", "/usr/app/", "{place}/root/usr/app"]
)
def test_a_path_is_found_however_it_is_typed(spelled: str, settled: Desk) -> None:
    root = str(settled.root) if "{place}" in spelled else "root"
    result = settled.bare("--root", root, "owner", spelled.replace("{place}", str(settled.place)))
    assert (result.code, result.out) == (0, "/usr/app: app\n")


def test_two_roots_know_nothing_of_each_other(settled: Desk) -> None:
    (settled.place / "other").mkdir()
    before = settled.snapshot()
    assert settled.bare("--root", "other", "install", "app-1.tar.zst").code == 3  # it trusts nobody
    assert settled.bare("--root", "other", "install", "--allow-unsigned", "app-1.tar.zst").code == 0
    assert settled.bare("--root", "other", "remove", "app").code == 0
    assert settled("list").out == "app 1 all\n"
    assert settled.snapshot() == before


QUIET: dict[str, tuple[str, ...]] = {
    "build": ("build", "app-1.toml", "-o", "again.tar.zst", "--key", "key"),
    "build unsigned": ("build", "app-1.toml", "-o", "again.tar.zst"),
    "sign": ("sign", "app-1.tar.zst", "--key", "key"),
    "key generate": ("key", "generate", "third"),
    "key trust": ("key", "trust", "key.pub", "--yes"),
    "install": ("install", "app-2.tar.zst"),
    "install nothing new": ("install", "app-1.tar.zst"),
    "install unsigned": ("install", "--allow-unsigned", "app-1.tar.zst"),
    "remove": ("remove", "app"),
    "rollback": ("rollback",),
    "recover": ("recover",),
}
ANSWERS: dict[str, tuple[str, ...]] = {
    "list": ("list",),
    "info": ("info", "app"),
    "files": ("files", "app"),
    "owner": ("owner", "/usr/app"),
    "history": ("history",),
    "verify": ("verify",),
    "inspect": ("inspect", "app-2.tar.zst"),
    "status": ("recover", "--status"),
    "key list": ("key", "list"),
    "key export": ("key", "export"),
    "completion": ("completion", "fish"),
    "dry run": ("install", "-n", "app-2.tar.zst"),
}


@pytest.mark.parametrize("name", QUIET)
def test_a_quiet_command_that_does_something_says_nothing(name: str, settled: Desk) -> None:
    result = settled("--quiet", *QUIET[name])
    assert (result.code, result.out, result.err) == (0, "", "")


@pytest.mark.parametrize("name", ANSWERS)
def test_a_quiet_command_still_answers(name: str, settled: Desk) -> None:
    loud = settled(*ANSWERS[name])
    quiet = settled("-q", *ANSWERS[name])
    assert (quiet.code, quiet.out, quiet.err) == (0, loud.out, "")
    assert quiet.out


def test_a_quiet_command_still_tells_an_error(settled: Desk) -> None:
    loud = settled("remove", "nope")
    assert settled("-q", "remove", "nope") == loud
    assert loud.err


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "-inf", "soon", ""])
def test_a_wait_that_is_no_time_is_refused(seconds: str, settled: Desk) -> None:
    result = settled(f"--lock-timeout={seconds}", "list")
    assert result.code == 2
    assert "--lock-timeout" in result.err


@pytest.mark.parametrize("seconds", ["0", "0.5", "1e3", "86400"])
def test_a_wait_may_be_any_finite_time(seconds: str, settled: Desk) -> None:
    assert settled("--lock-timeout", seconds, "install", "app-2.tar.zst").code == 0


DRY: dict[str, tuple[str, ...]] = {
    "install": ("install", "app-2.tar.zst"),
    "install nothing new": ("install", "app-1.tar.zst"),
    "install unsigned": ("install", "--allow-unsigned", "app-2.tar.zst"),
    "remove": ("remove", "app"),
    "rollback": ("rollback",),
    "rollback named": ("rollback", "1"),
}


@pytest.mark.parametrize("name", DRY)
def test_a_dry_run_changes_nothing_at_all(name: str, settled: Desk) -> None:
    before = _everything(settled.root)
    command, *rest = DRY[name]
    settled.good(command, "--dry-run", *rest)
    settled.good("--json", command, "-n", *rest)
    assert _everything(settled.root) == before


@pytest.mark.parametrize("name", DRY)
def test_what_then_happens_is_what_the_dry_run_said(name: str, settled: Desk) -> None:
    command, *rest = DRY[name]
    said = settled("--json", command, "-n", *rest).json
    done = settled("--json", command, *rest).json
    assert said["plan"] == done["plan"]
    assert said["packages"] == done["packages"]
    assert (said["dry_run"], said["changed"], said["transaction"]) == (True, False, None)
    assert done["dry_run"] is False


def test_a_dry_run_prints_each_action_and_the_digest(settled: Desk) -> None:
    document = settled("--json", "install", "-n", "app-2.tar.zst").json
    lines = settled("install", "-n", "app-2.tar.zst").out.splitlines()
    assert lines[0] == "upgrade  app 1 → 2"
    assert [line.strip() for line in lines[1:-2]] == document["plan"]["actions"]
    assert lines[-2] == f"signed   app by {document['signers']['app'][0]}"
    count = len(document["plan"]["actions"])
    assert (
        lines[-1] == f"dry run: nothing was changed; plan {document['plan']['digest'][:16]}, {count} actions"
    )
    told = "\n".join(document["plan"]["actions"])
    for path, verb in (("/usr/app", "replace"), ("/usr/new", "create"), ("/usr/gone", "remove")):
        assert re.search(rf"^{verb} +{path} ", told, re.MULTILINE)


def test_another_root_has_another_plan_and_the_same_one_the_same(settled: Desk) -> None:
    def digest() -> str:
        return str(settled("--json", "install", "-n", "app-2.tar.zst").json["plan"]["digest"])

    first = digest()
    assert digest() == first
    (settled.root / "usr/app").chmod(0o600)
    assert digest() != first


def test_a_dry_run_in_a_fresh_root_leaves_it_empty(desk: Desk) -> None:
    bundle = desk.bundle("app", "1", key="")
    assert "create   /usr" in desk.good("install", "-n", "--allow-unsigned", bundle).out
    assert desk("remove", "-n", "app").code == 1
    assert desk("rollback", "-n").code == 1
    assert list(desk.root.iterdir()) == []


def test_a_dry_run_meets_the_same_conflicts(settled: Desk) -> None:
    thief = settled.bundle("thief", "1", {"usr/app": "stolen"})
    dry, real = settled("install", "-n", thief), settled("install", thief)
    assert (dry.code, dry.err) == (real.code, real.err)
    assert dry.code == 5


@pytest.mark.parametrize("name", ANSWERS)
def test_a_question_changes_nothing(name: str, settled: Desk) -> None:
    before = _everything(settled.root)
    settled.good(*ANSWERS[name])
    assert _everything(settled.root) == before


def test_questions_in_a_fresh_root_leave_it_empty(desk: Desk) -> None:
    for arguments in (
        ("list",),
        ("history",),
        ("config",),
        ("key", "list"),
        ("key", "export"),
        ("recover", "--status"),
    ):
        assert desk(*arguments).code == 0, arguments
    assert desk("owner", "/x").code == 1
    assert list(desk.root.iterdir()) == []
