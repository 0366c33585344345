"""The command line as people use it: in this process, as a process, and on a terminal."""

import errno
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.workshop import Snapshot, Workshop, snapshot

__all__ = ["PKG", "Desk", "Result", "Terminal", "clean_environment", "install_that_waits"]

PKG = Path(sys.executable).with_name("pkg")
_PATIENCE = 20.0


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment without anything that changes what `pkg` does."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "SOURCE_DATE_EPOCH": "1700000000", **more}


@dataclass(frozen=True)
class Result:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  a JSON document
        """Its one JSON document."""
        return json.loads(self.out)


class Desk:
    """A working directory with a root, where packages are made and commands are typed."""

    def __init__(self, place: Path, run: Callable[[list[str]], Result]) -> None:
        self.place = place
        self.root = place / "root"
        self._run = run
        self._seen = Workshop.__new__(Workshop)
        self._seen.path = self.root

    def bare(self, *arguments: str | Path) -> Result:
        """Run a command in this process, without --root."""
        return self._run([str(one) for one in arguments])

    def __call__(self, *arguments: str | Path) -> Result:
        """Run a command in this process."""
        return self.bare("--root", "root", *arguments)

    def good(self, *arguments: str | Path) -> Result:
        """Run a command that has to succeed."""
        result = self(*arguments)
        assert result.code == 0, result
        return result

    def process(
        self,
        *arguments: str | bytes | Path,
        data: bytes = b"",
        environment: Mapping[str, str] | None = None,
        root: str | None = "root",
    ) -> Result:
        """Run a command as a process of its own, without a terminal."""
        chosen = [] if root is None else ["--root", root]
        done = subprocess.run(
            [PKG, *chosen, *arguments],
            input=data,
            capture_output=True,
            cwd=self.place,
            env=environment or clean_environment(),
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def snapshot(self, *, links: bool = True) -> Snapshot:
        """Describe the root, without its state directory; `links` includes link counts."""
        return snapshot(self._seen, links=links)

    def leftovers(self) -> list[str]:
        """Name what transactions have left that were not committed."""
        top = self.root / "var/lib/intact/private/transactions"
        return sorted(one.name for one in top.iterdir() if not (one / "before.db").exists())

    def source(
        self, name: str, version: str, files: Mapping[str, str], package: str = "", more: str = ""
    ) -> str:
        """Write a source manifest with its files; return its name."""
        lines = [
            "format = 1",
            "[package]",
            f'name = "{name}"',
            f'version = "{version}"',
            f'summary = "The {name} of the tests"',
            package if "architecture" in package else f'architecture = "all"\n{package}',
        ]
        content = f"content-{name}-{version}"
        for path, text in files.items():
            target = self.place / content / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            lines += ["[[file]]", f'source = "{content}/{path}"', f'path = "{path}"']
            lines += ["config = true"] if path.startswith("etc/") else []
        manifest = self.place / f"{name}-{version}.toml"
        manifest.write_text("\n".join([*lines, more]) + "\n")
        return manifest.name

    def bundle(
        self,
        name: str,
        version: str,
        files: Mapping[str, str] | None = None,
        package: str = "",
        *,
        key: str = "key",
    ) -> str:
        """Build a bundle, signed with `key` unless that is empty; return its file name."""
        chosen = {f"usr/share/{name}/text": f"{name} {version}\n"} if files is None else files
        output = f"{name}-{version}{'' if key else '-unsigned'}.tar.zst"
        signed = ["--key", key] if key else []
        self.good("build", self.source(name, version, chosen, package), "-o", output, *signed)
        return output


def install_that_waits(desk: Desk, bundle: str, number: int) -> "subprocess.Popen[bytes]":
    """Start an install that has opened transaction `number`, and waits for the rest of its bundle.

    The bundle has to be larger than what is read ahead.
    """
    content = (desk.place / bundle).read_bytes()
    running = subprocess.Popen(
        [PKG, "--root", "root", "install", "-"],
        cwd=desk.place,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdin is not None
    running.stdin.write(content[: len(content) * 3 // 4])
    running.stdin.flush()
    journal = desk.root / f"var/lib/intact/private/transactions/{number}/journal"
    deadline = time.monotonic() + _PATIENCE
    while not journal.exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline, "it did not open its transaction"
        time.sleep(0.005)
    return running


class Terminal:
    """A command on a pseudo-terminal, which is its standard input, output and error, and its controlling one."""

    def __init__(self, *command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
        self._master, slave = pty.openpty()
        self._seen = b""
        self.running = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**(environment or clean_environment()), "TERM": "xterm", "COLUMNS": "120"},
            start_new_session=True,
        )
        os.close(slave)

    def until(self, text: str) -> str:
        """Read until `text` was shown."""
        deadline = time.monotonic() + _PATIENCE
        while text.encode() not in self._seen:
            assert time.monotonic() < deadline, f"{text!r} is not in {self._seen!r}"
            if not self._read(1.0):
                break
        assert text.encode() in self._seen, f"{text!r} is not in {self._seen!r}"
        return self._seen.decode(errors="replace")

    def type(self, text: str) -> None:
        """Type what a person types; the character 3 is Ctrl-C."""
        os.write(self._master, text.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and all that was shown."""
        while self._read(_PATIENCE):
            pass
        code = self.running.wait(_PATIENCE)
        os.close(self._master)
        return code, self._seen.decode(errors="replace")

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], patience)
        if not ready:
            return patience < _PATIENCE
        try:
            chunk = os.read(self._master, 1 << 16)
        except OSError as error:  # the other end is closed
            if error.errno == errno.EIO:
                return False
            raise
        self._seen += chunk
        return bool(chunk)


# The terminal becomes the controlling one, so that Ctrl-C is a signal and getpass finds /dev/tty.
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
