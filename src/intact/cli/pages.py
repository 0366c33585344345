"""Acts. Which page says more about a command, and where does it lie on this machine?

The documentation is installed with the program, in `share/doc/intact`; in a checkout it is `docs`.
"""

import sys
from pathlib import Path
from types import MappingProxyType

__all__ = ["PAGES", "documentation", "page_of"]

PAGES = MappingProxyType(
    {
        "build": "reference/manifest.md",
        "sign": "how-to/sign-and-trust.md",
        "key": "how-to/sign-and-trust.md",
        "install": "how-to/provisioning.md",
        "recover": "how-to/recover.md",
        "config": "how-to/configuration.md",
        "ps": "how-to/running-programs.md",
        "repair": "how-to/repair.md",
        "rescue": "how-to/repair.md",
        "place": "how-to/place.md",
        "produce": "how-to/produce.md",
        "probe": "how-to/probe.md",
    }
)


def documentation() -> Path | None:
    """Return the directory of the documentation; None if it was not installed."""
    places = (Path(__file__).parents[3] / "docs", Path(sys.prefix) / "share/doc/intact")
    return next((one for one in places if (one / "how-to").is_dir()), None)


def page_of(command: str) -> Path | None:
    """Return the page about a command; None if there is none, or no documentation."""
    place, page = documentation(), PAGES.get(command)
    return None if place is None or page is None else place / page
