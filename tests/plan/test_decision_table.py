"""Wanted, owned, observed: what becomes of a path, for each combination of the three."""

import pytest

from intact.model.objects import NewDirectory, NewFile, NewSymlink
from intact.plan.changes import Decisions, decide
from support.situations import by_location, device, given, owned_of
from support.workshop import Part, directory, file, symlink

AT = "opt/x"
ONE, TWO, MINE = file(AT, "one"), file(AT, "two"), file(AT, "mine")
LINK, LINK_TWO, LINK_MINE = symlink(AT, "one"), symlink(AT, "two"), symlink(AT, "mine")
FOLDER = directory(AT)
PIPE = device(AT)

# The words for what can become of a path.
CREATE = "created"
REPLACE = "replaced"
REPLACE_KEEPING = "replaced, the old one is kept"
REMOVE = "removed"
NOTHING = "nothing"
TOLD = "nothing, but it is told"
REFUSED = "refused"


def verdict(decisions: Decisions) -> str:
    """Put what was decided about `AT` into one of those words."""
    changes = by_location(decisions)
    if decisions.problems:
        assert all(problem.startswith(f"/{AT}: ") for problem in decisions.problems)
        return REFUSED
    if AT not in changes:
        return TOLD if decisions.notes else NOTHING
    change = changes[AT]
    if change.new is None:
        return REMOVE
    if change.old is None:
        return CREATE
    assert change.keep == bool(decisions.notes), "what is kept is told"
    return REPLACE_KEEPING if change.keep else REPLACE


# For each pair of (what an older version owns, what stands there): what if the new version brings
# the file TWO, the link LINK_TWO, a directory, or nothing any more?
TABLE = [
    ("nobody's, missing", None, None, (CREATE, CREATE, CREATE, None)),
    ("nobody's file", None, MINE, (REFUSED, REFUSED, REFUSED, None)),
    ("nobody's file, the same", None, TWO, (NOTHING, REFUSED, REFUSED, None)),
    ("nobody's link", None, LINK_MINE, (REFUSED, REFUSED, REFUSED, None)),
    ("nobody's link, the same", None, LINK_TWO, (REFUSED, NOTHING, REFUSED, None)),
    ("nobody's directory", None, FOLDER, (REFUSED, REFUSED, NOTHING, None)),
    ("nobody's pipe", None, PIPE, (REFUSED, REFUSED, REFUSED, None)),
    ("file, as it was", ONE, ONE, (REPLACE, REPLACE, REPLACE, REMOVE)),
    ("file, already new", ONE, TWO, (NOTHING, REPLACE_KEEPING, REPLACE_KEEPING, TOLD)),
    ("file, same in both", TWO, TWO, (NOTHING, REPLACE, REPLACE, REMOVE)),
    ("file, edited", ONE, MINE, (REPLACE_KEEPING, REPLACE_KEEPING, REPLACE_KEEPING, TOLD)),
    ("file, deleted", ONE, None, (CREATE, CREATE, CREATE, NOTHING)),
    ("file, now a link", ONE, LINK_MINE, (REPLACE_KEEPING, REPLACE_KEEPING, REPLACE_KEEPING, TOLD)),
    ("file, now a directory", ONE, FOLDER, (REPLACE, REPLACE, NOTHING, TOLD)),
    ("file, now a pipe", ONE, PIPE, (REFUSED, REFUSED, REFUSED, TOLD)),
    ("link, as it was", LINK, LINK, (REPLACE, REPLACE, REPLACE, REMOVE)),
    ("link, same in both", LINK_TWO, LINK_TWO, (REPLACE, NOTHING, REPLACE, REMOVE)),
    ("link, led elsewhere", LINK, LINK_MINE, (REPLACE_KEEPING, REPLACE_KEEPING, REPLACE_KEEPING, TOLD)),
    ("link, deleted", LINK, None, (CREATE, CREATE, CREATE, NOTHING)),
    ("link, now a file", LINK, MINE, (REPLACE_KEEPING, REPLACE_KEEPING, REPLACE_KEEPING, TOLD)),
    ("link, now a pipe", LINK, PIPE, (REFUSED, REFUSED, REFUSED, TOLD)),
    ("directory, as it was", FOLDER, FOLDER, (REPLACE, REPLACE, NOTHING, REMOVE)),
    ("directory, deleted", FOLDER, None, (CREATE, CREATE, CREATE, NOTHING)),
    ("directory, now a file", FOLDER, MINE, (REPLACE_KEEPING, REPLACE_KEEPING, REPLACE_KEEPING, TOLD)),
    (
        "directory, now a link",
        FOLDER,
        LINK_MINE,
        (REPLACE_KEEPING, REPLACE_KEEPING, REPLACE_KEEPING, NOTHING),
    ),
    ("directory, now a pipe", FOLDER, PIPE, (REFUSED, REFUSED, REFUSED, TOLD)),
]
NEW = {"file": [TWO], "link": [LINK_TWO], "directory": [FOLDER], "nothing": []}
CASES = [
    pytest.param(before, there, NEW[what], expected, id=f"{name} -> {what}")
    for name, before, there, row in TABLE
    for what, expected in zip(NEW, row, strict=True)
    if expected is not None
]


@pytest.mark.parametrize(("before", "there", "new", "expected"), CASES)
def test_what_becomes_of_a_path(
    before: Part | None, there: Part | None, new: list[Part], expected: str
) -> None:
    decisions = decide(
        given(
            wanted={"a": new},
            leaving={"a": [before]} if before else {},
            there=[there] if there else [],
        )
    )
    assert verdict(decisions) == expected


@pytest.mark.parametrize(
    ("before", "there", "new"), [case.values[:3] for case in CASES], ids=[case.id for case in CASES]
)
def test_what_is_wanted_is_owned_except_a_directory_that_was_there_first(
    before: Part | None, there: Part | None, new: list[Part]
) -> None:
    decisions = decide(
        given(
            wanted={"a": new},
            leaving={"a": [before]} if before else {},
            there=[there] if there else [],
        )
    )
    is_foreign = new == [FOLDER] and before is None and there is FOLDER
    assert owned_of(decisions) == ([AT] if new and not is_foreign else [])


@pytest.mark.parametrize(
    ("new", "kind"),
    [(TWO, NewFile), (LINK_TWO, NewSymlink), (FOLDER, NewDirectory)],
    ids=["file", "link", "dir"],
)
def test_a_path_changes_its_type_in_one_step(new: Part, kind: type) -> None:
    other = LINK if new is TWO else ONE
    decisions = decide(given(wanted={"a": [new]}, leaving={"a": [other]}, there=[other]))
    change = by_location(decisions)[AT]
    assert isinstance(change.new, kind)
    assert change.old is not None


def test_a_directory_that_a_person_made_of_a_file_is_not_emptied() -> None:
    inner = file(f"{AT}/inner", "mine")
    decisions = decide(given(wanted={"a": [TWO]}, leaving={"a": [ONE]}, there=[FOLDER, inner]))
    assert decisions.problems == [
        f"/{AT}: is a directory, and /{AT}/inner in it is not part of the package; move it away first"
    ]
