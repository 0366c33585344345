"""Pure. What does a TOML table hold, and what is wrong with it?

Both manifests are closed: each key is known and has one type. Faults are collected with their places, so
that one look tells a person all of them.
"""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import tomli

from intact.model.errors import ManifestInvalid

__all__ = ["Faults", "Fields", "parse_toml", "shortened", "too_costly"]

_T = TypeVar("_T")
_MOST_FAULTS = 200
_LONGEST_LINE = 3000  # two paths of 1024 bytes, and what is wrong with them
_TYPE_NAMES = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    list: "a list",
    dict: "a table",
}


class Faults:
    """The faults found so far, each with its place; the first 200 are kept, the rest is counted."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}  # a fault of one key is told once, however often the key is read
        self._more = 0

    def add(self, place: str, text: str) -> None:
        """Note that something at `place` breaks a rule."""
        line = shortened(f"{place}: {text}")
        if len(self._lines) < _MOST_FAULTS or line in self._lines:
            self._lines[line] = None
        else:
            self._more += 1

    def __bool__(self) -> bool:
        return bool(self._lines)

    def refuse_if_any(self, name: str, remedy: str) -> None:
        """Raise them all.

        Raises:
            ManifestInvalid: there was at least one; `details` has one line each.
        """
        if not self._lines:
            return
        count = len(self._lines) + self._more
        more = [f"… and {self._more} more"] if self._more else []
        message = f"the manifest has {count} fault{'s' if count > 1 else ''}"
        raise ManifestInvalid(message, path=name, details=[*self._lines, *more], remedy=remedy)


def shortened(text: str) -> str:
    """Return a text that quotes the manifest without the middle of a quoted megabyte; what is wrong stands at an end."""
    half = _LONGEST_LINE // 2
    return text if len(text) <= _LONGEST_LINE else f"{text[:half]}…{text[-half:]}"


def too_costly(name: str) -> ManifestInvalid:
    """Return the error for a manifest that there is not enough memory for, or not as much as it may take."""
    return ManifestInvalid(
        "to read it takes more memory than there is for it",
        path=name,
        remedy="a manifest as `pkg build` makes it takes little; get the bundle from somebody whom you trust",
    )


def parse_toml(text: bytes, name: str) -> dict[str, object]:
    """Parse TOML; every way in which that can fail becomes the same kind of error.

    Raises:
        ManifestInvalid: not UTF-8, not TOML, or nested beyond reason.
    """
    try:
        return tomli.loads(text.decode())
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8"
    except RecursionError:
        reason = "tables or lists are nested too deeply"
    except MemoryError as error:
        raise too_costly(name) from error
    except ValueError as error:  # tomli.TOMLDecodeError is one; so are numbers of 4301 digits
        reason = str(error)
    raise ManifestInvalid(
        f"the manifest is not TOML ({reason})", path=name, remedy="correct the manifest at that place"
    )


class Fields:
    """One table: each method reads a key, notes what is wrong with it and goes on with a harmless value."""

    __slots__ = ("_faults", "_place", "table")

    def __init__(
        self, table: Mapping[str, object], place: str, faults: Faults, known: Collection[str]
    ) -> None:
        """Note every key that is not in `known`.

        Args:
            place: what stands before each key in a fault (``files[3].``), empty for the top level.
        """
        self.table = table
        self._place = place
        self._faults = faults
        for key in table:
            if key not in known:
                import difflib  # noqa: PLC0415  seldom needed

                close = difflib.get_close_matches(key, known, 1)
                hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"
                self.fault(key, f"unknown key{hint}")

    def fault(self, key: str, text: str) -> None:
        """Note a fault of one key."""
        self._faults.add(f"{self._place}{key}" if key.isprintable() else f"{self._place}{key!r}", text)

    def _typed(self, key: str, kind: type[_T]) -> _T | None:
        found = self.table.get(key)
        if found is None:
            return None
        if type(found) is kind:  # not isinstance: True is an int
            return found
        actual = _TYPE_NAMES.get(type(found), "a date or time")
        self.fault(key, f"must be {_TYPE_NAMES[kind]}, not {actual}")
        return None

    def text(self, key: str, convert: Callable[[str], _T], default: _T, *, required: bool = False) -> _T:
        """Read a string and convert it; a ValueError of `convert` is a fault of the key."""
        found = self._typed(key, str)
        if found is None:
            if required and key not in self.table:
                self.fault(key, "is missing")
            return default
        try:
            return convert(found)
        except ValueError as fault:
            self.fault(key, str(fault))
            return default

    def number(self, key: str, default: int, most: int, *, required: bool = False) -> int:
        """Read a whole number from 0 to `most`."""
        found = self._typed(key, int)
        if found is None:
            if required and key not in self.table:
                self.fault(key, "is missing")
            return default
        if not 0 <= found <= most:
            self.fault(key, f"is out of range (0 to {most})")
            return default
        return found

    def flag(self, key: str) -> bool:
        """Read true or false; false if left out."""
        return self._typed(key, bool) or False

    def texts(self, key: str, convert: Callable[[str], _T]) -> tuple[_T, ...]:
        """Read a list of strings, each only once."""
        found = self._typed(key, list) or []
        result: list[_T] = []
        seen = set()
        for index, item in enumerate(found):
            place = f"{key}[{index}]"
            if type(item) is not str:
                self.fault(place, "must be a string")
            elif item in seen:
                self.fault(place, f"{item!r} is said twice")
            else:
                seen.add(item)
                try:
                    result.append(convert(item))
                except ValueError as fault:
                    self.fault(place, str(fault))
        return tuple(result)

    def words(self, key: str) -> tuple[str, ...]:
        """Read a list of strings whose order counts, and which may repeat themselves; an empty one if left out."""
        found = self._typed(key, list)
        if found and not all(type(item) is str for item in found):
            self.fault(key, "must be a list of strings")
            return ()
        return tuple(found or ())

    def tables(self, key: str) -> list[dict[str, object]]:
        """Read a list of tables; an item that is none is noted and becomes an empty one."""
        found = self._typed(key, list) or []
        for index, item in enumerate(found):
            if type(item) is not dict:
                self.fault(f"{key}[{index}]", "must be a table")
                found[index] = {}
        return found

    def table_of(self, key: str, *, required: bool = False) -> dict[str, object]:
        """Read a table; an empty one stands for a missing or wrong one."""
        found: dict[str, object] | None = self._typed(key, dict)
        if found is None and required and key not in self.table:
            self.fault(key, "the table is missing")
        return found or {}
