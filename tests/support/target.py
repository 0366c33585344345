"""A root that trusts a key, and all that can be seen of it: what an attacker aims at."""

import os
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from support.malformed import KEY
from support.measured import Server

__all__ = ["Description", "Target", "fast_folder"]

Description = dict[str, tuple[object, ...]]
_LOCK, _DATABASE = "var/lib/intact/private/lock", "var/lib/intact/installed.db"


@contextmanager
def fast_folder() -> Iterator[Path]:
    """Make a directory in memory, where there is one; for fixtures that live longer than a test."""
    memory = Path("/dev/shm")
    top = memory if os.access(memory, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))
    folder = top / f"intact-target-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Target:
    """A root that trusts the key, with a package in it, and a server for commands beside it."""

    def __init__(self, place: Path, server: Server) -> None:
        self.place = place
        self.root = place / "root"
        self.server = server
        self.original: Description = {}
        self.root.mkdir()
        (place / "key.pub").write_text(f"{KEY.public.line}\n")
        assert server.run("--root", "root", "key", "trust", "key.pub", "--yes").code == 0

    def put(self, content: bytes) -> None:
        """Make this the bundle."""
        (self.place / "bundle.tar.zst").write_bytes(content)

    def described(self) -> Description:
        """Describe all of the root, with the state directory and all that is in it.

        The lock says who had it last, and the history that an attempt was discarded: nothing else may change.
        """
        found = {str(path.relative_to(self.root)): _description(path) for path in self.root.rglob("*")}
        found[_LOCK] = found[_LOCK][:-1]
        with closing(
            sqlite3.connect(f"file:{self.root / _DATABASE}?mode=ro&immutable=1", uri=True)
        ) as database:
            rows = tuple(line for line in database.iterdump() if "'discarded'" not in line)
        found[_DATABASE] = (*found[_DATABASE][:-1], rows)
        return found


def _description(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    kept = (status.st_mode, status.st_uid, status.st_gid, status.st_nlink)
    return (*kept, path.read_bytes()) if stat.S_ISREG(status.st_mode) else kept
