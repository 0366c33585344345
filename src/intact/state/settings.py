"""Pure. What has the administrator of a root decided about it?

`/etc/intact/settings.toml` of the root; without it, and for whatever it leaves out, the defaults hold:

    [history]
    transactions = 10        # how many can be undone; at least 1
    size = "2 GiB"           # what their backups may occupy together

    [limits]
    entries = 1000000        # of one bundle
    content = "64 GiB"       # of one bundle: the sum of its files
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import tomli

from intact.model.errors import IntactError
from intact.model.limits import DEFAULT_LIMITS, Limits
from intact.model.paths import RelPath
from intact.model.values import dataclass, field, replace
from intact.plan.retention import RetentionPolicy

__all__ = ["SETTINGS_PATH", "Settings", "SettingsInvalid", "parse_settings"]

SETTINGS_PATH = RelPath("etc/intact/settings.toml")
_SIZE = re.compile(r"([0-9]{1,12})(?: ?([KMGT]i?B|B))?")
_UNITS = {"": 1, "B": 1} | {
    f"{prefix}{infix}B": base**power
    for power, prefix in enumerate("KMGT", 1)
    for infix, base in (("", 1000), ("i", 1024))
}
_MOST_TRANSACTIONS = 10_000
_MOST_ENTRIES = 10_000_000


class SettingsInvalid(IntactError):
    """The settings break their rules; `details` has every fault."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the settings say, with the defaults for what they leave out.

    Attributes:
        history: how much of the way back is kept.
        limits: what bundles may ask for.
    """

    history: RetentionPolicy = field(default_factory=RetentionPolicy)
    limits: Limits = DEFAULT_LIMITS


def parse_settings(text: str, place: str) -> Settings:
    """Read the settings.

    Args:
        place: where the text comes from, for messages.

    Raises:
        SettingsInvalid: `details` names every fault.
    """
    try:
        tables = tomli.loads(text)
    except (ValueError, RecursionError) as error:  # tomli.TOMLDecodeError is a ValueError
        raise _invalid([str(error)], place) from error
    faults = [f"{name}: unknown; known are [history] and [limits]" for name in tables if name not in _KEYS]
    found: dict[str, dict[str, int]] = {}
    for name, keys in _KEYS.items():
        table = tables.get(name, {})
        if not isinstance(table, dict):
            faults.append(f"{name}: has to be a table")
            continue
        faults += [
            f"{name}.{key}: unknown; known are {' and '.join(keys)}" for key in table if key not in keys
        ]
        found[name] = {key: keys[key](table[key], f"{name}.{key}", faults) for key in keys if key in table}
    if faults:
        raise _invalid(faults, place)
    history, limits = found["history"], found["limits"]
    policy = RetentionPolicy()
    return Settings(
        RetentionPolicy(history.get("transactions", policy.count), history.get("size", policy.size)),
        replace(DEFAULT_LIMITS, **limits),
    )


def _invalid(faults: list[str], place: str) -> SettingsInvalid:
    return SettingsInvalid(
        "the settings are not valid", path=place, details=faults, remedy=f"mend or remove {place}"
    )


def _count(most: int) -> "_Reader":
    def read(value: Any, key: str, faults: list[str]) -> int:  # noqa: ANN401  anything can stand in a file
        if type(value) is int and 1 <= value <= most:
            return value
        faults.append(f"{key}: has to be a number from 1 to {most}")
        return 1

    return read


def _size(value: Any, key: str, faults: list[str]) -> int:  # noqa: ANN401  as above
    if type(value) is int and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        faults.append(f'{key}: has to be bytes, or text such as "500 MiB" or "2 GiB"')
        return 0
    bytes_each: int = _UNITS[match[2] or ""]
    return int(match[1]) * bytes_each


_Reader = Callable[[Any, str, list[str]], int]
_KEYS: Mapping[str, Mapping[str, _Reader]] = MappingProxyType(
    {
        "history": MappingProxyType({"transactions": _count(_MOST_TRANSACTIONS), "size": _size}),
        "limits": MappingProxyType({"entries": _count(_MOST_ENTRIES), "content": _size}),
    }
)
