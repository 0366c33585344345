"""When do two dry runs print the same digest?"""

from dataclasses import replace

import pytest

from intact.model.actions import Action, Create, Plan, Remove, Replace
from intact.model.manifest import PackageChange
from intact.model.objects import NewSymlink
from intact.model.paths import RelPath
from intact.model.versions import Version
from intact.operations.receipt import plan_digest
from support.situations import as_seen
from support.workshop import Package, Workshop, file, snapshot

X, LINK, OLD = RelPath("x"), NewSymlink("y", 0, 0), as_seen(file("x", "old"))
PLAN = Plan(
    (Replace(X, 0, LINK, OLD), Remove(RelPath("z"), 1, OLD)),
    (PackageChange("a", Version("1"), Version("2")),),
    ("a note",),
)


def test_equal_plans_share_a_digest() -> None:
    again = Plan(
        (Replace(X, 0, LINK, OLD), PLAN.actions[1]),
        (PackageChange("a", Version("1"), Version("2")),),
        ("a note",),
    )
    assert plan_digest(again) == plan_digest(PLAN)
    assert len(plan_digest(PLAN)) == 64


@pytest.mark.parametrize(
    "actions",
    [
        pytest.param((), id="no actions"),
        pytest.param(PLAN.actions[:1], id="one less"),
        pytest.param(PLAN.actions[::-1], id="another order"),
        pytest.param((Create(X, 0, LINK), PLAN.actions[1]), id="another action"),
        pytest.param((Replace(RelPath("y"), 0, LINK, OLD), PLAN.actions[1]), id="another path"),
        pytest.param((Replace(X, 0, NewSymlink("q", 0, 0), OLD), PLAN.actions[1]), id="another object"),
        pytest.param((Replace(X, 0, LINK, OLD, keep=True), PLAN.actions[1]), id="the old one is kept"),
        pytest.param(
            (Replace(X, 0, LINK, replace(OLD, mode=0o600)), PLAN.actions[1]), id="another mode of the old one"
        ),
        pytest.param(
            (Replace(X, 0, LINK, as_seen(file("x", "other"))), PLAN.actions[1]), id="another old object"
        ),
    ],
)
def test_other_actions_have_another_digest(actions: tuple[Action, ...]) -> None:
    assert plan_digest(replace(PLAN, actions=actions)) != plan_digest(PLAN)


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, notes=()),
        replace(PLAN, packages=()),
        replace(PLAN, packages=(PackageChange("a", None, Version("2")),)),
        replace(PLAN, packages=(PackageChange("b", Version("1"), Version("2")),)),
    ],
    ids=["other notes", "no packages", "a first installation", "another package"],
)
def test_so_have_other_reasons(plan: Plan) -> None:
    assert plan_digest(plan) != plan_digest(PLAN)


def _package(version: str) -> Package:
    parts = [file("opt/a", version), file("opt/d/b", "b"), file("etc/c", version, config=True)]
    return Package("a", version, *parts, file(f"opt/only-{version}", version))


def test_a_dry_run_says_twice_the_same_and_what_is_then_done(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    before = snapshot(workshop)
    first = workshop.install(_package("2"), dry_run=True)
    second = workshop.install(_package("2"), dry_run=True)
    assert snapshot(workshop) == before
    assert first.plan == second.plan
    done = workshop.install(_package("2"))
    assert done.plan == first.plan
    assert first.plan_digest == second.plan_digest == done.plan_digest


def test_a_change_in_the_root_changes_the_digest(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    first = workshop.install(_package("2"), dry_run=True)
    workshop.write("opt/a", "mine")
    assert workshop.install(_package("2"), dry_run=True).plan_digest != first.plan_digest
    workshop.write("elsewhere", "mine")
    assert workshop.install(_package("2"), dry_run=True).plan_digest != first.plan_digest


def test_a_change_elsewhere_does_not(workshop: Workshop) -> None:
    workshop.install(_package("1"))
    first = workshop.install(_package("2"), dry_run=True)
    workshop.write("srv/elsewhere", "mine")
    assert workshop.install(_package("2"), dry_run=True).plan_digest == first.plan_digest


def test_another_version_has_another_digest(workshop: Workshop) -> None:
    digests = {workshop.install(_package(version), dry_run=True).plan_digest for version in "123"}
    assert len(digests) == 3


def test_nothing_to_do_is_an_empty_plan(workshop: Workshop) -> None:
    package = _package("1")
    workshop.install(package)
    receipt = workshop.install(package, dry_run=True)
    assert (receipt.plan.actions, receipt.plan.packages, receipt.changed) == ((), (), False)
