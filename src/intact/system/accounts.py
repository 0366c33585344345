"""Acts. Which users and groups does a root know?"""

import grp
import os
import pwd

from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.system.port import Disk

__all__ = ["account_names"]

_PASSWD = RelPath("etc/passwd")
_GROUP = RelPath("etc/group")


def account_names(disk: Disk, *, is_host: bool) -> tuple[dict[str, int], dict[str, int]]:
    """Return (users, groups), each name to number.

    Names come from the root's own ``etc/passwd`` and ``etc/group``. Where the root is the host's (`is_host`),
    or has no such file yet, the host's name service answers, which Debian's base packages rely on too.
    """
    users, groups = _read(disk, _PASSWD), _read(disk, _GROUP)
    if is_host or not users:
        users = {one.pw_name: one.pw_uid for one in pwd.getpwall()} | users
    if is_host or not groups:
        groups = {one.gr_name: one.gr_gid for one in grp.getgrall()} | groups
    return {"root": 0, **users}, {"root": 0, **groups}


def _read(disk: Disk, path: RelPath) -> dict[str, int]:
    seen = disk.observe(path)
    if seen is None or seen.kind is not Kind.FILE:
        return {}
    found = {}
    for line in disk.read_file(path).split(b"\n"):
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit():
            found[os.fsdecode(fields[0])] = int(fields[2])
    return found
