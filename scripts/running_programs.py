"""Real programs are upgraded while they run, listed, restarted and rescued; and what `cp` does to the same programs.

    scripts/running [SCENE]...

Each scene stands for itself and says what it shows. A scene ends the script with an assertion if something is not as it
says. One that this machine cannot play says why. The exit code is 1 if none could be played.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PKG = Path(sys.executable).with_name("pkg")
PATIENCE = 30.0

LIBRARY = """
%s
const char *library_version(void) { return "library %s"; }
"""
# The code of the first library lies behind the end of the second one, as it may after any upgrade.
PADDING = '__asm__(".text\\n.skip 200000");'
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
const char *library_version(void);
int main(void) {
    for (;;) {
        printf("program %s, %%s\\n", library_version());
        fflush(stdout);
        usleep(2000);
    }
}
"""
EXTENSION = """
#include <Python.h>
static PyObject *version(PyObject *self, PyObject *arguments) { return PyLong_FromLong(%s); }
static PyMethodDef methods[] = {{"version", version, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
"""
USER_OF_EXTENSION = """
import sys, time
sys.path.insert(0, sys.argv[1])
import fast
while True:
    print("extension", fast.version(), flush=True)
    time.sleep(0.002)
"""
# It waits without starting anything, because a child of the shell has the script open until it is another program. The one
# that it starts before makes it forget what it has read ahead.
SCRIPT_1 = """#!/bin/bash
/bin/true; echo begun; while ! [ -e "$1" ]; do read -rt 0.01 <>"$1.wait"; done
echo "the old script ends as it began"
"""
# Longer before the place where the shell reads on: it would go on in the middle of this.
SCRIPT_2 = """#!/bin/bash
# A comment that was not there before, and that moves everything behind it.
/bin/true; echo begun; while ! [ -e "$1" ]; do read -rt 0.01 <>"$1.wait"; done; echo "rm -rf something else entirely"
echo "the new script ends"
"""
NGINX = """
pid PLACE/nginx.pid;
error_log PLACE/error.log;
worker_processes 2;
events {}
http {
    access_log off;
    client_body_temp_path PLACE/t1; proxy_temp_path PLACE/t2; fastcgi_temp_path PLACE/t3;
    uwsgi_temp_path PLACE/t4; scgi_temp_path PLACE/t5;
    server { listen 127.0.0.1:PORT; location / { return 200 "served\\n"; } } }
"""


class CannotPlayError(Exception):
    """This machine lacks something."""


def insist(is_so: bool, what: object = "") -> None:  # noqa: FBT001  like assert, which can be switched off
    """End with an error unless it is so."""
    if not is_so:
        raise AssertionError(what)


class Stage:
    """A place of its own for one scene, and the words that tell it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"
        self.root.mkdir()

    def say(self, text: str) -> None:
        """Tell what comes."""
        print(f"  {text}", flush=True)

    def run(self, *words: "str | Path", code: int = 0) -> str:
        """Run a command, show it with what it prints, and insist on its exit code."""
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=self.place)
        print(f"  $ {' '.join(map(str, words)).replace(f'{self.place}/', '').replace(str(PKG), 'pkg')}")
        for line in (done.stdout + done.stderr).splitlines():
            print(f"      {line.replace(f'{self.place}/', '')}", flush=True)
        insist(done.returncode == code, f"exit code {done.returncode}")
        return done.stdout

    def pkg(self, *words: "str | Path", code: int = 0) -> str:
        """Run `pkg` on the root."""
        return self.run(PKG, "--root", self.root, *words, code=code)

    def install(self, version: str, tree: Path) -> None:
        """Pack a tree, and install it as a version of the package."""
        manifest = self.place / f"{version}.toml"
        manifest.write_text(
            f'format = 1\n[package]\nname = "app"\nversion = "{version}"\narchitecture = "all"\n'
            f'[[tree]]\nsource = "{tree.name}"\npath = "app"\n'
        )
        bundle = self.place / f"app-{version}.tar.zst"
        subprocess.run([PKG, "build", manifest, "-o", bundle], check=True, capture_output=True)
        self.pkg("install", "--allow-unsigned", bundle)

    def expect_in_use(self, expected: "set[tuple[int, str, str]]") -> None:
        """Show who uses old files, and insist that it is exactly these."""
        self.pkg("ps")
        words: list[str | Path] = [PKG, "--root", self.root, "--json", "ps"]
        found = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["in_use"]
        insist({(one["pid"], one["usage"], one["path"]) for one in found} == expected, found)

    def delete_and_repair(self, *names: str) -> None:
        """Delete files that are in use; `pkg repair` gets them back from whoever has them."""
        self.say(f"somebody deletes {' and '.join(names)} while it is in use:")
        for name in names:
            (self.root / "app" / name).unlink()
        told = self.pkg("repair")
        insist(told.count("from process") == len(names), told)
        self.pkg("verify")


class Running:
    """A program that prints a line again and again."""

    def __init__(self, *words: "str | Path") -> None:
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.pid = self.process.pid
        self.lines: IO[str] = self.process.stdout or sys.stdin

    def line(self) -> str:
        """Return the next line; empty if the program has ended."""
        return str(self.lines.readline()).strip()

    def latest(self) -> str:
        """Return a line that was printed after this call, past whatever the pipe held."""
        for _ in range(50):
            self.line()
        return self.line()

    def ending(self) -> str:
        """Wait for the end; say by which signal, or with which code."""
        code = self.process.wait(PATIENCE)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


@contextmanager
def running(*words: "str | Path") -> Iterator[Running]:
    """Run a program for a while."""
    one = Running(*words)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


def _compiled(stage: Stage, version: str, *, static: bool = False) -> Path:
    """Compile a program and its library."""
    if shutil.which("cc") is None:
        raise CannotPlayError("there is no C compiler (cc)")
    tree = stage.place / f"tree-{version}"
    tree.mkdir()
    library, program = stage.place / "library.c", stage.place / "program.c"
    library.write_text(LIBRARY % (PADDING if version == "1" else "", version))
    program.write_text(PROGRAM % version)
    if static:
        words: list[str | Path] = ["cc", "-static", "-o", tree / "program", program, library]
    else:
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-Wl,-soname,libapp.so", "-o", tree / "libapp.so", library], check=True
        )
        words = ["cc", "-o", tree / "program", program, tree / "libapp.so", "-Wl,-rpath,$ORIGIN"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotPlayError(f"cc: {done.stderr.strip()}")
    return tree


def danger(stage: Stage) -> None:
    """`cp` onto what is in use: refused for a program, and deadly for a library. `pkg place`: nothing happens."""
    old, new = _compiled(stage, "1"), _compiled(stage, "2")
    for way in ("cp", "place"):
        live = stage.place / way
        shutil.copytree(old, live)
        with running(live / "program") as one:
            insist(one.line() == "program 1, library 1")
            if way == "cp":
                told = stage.run("sh", "-c", f"cp {new}/program {live}/program 2>&1 || true")
                insist("Text file busy" in told)
                stage.run("cp", new / "libapp.so", live / "libapp.so")
                while one.line():
                    pass
                ending = one.ending()
                stage.say(f"the program ended by {ending}")
                insist(ending in {"SIGBUS", "SIGSEGV", "SIGILL"}, ending)
            else:
                stage.run(PKG, "place", new / "program", live / "program")
                stage.run(PKG, "place", new / "libapp.so", live / "libapp.so")
                insist(one.latest() == "program 1, library 1")
                stage.say("the program runs on, with the files that it was started with")
    with running(stage.place / "place/program") as one:
        insist(one.line() == "program 2, library 2")
        stage.say("started again: program 2, library 2")


def program(stage: Stage) -> None:
    """A compiled program with a library: upgraded, listed, restarted, rescued, rolled back."""
    stage.install("1", _compiled(stage, "1"))
    path = stage.root / "app/program"
    with running(path) as one:
        insist(one.line() == "program 1, library 1")
        stage.install("2", _compiled(stage, "2"))
        insist(one.latest() == "program 1, library 1")
        stage.expect_in_use({(one.pid, "executable", "/app/program"), (one.pid, "library", "/app/libapp.so")})
    with running(path) as one:
        insist(one.line() == "program 2, library 2")
        stage.say("restarted: program 2, library 2")
        stage.expect_in_use(set())
        stage.pkg("rescue", "/app/program", "-o", stage.place / "program")
        stage.delete_and_repair("program", "libapp.so")
        insist(one.latest() == "program 2, library 2")
        stage.pkg("rollback", "2")
        stage.expect_in_use(set())
        stage.say(
            "(it still has files that were deleted before they were repaired; no transaction took those)"
        )
    with running(path) as one:
        insist(one.line() == "program 1, library 1")
        stage.say("after the rollback: program 1, library 1")


def python(stage: Stage) -> None:
    """A Python process with a C extension: the module is a mapped library."""
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists() or shutil.which("cc") is None:
        raise CannotPlayError("there is no C compiler (cc), or no Python.h")
    for version in ("1", "2"):
        tree = stage.place / f"tree-{version}"
        tree.mkdir()
        source = stage.place / "fast.c"
        source.write_text(EXTENSION % version)
        target = tree / f"fast{sysconfig.get_config_var('EXT_SUFFIX')}"
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{headers}", "-o", target, source], check=True)
    stage.install("1", stage.place / "tree-1")
    words = (sys.executable, "-c", USER_OF_EXTENSION, stage.root / "app")
    with running(*words) as one:
        insist(one.line() == "extension 1")
        stage.install("2", stage.place / "tree-2")
        insist(one.latest() == "extension 1")
        name = f"/app/fast{sysconfig.get_config_var('EXT_SUFFIX')}"
        stage.expect_in_use({(one.pid, "library", name)})
    with running(*words) as one:
        insist(one.line() == "extension 2")
        stage.say("restarted: extension 2")
        stage.delete_and_repair(name.removeprefix("/app/"))


def script(stage: Stage) -> None:
    """A shell reads its script while it runs; `cp` puts other words under it."""
    if shutil.which("bash") is None:
        raise CannotPlayError("there is no bash")
    for version, text in (("1", SCRIPT_1), ("2", SCRIPT_2)):
        tree = stage.place / f"tree-{version}"
        tree.mkdir()
        (tree / "script").write_text(text)
        (tree / "script").chmod(0o755)
    os.mkfifo(stage.place / "go.wait")
    copied = stage.place / "script"
    shutil.copy(stage.place / "tree-1/script", copied)
    with running(copied, stage.place / "go") as one:
        insist(one.line() == "begun")
        stage.run("cp", stage.place / "tree-2/script", copied)
        (stage.place / "go").touch()
        said = one.process.communicate(timeout=PATIENCE)[0].strip()
        stage.say(f"after `cp`, the running script says: {said!r}")
        insist(said != "the old script ends as it began")
    (stage.place / "go").unlink()
    stage.install("1", stage.place / "tree-1")
    with running(stage.root / "app/script", stage.place / "go") as one:
        insist(one.line() == "begun")
        stage.install("2", stage.place / "tree-2")
        stage.expect_in_use({(one.pid, "open file", "/app/script")})
        (stage.place / "go").touch()
        said = one.process.communicate(timeout=PATIENCE)[0].strip()
        stage.say(f"after `pkg install`, it says: {said!r}")
        insist(said == "the old script ends as it began")
    (stage.place / "go").unlink()
    with running(stage.root / "app/script", stage.place / "go") as one:
        insist(one.line() == "begun")
        stage.expect_in_use(set())
        stage.delete_and_repair("script")


def daemon(stage: Stage) -> None:
    """Nginx from Debian, with two workers, serves without a pause; all three processes are listed, then restarted."""
    nginx = _nginx(stage)
    for version in ("1", "2"):
        tree = stage.place / f"tree-{version}"
        tree.mkdir()
        (tree / "nginx").write_bytes(nginx.read_bytes() + version.encode())
        (tree / "nginx").chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = stage.place / "nginx.conf"
    conf.write_text(NGINX.replace("PLACE", str(stage.place)).replace("PORT", str(port)))
    stage.place.chmod(0o755)
    stage.install("1", stage.place / "tree-1")
    words: tuple[str | Path, ...] = (stage.root / "app/nginx", "-p", stage.place, "-c", conf)
    words = (*words, "-e", stage.place / "error.log", "-g", "daemon off; master_process on;")
    with _serving(words, port) as first:
        old = {first.pid, *_children(first.pid)}
        insist(len(old) == 3, old)
        stage.install("2", stage.place / "tree-2")
        insist(_get(port) == "served\n")
        stage.expect_in_use({(pid, "executable", "/app/nginx") for pid in old})
        stage.say("nginx is told to end when it has served everybody (SIGQUIT), and started again")
        first.process.send_signal(signal.SIGQUIT)
        first.ending()
    with _serving(words, port) as second:
        stage.expect_in_use(set())
        stage.delete_and_repair("nginx")
        insist(_get(port) == "served\n")
        second.process.send_signal(signal.SIGQUIT)
        second.ending()


def _nginx(stage: Stage) -> Path:
    """Take nginx from this machine, or from its Debian package."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if found is None and shutil.which("apt-get") is not None:
        words = ["apt-get", "download", "-q", "nginx"]
        subprocess.run(words, cwd=stage.place, check=False, capture_output=True)
        for package in stage.place.glob("nginx_*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, stage.place / "debian"], check=True)
            found = str(stage.place / "debian/usr/sbin/nginx")
    if found is None or subprocess.run([found, "-v"], check=False, capture_output=True).returncode != 0:
        raise CannotPlayError("there is no nginx, and its Debian package cannot be had")
    return Path(found)


@contextmanager
def _serving(words: "tuple[str | Path, ...]", port: int) -> Iterator[Running]:
    with running(*words) as one:
        try:
            deadline = time.monotonic() + PATIENCE
            while _get(port) != "served\n" or len(_children(one.pid)) != 2:
                insist(one.process.poll() is None, "nginx has ended")
                insist(time.monotonic() < deadline)
            yield one
        finally:
            if one.process.poll() is None:
                one.process.send_signal(signal.SIGTERM)
                one.process.wait(PATIENCE)


def _get(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def namespace(stage: Stage) -> None:
    """A process in a mount namespace of its own, which sees the files under another name; and one with a copy."""
    _insist_on_root()
    stage.install("1", _compiled(stage, "1"))
    seen, copy = stage.place / "seen", stage.place / "copy"
    seen.mkdir()
    shutil.copytree(stage.root / "app", copy)
    words = f"mount --bind {stage.root}/app {seen} && exec {seen}/program"
    with running("unshare", "--mount", "sh", "-c", words) as one, running(copy / "program") as other:
        insist(one.line() == other.line() == "program 1, library 1")
        stage.install("2", _compiled(stage, "2"))
        insist(one.latest() == "program 1, library 1")
        stage.expect_in_use({(one.pid, "executable", "/app/program"), (one.pid, "library", "/app/libapp.so")})
        stage.say("the other process has files of its own, of the same content, and is not named")
    with running("unshare", "--mount", "sh", "-c", words) as one:
        insist(one.line() == "program 2, library 2")
        stage.expect_in_use(set())
        stage.delete_and_repair("program", "libapp.so")


def chroot(stage: Stage) -> None:
    """A container-like process: its root directory is the root that is upgraded, its namespaces are its own."""
    _insist_on_root()
    stage.install("1", _compiled(stage, "1", static=True))
    words = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "chroot", stage.root)
    with running(*words, "/app/program") as one:
        insist(one.line() == "program 1, library 1")
        stage.install("2", _compiled(stage, "2", static=True))
        insist(one.latest() == "program 1, library 1")
        (inner,) = _children(one.pid)
        stage.expect_in_use({(inner, "executable", "/app/program")})
        os.kill(inner, signal.SIGKILL)
        one.process.wait(PATIENCE)
    with running(*words, "/app/program") as one:
        insist(one.line() == "program 2, library 2")
        stage.expect_in_use(set())
        stage.delete_and_repair("program")


def _insist_on_root() -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        raise CannotPlayError("only root makes mount namespaces, with unshare(1)")


SCENES: dict[str, Callable[[Stage], None]] = {
    one.__name__: one for one in (danger, program, python, script, daemon, namespace, chroot)
}


def main(names: list[str]) -> int:
    """Play the scenes; return the exit code."""
    unknown = set(names) - set(SCENES)
    if unknown:
        print(
            f"there is no scene {', '.join(sorted(unknown))}; there are: {', '.join(SCENES)}", file=sys.stderr
        )
        return 2
    played = 0
    for name in names or SCENES:
        print(f"\n{name}: {SCENES[name].__doc__}", flush=True)
        with tempfile.TemporaryDirectory(prefix="intact-running-") as place:
            try:
                SCENES[name](Stage(Path(place)))
                played += 1
            except CannotPlayError as reason:
                print(f"  not played: {reason}", flush=True)
    print(f"\n{played} of {len(names or SCENES)} scenes were played, and everything was as they say")
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
