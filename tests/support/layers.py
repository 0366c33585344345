"""A root as a container has it: an overlay whose files come from a lower layer, with a fresh upper layer for each copy."""

import shutil
import subprocess
from pathlib import Path

from support.workshop import Workshop

__all__ = ["LayeredWorkshop", "unmount"]


def unmount(place: Path) -> None:
    """Unmount, if something is mounted there."""
    while place.is_mount():
        if subprocess.run(["umount", str(place)], check=False, capture_output=True).returncode != 0:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


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
