"""Acts. On which mount is a directory?"""

import os

from intact.model.probes import Mounted

__all__ = ["mounted_at"]


def mounted_at(fd: int) -> Mounted:
    """Tell on which mount a directory is."""
    flags = os.fstatvfs(fd).f_flag
    kind = place = source = ""
    options: tuple[str, ...] = ()
    for line in _mount_lines(fd):
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        kind, source, place = rest[0], _plain(rest[1]), _plain(fields[4])
        options = tuple(dict.fromkeys([*fields[5].split(","), *rest[2].split(",")]))
    return Mounted(
        kind=kind,
        mount_point=place,
        source=source,
        options=options,
        noexec=bool(flags & os.ST_NOEXEC),
        nosuid=bool(flags & os.ST_NOSUID),
        read_only=bool(flags & os.ST_RDONLY),
    )


def _mount_lines(fd: int) -> list[str]:
    """Return the line of the mount table that a descriptor's own mount has, see proc_pid_mountinfo(5)."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as facts:
            numbers = [line.split()[1] for line in facts if line.startswith(b"mnt_id:")]
        with open("/proc/self/mountinfo", "rb") as table:
            return [os.fsdecode(line.rstrip(b"\n")) for line in table if line.split(b" ")[0] in numbers]
    except OSError:
        return []


def _plain(text: str) -> str:
    for escaped, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escaped, plain)
    return text
