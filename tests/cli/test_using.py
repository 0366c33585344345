"""`pkg ps`, `--restart`, `repair` and `rescue`, as people and scripts use them."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from intact.system.process_content import Copied, copy_held
from support.command_line import PKG, Desk
from support.json_schema import faults

SYSTEMCTL = """#!/bin/sh
# Stands for systemctl: the same words, the same answers, and a real process for the unit.
echo "$@" >>PLACE/asked
case "$1 $3" in
"restart web.service")
    [ -e PLACE/hangs ] && exec sleep 100
    kill $(cat PLACE/pid); : >PLACE/pid
    if grep -q good PLACE/root/opt/web.conf; then
        if [ -e PLACE/crashes ]; then
            (sleep 0.3; : >PLACE/pid) </dev/null >/dev/null 2>&1 &
        else
            PLACE/root/opt/web 1000 </dev/null >/dev/null 2>&1 &
        fi
        echo $! >PLACE/pid
    fi;;
"is-active web.service")
    if [ -s PLACE/pid ]; then echo active; else echo failed; exit 3; fi;;
"show --")
    echo "MainPID=$(cat PLACE/pid)"
    if [ -e PLACE/flaps ]; then wc -l <PLACE/asked | sed s/^/NRestarts=/; else echo NRestarts=0; fi;;
*) echo "Unit $3 not found."; exit 5;;
esac
"""


@pytest.fixture
def unit() -> Iterator[Path]:
    """A control group that systemd would have made for a service."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes a control group")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where, kind = line.split()[4], line.split(" - ")[1].split()
        if kind[0] == "cgroup2" or "name=systemd" in kind[2]:
            group = Path(where, f"intact{os.getpid()}.slice/web.service")
            with suppress(OSError):
                group.mkdir(parents=True)
                yield group
                _empty(group)
                return
    pytest.skip("no control groups can be made here")


def _empty(group: Path) -> None:
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    deadline = time.monotonic() + 20
    while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    group.rmdir()
    group.parent.rmdir()


def _started(desk: Desk, group: Path | None = None, program: str = "opt/web") -> "subprocess.Popen[bytes]":
    def join() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    process = subprocess.Popen([desk.root / program, "1000"], stdin=subprocess.DEVNULL, preexec_fn=join)  # noqa: PLW1509
    own = Path("/proc/self/exe").readlink()
    while Path(f"/proc/{process.pid}/exe").readlink() == own:
        time.sleep(0.001)
    return process


def _bundle(desk: Desk, version: str, conf: str, name: str = "web", *, config: bool = False) -> str:
    place = desk.place / f"{name}-{version}"
    place.mkdir()
    (place / name).write_bytes(Path("/bin/sleep").read_bytes() + f"{version} of {os.getpid()}".encode())
    (place / name).chmod(0o755)
    (place / f"{name}.conf").write_text(conf)
    manifest = desk.place / f"{name}-{version}.toml"
    manifest.write_text(
        f'format = 1\n[package]\nname = "{name}"\nversion = "{version}"\narchitecture = "all"\n'
        f'[[tree]]\nsource = "{name}-{version}"\npath = "opt"\n' + ('config = ["*.conf"]\n' if config else "")
    )
    desk.good("build", str(manifest), "-o", f"{name}-{version}.tar.zst")
    return f"{name}-{version}.tar.zst"


@pytest.fixture
def web(desk: Desk) -> Desk:
    """A package with a program that is about to be upgraded."""
    desk.good("install", "--allow-unsigned", _bundle(desk, "1", "good"))
    return desk


def _upgrade(desk: Desk, conf: str = "good") -> str:
    return desk.good("install", "--allow-unsigned", _bundle(desk, "2", conf)).out


@pytest.fixture
def systemd(web: Desk, unit: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A service that runs, on a machine with a systemctl."""
    stand_in = web.place / "systemctl"
    stand_in.write_text(SYSTEMCTL.replace("PLACE", str(web.place)))
    stand_in.chmod(0o755)
    monkeypatch.setattr("intact.cli.using.find_systemctl", lambda: stand_in)
    process = _started(web, unit)
    (web.place / "pid").write_text(str(process.pid))
    yield web
    for pid in (web.place / "pid").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    process.kill()
    process.wait()


def test_the_receipt_and_ps_tell_people_the_same(web: Desk) -> None:
    running = _started(web)
    try:
        told = _upgrade(web)
        shown = web.good("ps").out
    finally:
        running.kill()
        running.wait()
    for text in (told, shown):
        assert f"web (pid {running.pid}, " in text
        assert "  executable  /opt/web (web 1, transaction 2)" in text
        assert "  → " in text
    assert "still in use:" in told
    assert "1 process uses old files" in shown
    assert web.good("ps").out.startswith("no process uses a replaced or removed file\n")


def test_scripts_get_an_exit_code(web: Desk) -> None:
    assert web("ps", "--exit-in-use").code == 0
    running = _started(web)
    try:
        _upgrade(web)
        assert web("ps", "--exit-in-use").code == 11
        for wrong in (("wbe",), ("--transaction", "9")):
            refused = web("ps", "--exit-in-use", *wrong)
            assert (refused.code, wrong[-1] in refused.err) == (web("info", "wbe").code, True)
        assert web("ps", "--exit-in-use", "--transaction", "1").code == 0
        assert web("ps", "--exit-in-use", "web", "--transaction", "2").code == 11
        document = web("--json", "ps").json
    finally:
        running.kill()
        running.wait()
    assert faults(document, "ps") == []
    assert [(one["pid"], one["usage"], one["path"]) for one in document["in_use"]] == [
        (running.pid, "executable", "/opt/web")
    ]


def test_the_words_of_a_process_are_escaped(web: Desk) -> None:
    words = ["\x1b[31mred\n", "1000"]
    running = subprocess.Popen(
        words, executable=web.root / "opt/web", stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while Path(f"/proc/{running.pid}/exe").readlink().name != "web":
            time.sleep(0.001)
        told = _upgrade(web)
    finally:
        running.kill()
        running.wait()
    assert "\x1b" not in told
    assert "\\x1b[31mred" in told


def test_a_unit_is_named_with_its_restart(systemd: Desk) -> None:
    _upgrade(systemd)
    (one,) = systemd("--json", "ps").json["in_use"]
    assert one["keeper"] == {"kind": "unit", "name": "web.service", "user": None}
    assert one["remedy"] == "systemctl restart web.service"


def test_a_unit_is_restarted_and_then_nobody_uses_old_files(systemd: Desk) -> None:
    _upgrade(systemd)
    result = systemd("--json", "ps", "--restart", "--yes", "--exit-in-use")
    assert (result.code, faults(result.json, "ps --restart")) == (0, [])
    assert (result.json["restarted"], result.json["in_use"], result.json["rolled_back"]) == (
        ["web.service"],
        [],
        None,
    )
    asked = (systemd.place / "asked").read_text().splitlines()
    assert asked[:2] == ["restart -- web.service", "is-active -- web.service"]
    look = "show --property=NRestarts,MainPID -- web.service"
    assert set(asked[2:]) == {"is-active -- web.service", look}
    assert asked.count(look) == 2


@pytest.mark.parametrize(
    ("weakness", "told"), [("crashes", "it was up, but not for 2 s"), ("flaps", "systemd started it again")]
)
def test_a_unit_that_ends_a_moment_after_its_start_is_not_up(weakness: str, told: str, systemd: Desk) -> None:
    _upgrade(systemd)
    (systemd.place / weakness).touch()
    result = systemd("ps", "--restart", "--yes")
    assert result.code == 1
    assert told in result.err
    if weakness == "crashes":
        return
    assert systemd("ps", "--restart", "--yes", "--settle", "0").code == 0


def test_what_a_rollback_undoes_is_told_before_it_happens(systemd: Desk) -> None:
    """Everything since the oldest transaction, another package's upgrade, too."""
    _upgrade(systemd, "bad")
    other = _bundle(systemd, "1", "other", name="other")
    systemd.good("install", "--allow-unsigned", other)
    result = systemd("--json", "ps", "--restart", "--yes", "--rollback")
    assert (result.code, result.json["rolled_back"], result.json["undone"]) == (8, 4, [3, 2])
    assert "the way back to before transaction 2 undoes:" in result.err
    assert "  transaction 3: install other 1\n  transaction 2: upgrade web 1 → 2\n" in result.err
    assert not (systemd.root / "opt/other").exists()


def test_what_was_not_asked_for_does_not_count_after_a_restart_either(systemd: Desk) -> None:
    """The package `web` runs on in a process of no unit; asked was for transaction 1, which replaced nothing."""
    _upgrade(systemd)
    words = ("ps", "--restart", "--yes", "--exit-in-use", "--transaction", "1")
    result = systemd("--json", *words)
    assert (result.code, result.json["restarted"], result.json["in_use"]) == (0, [], [])


def test_the_unit_in_which_pkg_runs_itself_is_left_to_a_person(systemd: Desk, unit: Path) -> None:
    """As from cron, or from a web console: the restart would end pkg, and with it the watch over what comes up."""
    _upgrade(systemd)
    before = _own_group(unit)
    (unit / "cgroup.procs").write_text(str(os.getpid()))
    try:
        result = systemd("--json", "ps", "--restart", "--yes")
    finally:
        before.write_text(str(os.getpid()))
    assert (result.code, result.json["restarted"]) == (0, [])
    assert "web.service: this pkg runs in it" in result.json["by_hand"][0]
    assert not (systemd.place / "asked").exists()


def _own_group(unit: Path) -> Path:
    """Name where this process is listed, in the hierarchy of `unit`."""
    top = unit.parent.parent
    return next(path for path in top.rglob("cgroup.procs") if str(os.getpid()) in path.read_text().split())


def test_nobody_is_restarted_without_a_word(systemd: Desk) -> None:
    _upgrade(systemd)
    result = systemd("ps", "--restart")
    assert result.code == 2
    assert "--yes" in result.err
    assert not (systemd.place / "asked").exists()


def test_a_unit_that_does_not_come_up_is_told_with_the_way_back(systemd: Desk) -> None:
    _upgrade(systemd, "bad")
    result = systemd("ps", "--restart", "--yes")
    assert result.code == 1
    assert "web.service: it is failed" in result.err
    assert "`pkg rollback 2`" in result.err
    assert (systemd.root / "opt/web.conf").read_text() == "bad"


def test_with_rollback_the_old_files_run_again(systemd: Desk) -> None:
    _upgrade(systemd, "bad")
    result = systemd("--json", "ps", "--restart", "--yes", "--rollback")
    assert (result.code, faults(result.json, "ps --restart")) == (8, [])
    assert result.json["rolled_back"] == 3
    assert result.json["problems"] == ["web.service: it is failed"]
    assert (systemd.root / "opt/web.conf").read_text() == "good"
    assert (systemd.place / "pid").read_text() != ""


def test_a_unit_that_hangs_is_given_up(systemd: Desk) -> None:
    _upgrade(systemd)
    (systemd.place / "hangs").touch()
    result = systemd("ps", "--restart", "--yes", "--timeout", "1")
    assert result.code == 1
    assert "no answer within 1 s" in result.err


def test_what_is_no_unit_is_left_to_a_person(web: Desk) -> None:
    running = _started(web)
    try:
        _upgrade(web)
        result = web("--json", "ps", "--restart")
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()
    assert (result.code, result.json["restarted"]) == (0, [])
    assert [one.partition(":")[0] for one in result.json["by_hand"]] == [f"process {running.pid}"]


def test_options_of_a_restart_need_one(desk: Desk) -> None:
    assert desk("ps", "--yes").code == 2
    assert desk("ps", "--rollback").code == 2


def test_who_may_not_read_the_history_is_told_what_to_do(web: Desk) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it becomes somebody else")
    _upgrade(web)
    web.place.chmod(0o755)
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", shutil.which("true") or "true"]
    if subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("setpriv is not here")
    code = (
        "import importlib, os, pkgutil, sys, intact\n"
        "for one in pkgutil.walk_packages(intact.__path__, 'intact.'): importlib.import_module(one.name)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from intact.cli.main import run_command\n"
        f"sys.exit(run_command(['--root', {str(web.root)!r}, 'ps']))\n"
    )
    import sys  # noqa: PLC0415

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1, done
    assert "EACCES" in done.stderr
    assert "run the command as root" in done.stderr


def test_a_deleted_configuration_file_is_told_as_deleted(desk: Desk) -> None:
    desk.good("install", "--allow-unsigned", _bundle(desk, "1", "good", config=True))
    conf = desk.root / "opt/web.conf"
    conf.write_text("edited")
    result = desk.good("repair")
    assert "edited, left alone: /opt/web.conf" in result.out
    assert result.out.endswith("nothing to do: the rest is as it should be\n")
    conf.unlink()
    result = desk.good("repair")
    assert (
        "deleted, left alone: /opt/web.conf (a configuration file; `pkg repair --config` brings it back"
        in result.out
    )
    assert "everything is as it should be" not in result.out
    document = desk("--json", "repair").json
    assert (document["edited"], document["deleted"], faults(document, "repair")) == (
        [],
        ["/opt/web.conf"],
        [],
    )
    desk.good("repair", "--config", "--allow-unsigned", "--from", "web-1.tar.zst")
    assert conf.read_text() == "good"


def test_repair_tells_from_where_and_what_is_left(web: Desk) -> None:
    (web.root / "opt/web.conf").unlink()
    result = web("repair")
    assert result.code == 10
    assert "NOT repaired: /opt/web.conf: nobody on this machine has its content" in result.out
    result = web("--json", "repair", "--from", "web-1.tar.zst", "--allow-unsigned")
    assert (result.code, faults(result.json, "repair"), result.json["changed"]) == (0, [], True)
    assert [one["path"] for one in result.json["sources"]] == ["/opt/web.conf"]
    assert web("verify").code == 0
    assert web("repair", "--exit-unchanged").code == 4


def test_rescue_of_a_package_file_is_proven_whatever_it_is_called(web: Desk) -> None:
    running = _started(web)
    try:
        (web.root / "opt/web").rename(web.root / "opt/moved")
        (web.root / "opt/moved").unlink()
        result = web("--json", "rescue", "/opt/web", "-o", "saved")
    finally:
        running.kill()
        running.wait()
    assert (result.code, faults(result.json, "rescue")) == (0, [])
    assert (result.json["pid"], result.json["proven"], result.json["package"]) == (running.pid, True, "web")
    saved = web.place / "saved"
    assert saved.read_bytes() == (web.place / "web-1/web").read_bytes()
    assert saved.stat().st_mode & 0o7777 == 0o755


def test_rescue_of_any_file_says_that_nothing_proves_it(desk: Desk) -> None:
    secret = desk.root / "secret"
    secret.write_text("what was in it")
    secret.chmod(0o600)
    (desk.place / "saved").write_text("before")
    with secret.open() as opened:
        secret.unlink()
        result = desk("rescue", "secret", "-o", "saved", "--pid", str(os.getpid()))
        assert opened.read() == "what was in it"
    assert result.code == 0
    assert "not proven" in result.out
    assert (desk.place / "saved").read_text() == "what was in it"
    assert (desk.place / "saved").stat().st_mode & 0o7777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives a file to somebody else")
def test_the_copy_is_for_those_who_could_read_the_file(desk: Desk) -> None:
    secret = desk.root / "secret"
    secret.write_text("for the group")
    secret.chmod(0o4640)
    os.chown(secret, 65534, 100)
    with secret.open():
        secret.unlink()
        desk.good("rescue", "secret", "-o", "saved")
    saved = (desk.place / "saved").stat()
    assert (saved.st_uid, saved.st_gid, saved.st_mode & 0o7777) == (65534, 100, 0o640)


def test_rescue_writes_to_standard_output_and_into_no_device(desk: Desk) -> None:
    secret = desk.root / "secret"
    secret.write_text("what was in it")
    os.mkfifo(desk.place / "pipe")
    (desk.place / "stdout").symlink_to("/proc/self/fd/1")
    (desk.place / "to-pipe").symlink_to("pipe")
    with secret.open():
        secret.unlink()
        words = ("rescue", "secret", "--pid", str(os.getpid()), "-o")
        result = desk(*words, "-")
        assert (result.code, result.out) == (0, "what was in it")
        assert "not proven" in result.err
        assert desk("--json", *words, "-").code == 2
        for output in ("pipe", "stdout", "to-pipe", "."):
            result = desk(*words, output)
            assert (result.code, "-o -" in result.err) == (1, True), output
    assert (desk.place / "pipe").is_fifo()
    assert not (desk.place / "-").exists()


def test_two_deleted_files_of_one_name_are_not_mixed_up(desk: Desk) -> None:
    name = desk.root / "log"
    name.write_text("one")
    with name.open():
        name.unlink()
        name.write_text("two")
        with name.open():
            name.unlink()
            result = desk("rescue", "log", "-o", "saved")
            assert not (desk.place / "saved").exists()
            commands = [line.partition(": pkg ")[2].split() for line in result.err.splitlines()]
            rescued = []
            for words in filter(None, commands):
                assert desk(*words).code == 0
                rescued.append((desk.place / "saved").read_text())
    # One process has both: so each is named by its descriptor, with the command to type.
    assert result.code == 1
    assert result.err.count(f"process {os.getpid()}: 3 bytes, sha256 ") == 2
    assert sorted(rescued) == ["one", "two"]


def test_what_is_no_file_of_a_process_cannot_be_named_by_its_descriptor(desk: Desk) -> None:
    reading, writing = os.pipe()
    try:
        for link in (f"/proc/{os.getpid()}/fd/{reading}", f"/proc/{os.getpid()}/fd/99999"):
            refused = desk("rescue", link, "-o", "saved")
            assert (refused.code, link in refused.err) == (1, True)
    finally:
        os.close(reading)
        os.close(writing)
    assert not (desk.place / "saved").exists()


def test_a_name_of_any_bytes_can_be_rescued(desk: Desk) -> None:
    name = desk.root / "b\udcff\n"
    name.write_text("any")
    with name.open():
        name.unlink()
        assert desk("rescue", name.name, "-o", "saved").code == 0
    assert (desk.place / "saved").read_text() == "any"
    assert desk("rescue", "/", "-o", "saved").code == 2


def test_a_file_behind_a_link_that_others_could_change_is_rescued(web: Desk) -> None:
    """Nothing is put there; it is only read from a process."""
    (web.root / "tmp/real").mkdir(parents=True)
    (web.root / "tmp").chmod(0o1777)
    (web.root / "tmp/link").symlink_to("real")
    name = web.root / "tmp/link/file"
    name.write_text("content")
    with name.open():
        name.unlink()
        assert web("rescue", "/tmp/link/file", "-o", "saved").code == 0
    assert (web.place / "saved").read_text() == "content"


def test_who_sits_in_a_deleted_directory_can_rescue_by_absolute_paths(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = desk.root / "gone/file"
    name.parent.mkdir()
    name.write_text("content")
    with name.open():
        shutil.rmtree(name.parent)
        (desk.place / "here").mkdir()
        monkeypatch.chdir(desk.place / "here")
        (desk.place / "here").rmdir()
        assert desk.bare("rescue", name, "-o", desk.place / "saved").code == 0
        refused = desk.bare("rescue", "file", "-o", desk.place / "other")
        monkeypatch.chdir(desk.place)
    assert (refused.code, "was deleted" in refused.err) == (2, True)
    assert (desk.place / "saved").read_text() == "content"


def test_holes_stay_holes(desk: Desk) -> None:
    name = desk.root / "sparse"
    with name.open("wb") as file:
        file.write(b"start")
        file.seek(50 << 20)
        file.write(b"middle")
        file.truncate(100 << 20)
    content = name.read_bytes()
    with name.open():
        name.unlink()
        assert desk("rescue", "sparse", "-o", "saved").code == 0
    saved = desk.place / "saved"
    assert saved.read_bytes() == content
    assert saved.stat().st_blocks * 512 < 1 << 20


def test_the_end_of_a_growing_file_is_where_it_was_when_it_was_opened(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = desk.root / "log"
    name.write_text("before")
    with name.open("a") as file:
        name.unlink()

        def grow(source: BinaryIO, *words: Callable[..., object]) -> Copied:
            def write(data: bytes) -> object:
                file.write("after" * 1000)
                file.flush()
                return words[0](data)

            return copy_held(source, write, *words[1:])

        monkeypatch.setattr("intact.operations.rescuing.copy_held", grow)
        result = desk("rescue", "log", "-o", "saved")
        document = desk("--json", "rescue", "log", "-o", "other").json
    assert (desk.place / "saved").read_text() == "before"
    assert "warning: the file grew by 4.9 KiB while it was copied; that is not in the copy" in result.out
    assert (document["growth"], document["stable"], faults(document, "rescue")) == (5000, False, [])


def test_a_file_that_is_not_what_the_package_has_is_told_so(web: Desk) -> None:
    conf = web.root / "opt/web.conf"
    conf.write_text("edited")
    with conf.open():
        conf.unlink()
        result = web("rescue", "/opt/web.conf", "-o", "saved")
        document = web("--json", "rescue", "/opt/web.conf", "-o", "saved").json
    assert "not proven: it differs from what web installed" in result.out
    assert (document["differs_from"], document["proven"], faults(document, "rescue")) == ("web", False, [])


def test_who_gave_us_a_descriptor_is_named_and_not_we(desk: Desk) -> None:
    name = desk.root / "log"
    name.write_text("given")
    with name.open() as opened:
        name.unlink()
        words: list[str | Path] = [
            PKG,
            "--root",
            desk.root,
            "--json",
            "rescue",
            "log",
            "-o",
            desk.place / "saved",
        ]
        done = subprocess.run(words, pass_fds=[opened.fileno()], capture_output=True, check=True)
    assert json.loads(done.stdout)["pid"] == os.getpid()


def test_what_nobody_has_leaves_the_output_alone(desk: Desk) -> None:
    (desk.place / "saved").write_text("before")
    result = desk("rescue", "/nothing", "-o", "saved")
    assert result.code == 1
    assert "no process" in result.err
    assert (desk.place / "saved").read_text() == "before"
    assert sorted(one.name for one in desk.place.iterdir() if one.name.startswith(".")) == []
