"""A root as a container has it: an overlay whose files come from a lower layer, with a fresh upper layer for each copy."""

import re
import shutil
import subprocess
from pathlib import Path

from support.workshop import Workshop

__all__ = ["LayeredWorkshop", "mount_points", "unmount"]

_ESCAPED = re.compile(r"\\([0-7]{3})")  # as blanks are written, proc_pid_mounts(5)


def unmount(place: Path) -> None:
    """Unmount, if something is mounted there, also if it answers nothing but errors any more."""
    while _is_mounted(place):
        if subprocess.run(["umount", str(place)], check=False, capture_output=True).returncode != 0:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def _is_mounted(place: Path) -> bool:
    """Ask the kernel's list: to ask the place itself would be an input/output error on a filesystem that has shut down."""
    return place in mount_points()


def mount_points() -> list[Path]:
    """Return where something is mounted, in the order in which it was."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [Path(_ESCAPED.sub(_character, line.split(" ")[1])) for line in lines]


def _character(escaped: "re.Match[str]") -> str:
    return chr(int(escaped[1], 8))


class LayeredWorkshop(Workshop):
    """A workshop whose copies are overlays over it.

    Attributes:
        lower: the layer that all copies share; nobody writes to it any more.
        upper: what has changed since; None for the lower layer itself.
    """

    def __init__(self, beginning: Workshop, lower: Path | None = None, upper: Path | None = None) -> None:
        """Take a workshop as the lower layer.

        Args:
            beginning: at rest, in memory.
        """
        self.place, self.path, self.bundles = beginning.place, beginning.path, dict(beginning.bundles)
        self.lower = lower or beginning.path
        self.upper = upper

    def copy(self, name: str) -> Workshop:
        """Mount an overlay with what this one has in its upper layer.

        Raises:
            CalledProcessError: this machine cannot mount an overlay here.
        """
        place = self.place.parent / name
        unmount(place / "root")
        shutil.rmtree(place, ignore_errors=True)
        for part in ("work", "root"):
            (place / part).mkdir(parents=True)
        upper = place / "upper"
        if self.upper is None:
            upper.mkdir()
        else:
            subprocess.run(["cp", "-a", str(self.upper), str(upper)], check=True)
        layers = f"lowerdir={self.lower},upperdir={upper},workdir={place}/work"
        command = ["mount", "-t", "overlay", "-o", layers, "overlay", str(place / "root")]
        subprocess.run(command, check=True, capture_output=True)
        other = LayeredWorkshop(self, self.lower, upper)
        other.place, other.path = place, place / "root"
        return other

    def discard(self) -> None:
        """Take it away."""
        unmount(self.path)
        super().discard()
