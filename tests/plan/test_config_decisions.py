"""What becomes of a configuration file, and where does its new version lie?"""

import pytest

from intact.model.entries import NEW_SUFFIX
from intact.model.objects import BundleContent, NewFile
from intact.model.paths import RelPath
from intact.plan.changes import decide
from intact.plan.config import ConfigVerdict, decide_config
from support.situations import by_location, device, digest, given, owned_of
from support.workshop import Package, Part, Workshop, directory, file

CONF = "etc/a.conf"
BESIDE = CONF + NEW_SUFFIX


def conf(text: str, mode: int = 0o644) -> Part:
    return file(CONF, text, mode, config=True)


def beside(text: str) -> Part:
    return file(BESIDE, text)


@pytest.mark.parametrize(
    ("original", "local", "new", "verdict"),
    [
        pytest.param("1", "1", "2", ConfigVerdict.PUT, id="unchanged here"),
        pytest.param("1", "1", "1", ConfigVerdict.KEEP, id="unchanged everywhere"),
        pytest.param("1", "mine", "1", ConfigVerdict.KEEP, id="unchanged upstream"),
        pytest.param("1", "mine", "2", ConfigVerdict.KEEP_AND_LAY_BESIDE, id="changed on both sides"),
        pytest.param("1", "2", "2", ConfigVerdict.KEEP, id="edited here to what comes"),
        pytest.param("1", None, "1", ConfigVerdict.KEEP, id="deleted here, unchanged upstream"),
        pytest.param("1", None, "2", ConfigVerdict.KEEP, id="deleted here, changed upstream"),
        pytest.param(None, None, "1", ConfigVerdict.PUT, id="comes for the first time"),
        pytest.param(None, "mine", "1", ConfigVerdict.KEEP_AND_LAY_BESIDE, id="was there before the package"),
        pytest.param(None, "1", "1", ConfigVerdict.KEEP, id="was there before, the same"),
    ],
)
def test_three_versions_decide(
    original: str | None, local: str | None, new: str, verdict: ConfigVerdict
) -> None:
    was, stands = (None if text is None else digest(text) for text in (original, local))
    assert decide_config(was, stands, digest(new)) is verdict


def test_an_untouched_file_is_replaced() -> None:
    decisions = decide(
        given(wanted={"a": [conf("2")]}, leaving={"a": [conf("1")]}, there=[conf("1")]),
    )
    change = by_location(decisions)[CONF]
    assert isinstance(change.new, NewFile)
    assert (change.new.digest, change.new.content) == (digest("2"), BundleContent(0, RelPath(CONF)))
    assert not change.keep
    assert decisions.notes == []


@pytest.mark.parametrize(
    ("original", "there", "new"),
    [
        pytest.param([conf("1")], [conf("mine")], "1", id="edited here, unchanged upstream"),
        pytest.param([conf("1")], [conf("2")], "2", id="edited to what comes"),
        pytest.param([conf("1")], [], "2", id="deleted"),
        pytest.param([], [conf("1")], "1", id="there before, and the same"),
        pytest.param([conf("1")], [conf("1")], "1", id="nothing new"),
    ],
)
def test_nothing_is_done_to_a_file_that_is_kept(original: list[Part], there: list[Part], new: str) -> None:
    decisions = decide(given(wanted={"a": [conf(new)]}, leaving={"a": original}, there=there))
    assert decisions.changes == []
    assert decisions.problems == []
    assert owned_of(decisions) == [CONF]


def test_a_deleted_file_is_mentioned() -> None:
    decisions = decide(given(wanted={"a": [conf("2")]}, leaving={"a": [conf("1")]}))
    assert decisions.notes == [f"/{CONF}: configuration file that was deleted here; it stays deleted"]


def test_a_file_that_was_no_configuration_before_comes_back() -> None:
    decisions = decide(given(wanted={"a": [conf("2")]}, leaving={"a": [file(CONF, "1")]}))
    assert by_location(decisions)[CONF].old is None


@pytest.mark.parametrize(
    "original", [pytest.param([conf("1")], id="upgrade"), pytest.param([], id="there before the package")]
)
def test_the_new_version_lies_beside_an_edited_one(original: list[Part]) -> None:
    decisions = decide(
        given(wanted={"a": [conf("2", 0o640)]}, leaving={"a": original}, there=[conf("mine", 0o600)])
    )
    change = by_location(decisions)[BESIDE]
    assert isinstance(change.new, NewFile)
    assert (change.new.digest, change.new.attributes.mode) == (digest("2"), 0o640)
    assert change.new.content == BundleContent(0, RelPath(CONF))
    assert (change.old, change.keep) == (None, False)
    assert CONF not in by_location(decisions)
    assert decisions.notes == [
        f"/{CONF}: configuration file edited here; it is kept, the new version is /{BESIDE}"
    ]


def test_the_package_owns_the_version_beside_but_as_no_configuration() -> None:
    decisions = decide(given(wanted={"a": [conf("2")]}, leaving={"a": [conf("1")]}, there=[conf("mine")]))
    laid = decisions.owned["a"][-1]
    assert (laid.location, laid.path, laid.config) == (BESIDE, BESIDE, False)
    assert laid.digest == digest("2")


def test_a_newer_version_takes_the_place_of_the_one_beside() -> None:
    decisions = decide(
        given(
            wanted={"a": [conf("3")]},
            leaving={"a": [conf("2"), beside("2")]},
            there=[conf("mine"), beside("2")],
        )
    )
    change = by_location(decisions)[BESIDE]
    assert isinstance(change.new, NewFile)
    assert change.new.digest == digest("3")
    assert change.old is not None
    assert not change.keep, "nobody has worked on it"
    assert owned_of(decisions) == [CONF, BESIDE]


@pytest.mark.parametrize(
    "owned", [pytest.param([beside("2")], id="edited since"), pytest.param([], id="never ours")]
)
def test_a_person_s_file_beside_is_kept_when_it_makes_room(owned: list[Part]) -> None:
    decisions = decide(
        given(
            wanted={"a": [conf("3")]},
            leaving={"a": [conf("2"), *owned]},
            there=[conf("mine"), beside("half merged")],
        )
    )
    assert by_location(decisions)[BESIDE].keep


def test_the_version_beside_goes_when_the_case_is_closed() -> None:
    decisions = decide(
        given(
            wanted={"a": [conf("3")]},
            leaving={"a": [conf("2"), beside("2")]},
            there=[conf("2"), beside("2")],
        )
    )
    changes = by_location(decisions)
    assert changes[BESIDE].new is None
    assert changes[CONF].new is not None


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        pytest.param({"there": [directory(BESIDE)]}, "is a directory", id="directory"),
        pytest.param({"there": [device(BESIDE)]}, "is a device, pipe or socket", id="pipe"),
        pytest.param({"there": [beside("m")], "mounts": [BESIDE]}, "is a mount point", id="mount point"),
        pytest.param({"staying": {"b": [beside("b")]}}, "belongs to b", id="of another package"),
        pytest.param({"also": [beside("a")]}, "belongs to a", id="of the package itself"),
    ],
)
def test_whatever_keeps_the_new_version_from_lying_beside_is_named(
    situation: dict[str, list[Part]], words: str
) -> None:
    also = situation.pop("also", [])
    there = [conf("mine"), *situation.pop("there", [])]
    decisions = decide(
        given(
            wanted={"a": [conf("2"), *also]},
            leaving={"a": [conf("1")]},
            there=there,
            **situation,  # type: ignore[arg-type]
        )
    )
    (problem,) = decisions.problems
    assert problem.startswith(f"/{BESIDE}: {words}, but the new version of /{CONF}")
    assert "move one of them away first" in problem


def test_each_upgrade_of_an_edited_file_brings_its_version(workshop: Workshop) -> None:
    for version in "1234":
        workshop.install(Package("a", version, conf(version)))
        if version == "1":
            workshop.write(CONF, "mine")
    assert workshop.read(CONF) == "mine"
    assert workshop.read(BESIDE) == "4"
    for version in "321":
        workshop.roll_back(int(version) + 1)
        beside_file = workshop.path / BESIDE
        assert (beside_file.read_text() if beside_file.exists() else "1") == version
    assert workshop.read(CONF) == "mine"


def test_a_package_that_moves_into_the_way_is_told_apart_from_the_owner() -> None:
    """The new name beside belongs to whoever brings the configuration file, not to who had it before."""
    decisions = decide(
        given(
            wanted={"b": [conf("2")], "a": []},
            leaving={"a": [conf("1")]},
            there=[conf("mine")],
        )
    )
    assert owned_of(decisions, "b") == [CONF, BESIDE]
    assert owned_of(decisions, "a") == []
