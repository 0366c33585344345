"""Which commands a transaction runs, in which order."""

from intact.model.hooks import Commands, Hook, HookCommand, Moment
from intact.model.versions import Version
from intact.plan.hooks import PackageHooks, choose_commands
from support.hooks import after, before

HEALTH = HookCommand(Moment.HEALTH, "", "", ("/health",), 60)


def package(version: str, *hooks: Hook) -> PackageHooks:
    return PackageHooks(Version(version), hooks)


def words(commands: tuple[HookCommand, ...]) -> list[str]:
    return [" ".join((one.moment.value, one.package, one.version, *one.command)).strip() for one in commands]


ONE = package("1", before("/b1"), after("/a1", undo=("/u1",)), after("/aa1", undo=("/uu1",)))
TWO = package("2", before("/b2"), after("/a2"))


def test_nothing_changes_nothing_is_run() -> None:
    assert not choose_commands({}, {}, [])
    assert choose_commands({}, {}, []) == Commands()


def test_an_installation() -> None:
    chosen = choose_commands({}, {"p": ONE}, [])
    assert words(chosen.before) == ["before p 1 /b1"]
    assert words(chosen.after) == ["after p 1 /a1", "after p 1 /aa1"]
    assert words(chosen.back) == ["undo p 1 /uu1", "undo p 1 /u1"]


def test_an_upgrade_leaves_the_old_version_without_an_undo() -> None:
    chosen = choose_commands({"p": ONE}, {"p": TWO}, [])
    assert words(chosen.before) == ["before p 2 /b2"]
    assert words(chosen.after) == ["after p 2 /a2"]
    assert words(chosen.back) == ["after p 1 /a1", "after p 1 /aa1"]


def test_a_removal_is_the_other_way_round() -> None:
    chosen = choose_commands({"p": ONE}, {}, [])
    assert words(chosen.before) == []
    assert words(chosen.after) == ["undo p 1 /uu1", "undo p 1 /u1"]
    assert words(chosen.back) == ["after p 1 /a1", "after p 1 /aa1"]


def test_what_leaves_is_undone_before_anything_else_acts_and_the_check_of_health_is_last() -> None:
    chosen = choose_commands({"gone": ONE, "p": ONE}, {"new": ONE, "p": TWO}, [HEALTH])
    assert words(chosen.after) == [
        "undo gone 1 /uu1",
        "undo gone 1 /u1",
        "after new 1 /a1",
        "after new 1 /aa1",
        "after p 2 /a2",
        "health   /health",
    ]


def test_without_anything_that_could_say_no_late_there_is_no_way_back_to_complete() -> None:
    chosen = choose_commands({"p": ONE}, {"p": package("2", before("/b2"))}, [])
    assert chosen.before
    assert chosen.back == ()


def test_a_health_check_alone_is_enough_for_a_way_back() -> None:
    chosen = choose_commands({"p": ONE}, {"p": package("2")}, [HEALTH])
    assert words(chosen.back) == ["after p 1 /a1", "after p 1 /aa1"]
