"""Do the packages that will be there fit together, and is every reason told why not?"""

from collections.abc import Sequence

import pytest

from intact.model.manifest import PackageIdentity, Relations
from intact.model.relations import parse_relation, parse_requirement
from intact.model.versions import Version, VersionFault
from intact.plan.relations import AssumedPackages, PackageFacts, may_take_over, relation_problems
from support.workshop import Package, Workshop, file

NOTHING_ASSUMED = AssumedPackages()
Words = Sequence[str]


def package(
    name: str,
    version: str = "1",
    *,
    requires: Words = (),
    conflicts: Words = (),
    provides: Words = (),
    replaces: Words = (),
    upgrade_from: str | None = None,
) -> PackageFacts:
    relations = Relations(
        tuple(map(parse_requirement, requires)),
        tuple(map(parse_relation, conflicts)),
        tuple(map(parse_relation, provides)),
        tuple(map(parse_relation, replaces)),
    )
    oldest = None if upgrade_from is None else Version(upgrade_from)
    return PackageFacts(PackageIdentity(name, Version(version), "all"), relations, oldest)


def problems(
    installed: Sequence[PackageFacts] = (),
    incoming: Sequence[PackageFacts] = (),
    removed: Words = (),
    assumed: Words = (),
) -> list[str]:
    """What stands in the way of an installation and removal."""
    before = {one.identity.name: one for one in installed}
    after = {name: one for name, one in before.items() if name not in removed}
    after |= {one.identity.name: one for one in incoming}
    return relation_problems(before, after, AssumedPackages.parse(assumed))


LIB = package("lib", "2.0")


@pytest.mark.parametrize(
    ("requirement", "offer", "is_met"),
    [
        pytest.param("lib", LIB, True, id="any version"),
        pytest.param("lib (>= 2)", LIB, True, id="new enough"),
        pytest.param("lib (>> 2.0)", LIB, False, id="not newer"),
        pytest.param("lib (= 2.0)", LIB, True, id="just that"),
        pytest.param("lib (= 2.00)", LIB, True, id="just that, written otherwise"),
        pytest.param("lib (<< 2)", LIB, False, id="too new"),
        pytest.param("lib (<= 2.0-1)", LIB, True, id="at most"),
        pytest.param("lib (>= 1:0)", LIB, False, id="an epoch counts first"),
        pytest.param("lib (>= 2.0)", package("lib", "2.0~rc1"), False, id="a candidate is older"),
        pytest.param("other", LIB, False, id="another name"),
        pytest.param("other | lib", LIB, True, id="an alternative"),
        pytest.param("other | lib (>= 3)", LIB, False, id="no alternative is met"),
        pytest.param("api", package("lib", provides=["api"]), True, id="provided"),
        pytest.param(
            "api (>= 1)", package("lib", "9", provides=["api"]), False, id="provided without a version"
        ),
        pytest.param(
            "api (>= 2)", package("lib", provides=["api (= 2.1)"]), True, id="provided with a version"
        ),
        pytest.param(
            "api (>= 3)", package("lib", "9", provides=["api (= 2.1)"]), False, id="provided, too old"
        ),
        pytest.param(
            "lib (>= 2)", package("lib", "2", provides=["lib (= 1)"]), True, id="its own version counts"
        ),
    ],
)
def test_a_requirement_is_met_by_what_will_be_there(
    requirement: str,
    offer: PackageFacts,
    is_met: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    tool = package("tool", requires=[requirement])
    assert (problems([offer], [tool]) == []) is is_met
    assert (problems([], [tool, offer]) == []) is is_met


def test_a_missing_requirement_is_told_with_two_ways_out() -> None:
    (problem,) = problems([], [package("tool", "1.2", requires=["lib (>= 2)"])])
    assert problem == (
        "tool 1.2 requires lib (>= 2), which will not be there; install it in the same command, or say"
        " --assume-installed if it comes from elsewhere"
    )


def test_a_package_may_meet_its_own_requirement() -> None:
    assert problems([], [package("tool", requires=["api"], provides=["api"])]) == []


def test_two_packages_may_require_each_other() -> None:
    assert problems([], [package("a", requires=["b"]), package("b", requires=["a"])]) == []


def test_removing_what_another_package_needs_is_a_problem() -> None:
    tool = package("tool", requires=["lib"])
    (problem,) = problems([tool, LIB], removed=["lib"])
    assert problem.startswith("tool 1 requires lib, which will not be there")
    assert problems([tool, LIB], removed=["lib", "tool"]) == []


def test_removing_one_of_two_alternatives_is_fine() -> None:
    tool = package("tool", requires=["lib | other"])
    assert problems([tool, LIB, package("other")], removed=["lib"]) == []


@pytest.mark.parametrize(
    ("incoming", "count"),
    [
        pytest.param([package("lib", "3")], 1, id="too new for the tool"),
        pytest.param([package("lib", "2.5")], 0, id="still fits"),
        pytest.param(
            [package("lib", "3"), package("tool", "2", requires=["lib (>= 3)"])], 0, id="both together"
        ),
    ],
)
def test_an_upgrade_that_breaks_another_package_is_a_problem(
    incoming: list[PackageFacts], count: int
) -> None:
    tool = package("tool", requires=["lib (<< 3)"])
    assert len(problems([tool, LIB], incoming)) == count


def test_an_upgrade_that_no_longer_provides_what_another_needs_is_a_problem() -> None:
    installed = [package("tool", requires=["api"]), package("lib", "1", provides=["api"])]
    assert len(problems(installed, [package("lib", "2")])) == 1


@pytest.mark.parametrize("order", [1, -1], ids=["the first conflicts", "the second conflicts"])
def test_a_conflict_works_in_both_directions(order: int) -> None:
    one, other = package("one", conflicts=["other"]), package("other")
    first, second = [one, other][::order]
    told = ["one 1 conflicts with other: other will be there; remove one of them"]
    assert problems([first], [second]) == told
    assert problems([], [first, second]) == told
    assert problems([first], [second], removed=[first.identity.name]) == []


@pytest.mark.parametrize(
    ("conflict", "other", "count"),
    [
        ("other (<< 2)", package("other", "1"), 1),
        ("other (<< 2)", package("other", "2"), 0),
        ("api", package("other", provides=["api"]), 1),
        ("api (>= 2)", package("other", provides=["api"]), 0),
        ("api (>= 2)", package("other", provides=["api (= 2)"]), 1),
    ],
)
def test_a_conflict_may_be_with_a_version_or_with_what_is_provided(
    conflict: str, other: PackageFacts, count: int
) -> None:
    assert len(problems([other], [package("one", conflicts=[conflict])])) == count


def test_a_package_that_provides_what_it_conflicts_with_excludes_only_others() -> None:
    exim, postfix = (package(name, provides=["mta"], conflicts=["mta"]) for name in ("exim", "postfix"))
    assert problems([], [exim]) == []
    assert len(problems([exim], [postfix])) == 2
    assert problems([exim], [postfix], removed=["exim"]) == []


def test_what_was_broken_before_and_is_not_touched_is_left_out() -> None:
    broken = [
        package("tool", requires=["nothere"]),
        package("x", conflicts=["y"]),
        package("y"),
    ]
    assert problems(broken, [package("new")]) == []


def test_but_not_what_a_new_version_still_lacks() -> None:
    installed = [package("tool", "1", requires=["nothere"])]
    (problem,) = problems(installed, [package("tool", "2", requires=["nothere"])])
    assert problem.startswith("tool 2 requires nothere")


@pytest.mark.parametrize(
    ("assumed", "count"),
    [
        pytest.param([], 2, id="nothing"),
        pytest.param(["libc6"], 1, id="by name, of any version"),
        pytest.param(["libc6=2.36"], 1, id="new enough"),
        pytest.param(["libc6=2.35"], 2, id="too old"),
        pytest.param(["lib*"], 1, id="by glob"),
        pytest.param(["*"], 0, id="everything"),
        pytest.param(["libc6=2.36", "perl"], 0, id="several"),
        pytest.param(["libc6=2.35", "libc6=2.36"], 1, id="several versions of one"),
        pytest.param(["LIBC6"], 2, id="case matters"),
    ],
)
def test_packages_may_be_assumed_to_be_there(assumed: list[str], count: int) -> None:
    assert (
        len(problems([], [package("tool", requires=["libc6 (>= 2.36)", "perl"])], assumed=assumed)) == count
    )


def test_what_is_assumed_to_be_there_conflicts_with_nothing() -> None:
    assert problems([], [package("one", conflicts=["other"])], assumed=["other"]) == []


def test_an_impossible_version_of_an_assumed_package_is_refused() -> None:
    with pytest.raises(VersionFault):
        AssumedPackages.parse(["libc6=two point three"])


@pytest.mark.parametrize(
    ("installed", "count"), [("1.9", 1), ("2.0~rc1", 1), ("2.0", 0), ("3", 0), (None, 0)]
)
def test_a_version_that_cannot_be_upgraded_from_the_installed_one_says_so(
    installed: str | None, count: int
) -> None:
    there = [] if installed is None else [package("tool", installed)]
    found = problems(there, [package("tool", "4", upgrade_from="2.0")])
    assert len(found) == count
    for problem in found:
        assert problem == (
            f"tool: 4 can be upgraded to from 2.0 or later, and {installed} is installed;"
            " install a version in between first"
        )


def test_every_problem_is_named_at_once() -> None:
    incoming = [
        package("a", requires=["x", "y (>= 2)"], conflicts=["b"]),
        package("b", "2", requires=["z"], upgrade_from="1.5"),
    ]
    found = problems([package("b", "1")], incoming)
    for words in (
        "a 1 requires x,",
        "a 1 requires y (>= 2),",
        "a 1 conflicts with b",
        "b 2 requires z,",
        "b: 2 can",
    ):
        assert sum(problem.startswith(words) for problem in found) == 1
    assert len(found) == 5


@pytest.mark.parametrize(
    ("replaces", "allowed"),
    [([], False), (["old"], True), (["old (<< 2)"], True), (["old (<< 1)"], False), (["other"], False)],
)
def test_files_may_be_taken_from_a_package_that_is_replaced(replaces: list[str], allowed: bool) -> None:  # noqa: FBT001  a parameter of the test
    assert may_take_over(package("new", replaces=replaces), package("old", "1")) is allowed


def test_what_an_old_package_provides_does_not_make_its_files_free() -> None:
    assert not may_take_over(package("new", replaces=["api"]), package("old", provides=["api"]))


def test_a_removal_that_breaks_another_package_changes_nothing(workshop: Workshop) -> None:
    workshop.install(
        Package("lib", "1", file("opt/lib", "l")), Package("tool", "1", file("opt/t", "t"), requires=["lib"])
    )
    with pytest.raises(Exception, match="tool 1 requires lib"):
        workshop.remove("lib")
    assert workshop.read("opt/lib") == "l"
    workshop.remove("lib", "tool")
    assert not (workshop.path / "opt").exists()
