"""No package brings anything to the places of `pkg` itself, nor to those that the kernel makes up."""

import sys
from pathlib import Path

import pytest

import intact
from intact.model.errors import Conflict, IntactError, ManifestInvalid
from support.workshop import Package, Workshop, directory, file, snapshot, symlink

RESERVED = [
    "var/lib/intact/trust.toml",
    "var/lib/intact/private/transactions/9/journal",
    "proc/x",
    "sys/x",
    "dev/null2",
    "run/x",
    "opt/.intact/x",
    ".intact/x",
]


@pytest.mark.parametrize("path", RESERVED)
def test_sec_19_a_manifest_that_names_such_a_place_is_refused(path: str, workshop: Workshop) -> None:
    before = snapshot(workshop)
    with pytest.raises(IntactError) as caught:
        workshop.install(Package("evil", "1", file(path, "x")))
    assert isinstance(caught.value, ManifestInvalid)
    assert caught.value.exit_code == 3
    assert snapshot(workshop) == before
    assert not (workshop.path / path).exists()


LINKS = {"the state": "var/lib/intact", "proc": "proc", "sys": "sys", "dev": "dev", "run": "run"}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("whose", ["an administrator", "the package"])
def test_sec_19_no_link_leads_there(name: str, whose: str, workshop: Workshop) -> None:
    workshop.install(Package("first", "1", file("opt/first", "x")))
    (workshop.path / LINKS[name]).mkdir(exist_ok=True)
    if whose == "an administrator":
        (workshop.path / "way").symlink_to(LINKS[name])
    more = [symlink("way", LINKS[name])] if whose == "the package" else []
    evil = [
        Package("link", "1", *more, file("opt/link", "x")),
        Package("evil", "1", file("way/planted", "x")),
    ]
    with pytest.raises(Conflict, match="planted"):
        workshop.install(*evil)
    assert not (workshop.path / LINKS[name] / "planted").exists()


OWN = {
    "a module": Path(intact.__file__).with_name("planted.py"),
    "a package below": Path(intact.__file__).parent / "planted/__init__.py",
    "the interpreter": Path(sys.executable),
}


@pytest.mark.parametrize("name", OWN)
def test_sec_19_what_runs_is_left_to_its_own_package(name: str, workshop: Workshop) -> None:
    """The root is the directory that holds it, and nothing is changed."""
    real = OWN[name].resolve()
    top = real.parent if name == "the interpreter" else Path(intact.__file__).resolve().parent
    with pytest.raises(Conflict, match="pkg that is running"):
        _dry_run(workshop, "evil", real.relative_to(top), top)


def _dry_run(workshop: Workshop, package: str, inner: Path, top: Path) -> None:
    bundle = Package(package, "1", file(str(inner), "evil"))
    workshop.bundle(bundle)
    workshop.path = top
    workshop.install(bundle, dry_run=True, overwrite=("*",))


def test_sec_19_its_own_package_may_bring_it(workshop: Workshop) -> None:
    top = Path(intact.__file__).resolve().parent
    _dry_run(workshop, "intact", Path("planted.py"), top)
    assert not (top / "planted.py").exists()
    assert not (top / "var").exists()


def test_sec_19_directories_that_only_stand_there_are_no_obstacle(workshop: Workshop) -> None:
    workshop.install(Package("base", "1", directory("proc"), directory("dev"), directory("run")))
    assert (workshop.path / "dev").is_dir()
