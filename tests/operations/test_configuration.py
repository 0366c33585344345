"""Three versions of a configuration file: original, local, new."""

import pytest

from intact.operations.asking import config_cases
from support.workshop import Package, Workshop, file

CASES = {
    "untouched here, changed there": ("one", "one", "two", "two", None),
    "edited here, unchanged there": ("one", "mine", "one", "mine", None),
    "edited on both sides": ("one", "mine", "two", "mine", "two"),
    "edited here to what comes": ("one", "two", "two", "two", None),
    "deleted here": ("one", None, "two", None, None),
}


def _package(version: str, text: str) -> Package:
    return Package("a", version, file("etc/a.conf", text, config=True))


@pytest.mark.parametrize("name", CASES)
def test_an_upgrade_decides_by_three_versions(name: str, workshop: Workshop) -> None:
    original, local, new, expected, beside = CASES[name]
    workshop.install(_package("1", original))
    conf = workshop.path / "etc/a.conf"
    if local is None:
        conf.unlink()
    elif local != original:
        workshop.write("etc/a.conf", local)
    workshop.install(_package("2", new))
    assert (conf.read_text() if conf.exists() else None) == expected
    lying = workshop.path / "etc/a.conf.pkg-new"
    assert (lying.read_text() if lying.exists() else None) == beside


def test_a_file_that_was_there_first_is_kept(workshop: Workshop) -> None:
    workshop.write("etc/a.conf", "mine")
    receipt = workshop.install(_package("1", "theirs"))
    assert workshop.read("etc/a.conf") == "mine"
    assert workshop.read("etc/a.conf.pkg-new") == "theirs"
    assert any("it is kept" in note for note in receipt.plan.notes)


def test_open_cases_are_listed_until_they_are_solved(workshop: Workshop) -> None:
    workshop.install(_package("1", "one"))
    workshop.write("etc/a.conf", "mine")
    workshop.install(_package("2", "two"))
    with workshop.opened() as root:
        (case,) = config_cases(root)
    assert (case.state, case.beside) == ("edited", "/etc/a.conf.pkg-new")
    (workshop.path / "etc/a.conf.pkg-new").rename(workshop.path / "etc/a.conf")
    with workshop.opened() as root:
        assert config_cases(root) == []


def test_the_version_beside_goes_with_the_next_upgrade(workshop: Workshop) -> None:
    workshop.install(_package("1", "one"))
    workshop.write("etc/a.conf", "mine")
    workshop.install(_package("2", "two"))
    workshop.install(_package("3", "two"))
    assert not (workshop.path / "etc/a.conf.pkg-new").exists()
    assert workshop.read("etc/a.conf") == "mine"


def test_removing_keeps_an_edited_file_and_takes_an_untouched_one(workshop: Workshop) -> None:
    workshop.install(
        Package("a", "1", file("etc/edited", "1", config=True), file("etc/untouched", "1", config=True))
    )
    workshop.write("etc/edited", "mine")
    workshop.remove("a")
    assert workshop.read("etc/edited") == "mine"
    assert not (workshop.path / "etc/untouched").exists()


def test_an_edit_survives_upgrade_and_rollback(workshop: Workshop) -> None:
    workshop.install(_package("1", "one"))
    workshop.install(_package("2", "two"))
    workshop.write("etc/a.conf", "mine")
    receipt = workshop.roll_back()
    assert workshop.read("etc/a.conf") == "mine"
    assert workshop.read("etc/a.conf.pkg-new") == "one"
    assert any("edited since" in note for note in receipt.plan.notes)
