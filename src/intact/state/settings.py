"""Pure. What has the administrator of a root decided about it?

`/etc/intact/settings.toml` of the root; without it, and for whatever it leaves out, the defaults hold:

    [history]
    transactions = 10        # how many can be undone; at least 1
    size = "2 GiB"           # what their backups may occupy together
"""

import re
from dataclasses import replace
from typing import Any

import tomli

from intact.model.errors import IntactError
from intact.model.paths import RelPath
from intact.plan.retention import RetentionPolicy

__all__ = ["SETTINGS_PATH", "SettingsInvalid", "parse_settings"]

SETTINGS_PATH = RelPath("etc/intact/settings.toml")
_SIZE = re.compile(r"([0-9]{1,12})(?: ?([KMGT]i?B|B))?")
_UNITS = {"": 1, "B": 1} | {
    f"{prefix}{infix}B": base**power
    for power, prefix in enumerate("KMGT", 1)
    for infix, base in (("", 1000), ("i", 1024))
}
_MOST_TRANSACTIONS = 10_000


class SettingsInvalid(IntactError):
    """The settings break their rules; `details` has every fault."""


def parse_settings(text: str, place: str) -> RetentionPolicy:
    """Read the settings.

    Args:
        place: where the text comes from, for messages.

    Raises:
        SettingsInvalid: `details` names every fault.
    """
    try:
        tables = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise _invalid([str(error)], place) from error
    faults = [f"{name}: unknown; known is [history]" for name in tables if name != "history"]
    policy = RetentionPolicy()
    history = tables.get("history", {})
    if not isinstance(history, dict):
        raise _invalid([*faults, "history: has to be a table"], place)
    for name, value in history.items():
        if name == "transactions":
            policy = replace(policy, count=_count(value, faults))
        elif name == "size":
            policy = replace(policy, size=_size(value, faults))
        else:
            faults.append(f"history.{name}: unknown; known are transactions and size")
    if faults:
        raise _invalid(faults, place)
    return policy


def _invalid(faults: list[str], place: str) -> SettingsInvalid:
    return SettingsInvalid(
        "the settings are not valid", path=place, details=faults, remedy=f"mend or remove {place}"
    )


def _count(value: Any, faults: list[str]) -> int:  # noqa: ANN401  anything can stand in a file
    if type(value) is int and 1 <= value <= _MOST_TRANSACTIONS:
        return value
    faults.append(f"history.transactions: has to be a number from 1 to {_MOST_TRANSACTIONS}")
    return 1


def _size(value: Any, faults: list[str]) -> int:  # noqa: ANN401  as above
    if type(value) is int and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        faults.append('history.size: has to be bytes, or text such as "500 MiB" or "2 GiB"')
        return 0
    bytes_each: int = _UNITS[match[2] or ""]
    return int(match[1]) * bytes_each
