"""`pkg produce`: outputs appear when the command has succeeded, all of them whole, and not before."""

import os
import re
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from support.command_line import PKG, Desk, clean_environment
from support.json_schema import faults

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc)")


def made(place: Path) -> list[str]:
    return sorted(one.name for one in place.iterdir() if one.name != "root")


def start(desk: Desk, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [PKG, "produce", *words], cwd=desk.place, env=clean_environment(), stdout=subprocess.PIPE
    )


def test_the_output_appears_when_the_command_has_succeeded(desk: Desk) -> None:
    (desk.place / "out.o").write_text("old")
    script = "printf new >{}; cat out.o; case {} in *-out.o) ;; *) exit 9;; esac"
    done = desk.process("produce", "out.o", "--", "sh", "-c", script, root=None)
    assert (done.code, done.out) == (0, "old")
    assert (desk.place / "out.o").read_text() == "new"
    assert made(desk.place) == ["out.o"]


def test_a_command_that_fails_leaves_all_as_it_was_and_its_code_is_ours(desk: Desk) -> None:
    (desk.place / "one").write_text("old")
    done = desk.process(
        "produce", "one", "two", "--", "sh", "-c", "echo x >{1}; echo y >{2}; exit 7", root=None
    )
    assert done.code == 7
    assert (desk.place / "one").read_text() == "old"
    assert made(desk.place) == ["one"]


def test_what_was_killed_ends_as_a_shell_says_it(desk: Desk) -> None:
    done = desk.process("produce", "one", "--", "sh", "-c", "echo {}; kill -9 $$", root=None)
    assert done.code == 128 + signal.SIGKILL


def test_an_output_that_was_not_made_keeps_all_of_them_back(desk: Desk) -> None:
    done = desk.process("produce", "one", "two", "--", "sh", "-c", "echo x >{1}; true {2}", root=None)
    assert (done.code, "two" in done.err) == (1, True)
    assert made(desk.place) == []


def test_what_is_no_file_is_not_placed(desk: Desk) -> None:
    for word in ("mkfifo {}", "ln -s /etc/passwd {}"):
        done = desk.process("produce", "one", "--", "sh", "-c", word, root=None)
        assert done.code == 1, word
        assert made(desk.place) == []


@pytest.mark.parametrize(
    "words",
    [
        ("one", "--", "true"),
        ("one", "two", "--", "sh", "-c", "echo {1}"),
        ("one", "two", "--", "sh", "-c", "echo {} {2}"),
        ("one", "--", "sh", "-c", "echo {} {2}"),
        ("one", "one", "--", "sh", "-c", "echo {1} {2}"),
        ("one",),
        ("one", "--"),
        ("--", "true"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_runs(words: tuple[str, ...], desk: Desk) -> None:
    assert desk.process("produce", *words, root=None).code == 2
    assert made(desk.place) == []


def test_other_braces_are_the_command_s_own(desk: Desk) -> None:
    done = desk.process("produce", "one", "--", "sh", "-c", "a=5; echo ${a} {x} {0} >{}", root=None)
    assert done.code == 0
    assert (desk.place / "one").read_text() == "5 {x} {0}\n"


def test_the_command_gets_what_the_caller_has(desk: Desk) -> None:
    before = os.umask(0o027)
    try:
        script = 'umask >{}; echo "$MINE $HOME" >>{}; ulimit -S -c >>{}'
        environment = clean_environment(MINE="yes", HOME="/somewhere")
        limit = resource.getrlimit(resource.RLIMIT_CORE)
        done = desk.process("produce", "one", "--", "sh", "-c", script, root=None, environment=environment)
    finally:
        os.umask(before)
    assert done.code == 0
    mask, mine, core = (desk.place / "one").read_text().splitlines()
    assert (mask, mine) == ("0027", "yes /somewhere")
    assert core == ("unlimited" if limit[0] == resource.RLIM_INFINITY else str(limit[0] // 512))
    assert stat.S_IMODE((desk.place / "one").stat().st_mode) == 0o640


def test_a_command_that_is_not_there_is_told(desk: Desk) -> None:
    done = desk.process("produce", "one", "--", "/nowhere/cc", "{}", root=None)
    assert (done.code, "ENOENT" in done.err) == (127, True)
    (desk.place / "plain").write_text("no program")
    done = desk.process("produce", "one", "--", "./plain", "{}", root=None)
    assert (done.code, "EACCES" in done.err) == (126, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_reach_the_command_and_its_answer_counts(number: signal.Signals, desk: Desk) -> None:
    script = f"trap 'echo handled >{{}}; exit 0' {number.name[3:]}; echo ready; while :; do sleep 0.05; done"
    with start(desk, "one", "--", "sh", "-c", script) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(number)
        assert running.wait(20) == 0
    assert (desk.place / "one").read_text() == "handled\n"


def test_a_command_that_a_signal_ends_leaves_nothing(desk: Desk) -> None:
    with start(desk, "one", "--", "sh", "-c", "echo half >{}; echo ready; exec sleep 60") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.terminate()
        assert running.wait(20) == 128 + signal.SIGTERM
    assert made(desk.place) == []


def test_an_unchanged_output_keeps_its_time(desk: Desk) -> None:
    target = desk.place / "gen.h"
    target.write_text("same")
    os.utime(target, ns=(10**18, 10**18))
    words = ("produce", "--if-changed", "gen.h", "--", "sh", "-c", "printf same >{}")
    assert desk.process(*words, root=None).code == 0
    assert target.stat().st_mtime_ns == 10**18
    shown = desk.process("--json", "produce", "gen.h", "--", "sh", "-c", "printf new >{}", root=None)
    assert (shown.json, faults(shown.json, "produce")) == ({"changed": True, "placed": ["gen.h"]}, [])


def test_a_link_is_replaced_or_followed(desk: Desk) -> None:
    (desk.place / "real").write_text("old")
    (desk.place / "name").symlink_to("real")
    desk.process("produce", "--follow", "name", "--", "sh", "-c", "printf new >{}", root=None)
    assert ((desk.place / "real").read_text(), (desk.place / "name").is_symlink()) == ("new", True)
    desk.process("produce", "name", "--", "sh", "-c", "printf own >{}", root=None)
    assert ((desk.place / "real").read_text(), (desk.place / "name").is_symlink()) == ("new", False)


@needs_cc
def test_a_program_is_compiled_over_its_own_running_binary(desk: Desk) -> None:
    """Cc alone fails (ETXTBSY) or unlinks first, and then there is a moment without the program."""
    source = desk.place / "prog.c"
    for version in range(4):
        source.write_text(f"#include <unistd.h>\nint main(void) {{ return sleep(60) + {version}; }}\n")
        done = desk.process("produce", "prog", "--", "cc", "-o", "{}", "prog.c", root=None)
        assert done.code == 0, done.err
        running = subprocess.Popen([desk.place / "prog"])
        time.sleep(0.05)
        assert running.poll() is None
        again = desk.process("produce", "prog", "--", "cc", "-O1", "-o", "{}", "prog.c", root=None)
        assert (again.code, running.poll()) == (0, None)
        running.kill()
        running.wait()
    source.write_text("int main(void) { return }\n")
    before = (desk.place / "prog").stat()
    assert desk.process("produce", "prog", "--", "cc", "-o", "{}", "prog.c", root=None).code == 1
    assert (desk.place / "prog").stat() == before


@needs_cc
def test_objects_archives_and_libraries_keep_their_endings(desk: Desk) -> None:
    (desk.place / "f.c").write_text("int f(void) { return 7; }\n")
    (desk.place / "main.c").write_text("int f(void); int main(void) { return f(); }\n")
    for words in (
        ("f.o", "--", "cc", "-c", "-o", "{}", "f.c"),
        ("libf.a", "--", "ar", "rc", "{}", "f.o"),
        ("libf.so", "--", "cc", "-shared", "-fPIC", "-o", "{}", "f.c"),
        ("main", "--", "cc", "-o", "{}", "main.c", "libf.a"),
    ):
        assert desk.process("produce", *words, root=None).code == 0, words
    assert subprocess.run([desk.place / "main"], check=False).returncode == 7


# --- what is not a file is not an output ------------------------------------------------------------------
def identities(place: Path) -> dict[str, tuple[int, int, int]]:
    seen = {name: (place / name).lstat() for name in made(place)}
    return {name: (one.st_ino, one.st_mode, one.st_ctime_ns) for name, one in seen.items()}


def test_a_device_a_pipe_or_a_directory_is_refused_before_the_command_runs(desk: Desk) -> None:
    os.mkfifo(desk.place / "pipe")
    (desk.place / "dir").mkdir()
    (desk.place / "to-dir").symlink_to("dir")
    (desk.place / "to-pipe").symlink_to("pipe")
    (desk.place / "stdout").symlink_to("/proc/self/fd/1")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(desk.place / "socket"))
    if os.geteuid() == 0:
        os.mknod(desk.place / "node", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    before = identities(desk.place)
    assert len(before) >= 6
    for name in before:
        for more in ((), ("--follow",)):
            done = desk.process("produce", *more, name, "--", "sh", "-c", "touch ran; echo x >{}", root=None)
            assert (done.code, "the command was not run" in done.err) == (1, True), (name, done)
    assert identities(desk.place) == before


def test_one_file_under_two_names_is_named_twice(desk: Desk) -> None:
    (desk.place / "link").symlink_to("a")
    (desk.place / "sub").symlink_to(".")
    for words in (("a", str(desk.place / "a")), ("a", "sub/a"), ("--follow", "a", "link"), ("", "a")):
        done = desk.process("produce", *words, "--", "sh", "-c", "touch ran {1} {2}", root=None)
        assert done.code == 2, words
    assert made(desk.place) == ["link", "sub"]


def test_a_directory_that_the_command_made_is_not_left(desk: Desk) -> None:
    done = desk.process("produce", "one", "--", "sh", "-c", "mkdir -p {}/in && touch {}/in/x", root=None)
    assert (done.code, made(desk.place)) == (1, [])


# --- as if the command had written into the old file ------------------------------------------------------
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_output_keeps_mode_owner_and_list_of_the_old_one(desk: Desk) -> None:
    """As the shell's `>`; a command that chooses a mode has chosen it."""
    old = desk.place / "old"

    def after(command: str, mode: int, umask: int = 0o022) -> tuple[int, int, int]:
        old.write_text("old")
        old.chmod(mode)
        os.chown(old, 12, 34)
        old.chmod(mode)
        before = os.umask(umask)
        try:
            assert desk.process("produce", "old", "--", "sh", "-c", command, root=None).code == 0
        finally:
            os.umask(before)
        status = old.stat()
        return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid

    assert after("echo x >{}", 0o600) == (0o600, 12, 34)
    assert after("echo x >{}", 0o755) == (0o755, 12, 34)
    assert after("echo x >{}", 0o640, umask=0o077) == (0o640, 12, 34)
    assert after("echo x >{}", 0o4755) == (0o755, 12, 34)
    assert after("cp /bin/true {}", 0o600) == (0o755, 12, 34)
    assert after("echo x >{}; chmod 4711 {}", 0o600) == (0o4711, 12, 34)
    entries = [(1, 6, 2**32 - 1), (2, 4, 65534), (4, 0, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1)]
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)
    os.setxattr(old, "system.posix_acl_access", listed)
    assert after("echo x >{}", 0o640) == (0o640, 12, 34)
    assert os.getxattr(old, "system.posix_acl_access") == listed
    os.removexattr(old, "system.posix_acl_access")
    os.setxattr(desk.place, "system.posix_acl_default", listed)  # then the umask does not count
    assert after("echo x >{}", 0o604) == (0o604, 12, 34)
    assert os.listxattr(old) == []


def test_a_second_name_of_another_file_leaves_that_as_it_is(desk: Desk) -> None:
    (desk.place / "mine").write_text("mine")
    (desk.place / "mine").chmod(0o644)
    (desk.place / "old").write_text("old")
    (desk.place / "old").chmod(0o600)
    assert desk.process("produce", "old", "--", "ln", "mine", "{}", root=None).code == 0
    assert (desk.place / "old").samefile(desk.place / "mine")
    assert stat.S_IMODE((desk.place / "mine").stat().st_mode) == 0o644


# --- in the command's place -------------------------------------------------------------------------------
def test_the_command_gets_the_descriptors_of_the_caller(desk: Desk) -> None:
    """Such as make's jobserver."""
    line = 'exec 9>log; exec "$0" produce one -- sh -c "echo told >&9; ls /proc/self/fd >{}"'
    subprocess.run(["sh", "-c", line, PKG], cwd=desk.place, env=clean_environment(), check=True)
    assert (desk.place / "log").read_text() == "told\n"
    numbers = (desk.place / "one").read_text().split()
    assert set(numbers) <= {"0", "1", "2", "3", "9"}, "none of ours; 3 is the list itself"


def test_a_command_that_fails_is_a_document_too(desk: Desk) -> None:
    done = desk.process("--json", "produce", "one", "--", "sh", "-c", "echo {}>/dev/null; exit 7", root=None)
    assert (done.code, faults(done.json, "error")) == (7, [])
    assert (done.json["error"]["kind"], done.json["exit_code"]) == ("CommandFailed", 7)
    done = desk.process("--json", "produce", "one", "--", "/nowhere", "{}", root=None)
    assert (done.code, done.json["error"]["kind"], done.json["exit_code"]) == (127, "CommandNotFound", 127)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_between_two_renames_finds_both_done(number: signal.Signals, desk: Desk) -> None:
    script = (
        "import os, signal, sys\n"
        "from intact.cli.main import main\n"
        "import intact.cli.placing\n"
        "rename = os.rename\n"
        "def interrupted(one, other):\n"
        "    rename(one, other)\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "os.rename = interrupted\n"
        "main()\n"
    )
    words = ("produce", "one", "two", "--", "sh", "-c", "echo 1 >{1}; echo 2 >{2}")
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, *words],
        cwd=desk.place,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "now: everything was placed" in done.stderr) == (128 + number, True), done
    assert made(desk.place) == ["one", "two"]


# --- the page ---------------------------------------------------------------------------------------------
PAGE = Path(__file__).parent.parent.parent / "docs/how-to/produce.md"


def recipes(heading: str) -> list[str]:
    """Return the blocks of code of a part of the page."""
    part = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", part, re.MULTILINE)
    return [textwrap.dedent(one) for one in blocks if one.strip()]


SOURCES = {
    "main.c": '#include "version.h"\n#include "util.h"\n#include <stdio.h>\n'
    "int main(void) { puts(VERSION); return util(); }\n",
    "util.c": '#include "util.h"\nint util(void) { return 0; }\n',
    "util.h": "int util(void);\n",
    "version.txt": "1.0\n",
}


@pytest.fixture
def sources(desk: Desk) -> Desk:
    for name, text in SOURCES.items():
        (desk.place / name).write_text(text)
    (desk.place / "bin").mkdir()
    (desk.place / "bin/pkg").symlink_to(PKG)
    return desk


def run(desk: Desk, *words: str) -> str:
    path = f"{desk.place / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        words, cwd=desk.place, env=clean_environment(PATH=path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    assert "warning" not in done.stderr, done
    return done.stdout + done.stderr


@needs_cc
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_the_makefile_of_the_page_builds_what_changed_and_no_more(sources: Desk) -> None:
    place = sources.place
    (place / "Makefile").write_text(recipes("In a Makefile")[0])
    said = run(sources, "make", "-j2")
    assert run(sources, str(place / "prog")) == "1.0\n"
    assert "jobserver" not in said
    assert not [one for one in made(place) if one.startswith(".intact-")]
    assert "prog" not in run(sources, "make"), "it is up to date"
    before = (place / "main.o").stat().st_mtime_ns
    (place / "version.txt").touch()
    run(sources, "make")
    assert (place / "main.o").stat().st_mtime_ns == before, "the header has the same text"
    (place / "version.txt").write_text("2.0\n")
    run(sources, "make")
    assert run(sources, str(place / "prog")) == "2.0\n"
    assert "main.o: main.c" in (place / "main.d").read_text()
    (place / "util.h").write_text("int util(void);\n#define NEW 1\n")
    before = (place / "util.o").stat().st_mtime_ns
    run(sources, "make")
    assert (place / "util.o").stat().st_mtime_ns > before, "the .d file names the object, not a scratch name"


@needs_cc
@pytest.mark.skipif(shutil.which("ld") is None, reason="there is no ld")
def test_the_linker_s_recipes_of_the_page_work(sources: Desk) -> None:
    (sources.place / "version.h").write_text('#define VERSION "3.0"\n')
    (block,) = recipes("With ar and ld")
    run(sources, "sh", "-e", "-c", block)
    assert run(sources, str(sources.place / "prog")) == "3.0\n"
    assert {"both.o", "libutil.a", "prog"} <= set(made(sources.place))


def test_the_shell_recipes_of_the_page_quote_their_names(sources: Desk) -> None:
    for heading in ("In a shell script", "In a Makefile", "With ar and ld"):
        for block in recipes(heading):
            assert not re.search(r"> ?\{", block), "a name with a space, or worse"
    loop, report = recipes("In a shell script")
    assert subprocess.run(["sh", "-n", "-c", loop], check=False).returncode == 0
    (sources.place / "bin/make-report").write_text("#!/bin/sh\necho all is well\n")
    (sources.place / "bin/make-report").chmod(0o755)
    run(sources, "sh", "-e", "-c", report.replace("/srv/www/", "a b;touch x;"))
    assert (sources.place / "a b;touch x;report.html").read_text() == "all is well\n"
