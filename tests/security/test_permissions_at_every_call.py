"""At no system call is a file more accessible than it is at its end, and no special right outlives its file.

`pkg` is stopped before every call that changes something, and another user looks at everything that is there.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from intact.model.entries import FileEntry
from proof.kills import kill_at
from proof.listener import Call, is_possible
from proof.supervise import CONTINUE, load_all, run_pkg, supervised
from support.workshop import Package, Part, Workshop, directory, file

OTHER = 65534
SECRET = b"SECRET"
CAPABILITY = "security.capability"
NET_RAW = bytes.fromhex("0100000200200000") + bytes(12)  # cap_net_raw+ep, struct vfs_cap_data
SPECIAL = 0o7000
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can play two users"),
    pytest.mark.skipif(not is_possible(), reason="this kernel cannot stop a process before its calls"),
]


def with_capability(part: Part) -> Part:
    assert isinstance(part.entry, FileEntry)
    return replace(part, entry=replace(part.entry, xattrs=((CAPABILITY, NET_RAW),)))


def version(number: int) -> Package:
    """Every kind of file that needs care, with other content in each version."""
    secret = f"SECRET of version {number}"
    group = file("etc/group-secret", secret, 0o640)
    assert isinstance(group.entry, FileEntry)
    return Package(
        "careful",
        str(number),
        file("etc/secret", secret, 0o600),
        replace(group, entry=replace(group.entry, group="24")),
        file("etc/careful.conf", secret, 0o600, config=True),
        file("home/other/own", f"theirs {number}", 0o600, owner=str(OTHER)),
        file("usr/bin/set-uid", f"set-uid {number}", 0o4755),
        file("usr/bin/set-gid", f"set-gid {number}", 0o2755),
        with_capability(file("usr/bin/capable", f"capable {number}", 0o755)),
        directory("var/shared", 0o2775),
        file("usr/share/plain", f"plain {number}"),
    )


SPECIAL_PLACES = {"usr/bin/set-uid", "usr/bin/set-gid", "usr/bin/capable"}


@pytest.fixture
def careful(workshop: Workshop) -> Workshop:
    """A root into which another user can look, with an edited secret."""
    load_all()
    for path in (workshop.place, workshop.path, workshop.place.parent):
        path.chmod(0o755)
    run_pkg(command(workshop, "install", version(1)), workshop.place)
    workshop.write("etc/careful.conf", "SECRET, edited by hand", 0o600)
    return workshop


def command(workshop: Workshop, verb: str, package: Package | None = None) -> list[str]:
    words = ["--root", str(workshop.path), "--quiet", verb]
    words += ["--allow-unsigned", "--allow-downgrade"] if verb == "install" else []
    return [
        *words,
        *([str(workshop.bundle(package))] if package else ["careful"] if verb == "remove" else []),
    ]


def seen_by_another_user(top: Path) -> list[str]:
    """Let another user try to read and write every file; return what should not have been possible."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(OTHER)
            os.setuid(OTHER)
            found = "\n".join(_tried(top))
            os.write(writing, found.encode()[:60000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        found = told.read()
    os.waitpid(child, 0)
    return found.splitlines()


def _tried(top: Path) -> list[str]:
    found = []
    for directory_path, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory_path, name)  # noqa: PTH118  fast
            if os.lstat(path).st_uid == OTHER:
                continue
            with suppress(OSError):
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                if SECRET in os.read(fd, 1 << 20):
                    found.append(f"{path} can be read")
                os.close(fd)
            with suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
                found.append(f"{path} can be written")
    return found


def special_rights(root: Path) -> dict[str, tuple[int, int]]:
    """Find files with set-id bits or capabilities; return their modes and owners."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            continue
        has_capability = CAPABILITY in os.listxattr(path, follow_symlinks=False)
        if status.st_mode & SPECIAL or has_capability:
            found[str(path.relative_to(root))] = (status.st_mode, status.st_uid)
    return found


def is_shut_away(root: Path, place: str) -> bool:
    """Tell whether only root can get to a file."""
    above = [root / parent for parent in Path(place).parents]
    return any(one.stat().st_uid == 0 and not one.stat().st_mode & 0o077 for one in above)


def look(workshop: Workshop) -> list[str]:
    """Say what is wrong at this moment."""
    faults = seen_by_another_user(workshop.path)
    for place, (mode, owner) in special_rights(workshop.path).items():
        if place in SPECIAL_PLACES:
            faults += [f"{place} has mode {mode:o} and owner {owner}"] if owner != 0 else []
        elif not is_shut_away(workshop.path, place):
            faults.append(f"{place} has mode {mode:o}, or a capability, and others can get there")
    return faults


DEEDS: dict[str, Callable[[Workshop], list[str]]] = {
    "upgrade": lambda workshop: command(workshop, "install", version(2)),
    "rollback": lambda workshop: command(workshop, "rollback"),
    "remove": lambda workshop: command(workshop, "remove"),
}


@pytest.mark.parametrize("name", DEEDS)
def test_sec_24_nobody_reads_or_writes_at_any_call_what_is_not_theirs(name: str, careful: Workshop) -> None:
    if name == "rollback":
        assert run_pkg(DEEDS["upgrade"](careful), careful.place).code == 0
    faults: list[str] = []

    def policy(number: int, call: Call) -> int:
        faults.extend(f"before call {number} ({call.name}): {one}" for one in look(careful))
        return CONTINUE

    before = os.umask(0)
    try:
        ended = supervised(DEEDS[name](careful), careful.place, policy)
    finally:
        os.umask(before)
    assert (ended.code, faults) == (0, [])
    assert ended.calls > 50
    assert look(careful) == []


def test_sec_24_a_fresh_root_is_as_tight_from_the_first_call_on(workshop: Workshop) -> None:
    load_all()
    for path in (workshop.place, workshop.path):
        path.chmod(0o755)
    faults: list[str] = []

    def policy(number: int, call: Call) -> int:
        faults.extend(f"before call {number} ({call.name}): {one}" for one in look(workshop))
        return CONTINUE

    assert supervised(command(workshop, "install", version(1)), workshop.place, policy).code == 0
    assert faults == []


def test_sec_24_what_the_test_looks_for_it_finds(careful: Workshop) -> None:
    (careful.path / "etc/secret").chmod(0o644)
    (careful.path / "usr/share/plain").chmod(0o666)
    careful.write("usr/share/copy", "x", 0o4755)
    faults = "\n".join(look(careful))
    for said in (
        "etc/secret can be read",
        "usr/share/plain can be written",
        "usr/share/copy has mode 104755",
    ):
        assert said in faults


def test_sec_15_everything_is_given_before_the_name_and_nothing_afterwards(careful: Workshop) -> None:
    """The calls that change owner, mode and attributes come before the first rename into place, and none by name."""
    names: list[str] = []

    def policy(_number: int, call: Call) -> int:
        names.append(call.name)
        return CONTINUE

    assert supervised(DEEDS["upgrade"](careful), careful.place, policy).code == 0
    first_rename = names.index("renameat2")
    last_rename = len(names) - 1 - names[::-1].index("renameat2")
    given = [at for at, name in enumerate(names) if name in {"fchown", "fchmod", "fsetxattr", "utimensat"}]
    assert [at for at in given if at < first_rename] != []
    assert [names[at] for at in given if first_rename < at < last_rename] == []
    assert not {"chmod", "chown", "lchown", "fchownat", "setxattr", "lsetxattr"} & set(names)
    # A directory that was made the call before, where nobody else can be.
    assert {names[at - 1] for at, name in enumerate(names) if name == "fchmodat"} <= {"mkdirat"}


def test_sec_23_owner_comes_before_mode_and_attributes_before_the_sync(careful: Workshop) -> None:
    """Chown clears set-id bits and capabilities, so it has to come first."""
    names: list[str] = []

    def policy(_number: int, call: Call) -> int:
        names.append(call.name)
        return CONTINUE

    assert supervised(DEEDS["upgrade"](careful), careful.place, policy).code == 0
    order = ["fchown", "fchmod", "fsetxattr"]
    staged: list[list[str]] = [[]]
    for name in names[: names.index("syncfs")]:
        if name == "openat":  # the next file
            staged.append([])
        elif name in order:
            staged[-1].append(name)
    assert ["fchown", "fchmod"] in staged
    assert ["fchmod", "fsetxattr"] in staged
    for one in staged:
        assert one == sorted(one, key=order.index)


def at_rest(workshop: Workshop) -> list[str]:
    """Name what has special rights and is not in its place."""
    return sorted(set(special_rights(workshop.path)) - SPECIAL_PLACES)


def test_sec_20_a_replaced_file_has_no_special_rights_and_gets_them_back(careful: Workshop) -> None:
    before = special_rights(careful.path)
    assert set(before) == SPECIAL_PLACES
    assert run_pkg(DEEDS["upgrade"](careful), careful.place).code == 0
    assert at_rest(careful) == []
    assert run_pkg(DEEDS["rollback"](careful), careful.place).code == 0
    assert special_rights(careful.path) == before
    assert careful.read("usr/bin/set-uid") == "set-uid 1"
    assert os.getxattr(careful.path / "usr/bin/capable", CAPABILITY) == NET_RAW
    assert run_pkg(DEEDS["remove"](careful), careful.place).code == 0
    assert special_rights(careful.path) == {}
    assert run_pkg(DEEDS["rollback"](careful), careful.place).code == 0
    assert special_rights(careful.path) == before


def test_sec_21_no_crash_leaves_special_rights_where_they_do_not_belong(careful: Workshop) -> None:
    """After each fifth call; what a crash leaves is shut away, and a recovery takes the rights."""
    calls = supervised(
        DEEDS["upgrade"](careful.copy("count")), careful.place, lambda _number, _call: CONTINUE
    ).calls
    for number in range(1, calls + 1, 5):
        crashed = careful.copy("crashed")
        supervised(DEEDS["upgrade"](crashed), crashed.place, kill_at(number))
        assert [place for place in at_rest(crashed) if not is_shut_away(crashed.path, place)] == [], number
        assert run_pkg(["--root", str(crashed.path), "--quiet", "recover"], crashed.place).code == 0
        assert at_rest(crashed) == [], number
        assert set(special_rights(crashed.path)) == SPECIAL_PLACES


def test_sec_21_backups_and_staging_are_root_s_alone_and_bounded(careful: Workshop) -> None:
    (careful.path / "etc/intact").mkdir(parents=True)
    careful.write("etc/intact/settings.toml", "[history]\ntransactions = 2\n")
    for _ in range(3):
        assert run_pkg(DEEDS["upgrade"](careful), careful.place).code == 0
        assert run_pkg(DEEDS["rollback"](careful), careful.place).code == 0
    private = careful.path / "var/lib/intact/private"
    assert (private.stat().st_uid, stat.S_IMODE(private.stat().st_mode)) == (0, 0o700)
    assert len(list((private / "transactions").iterdir())) == 2
