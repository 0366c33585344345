"""Pure. Which of two versions is newer, by Debian's rules?

The rules are those of deb-version(7): ``[epoch:]upstream[-revision]``; digits compare as numbers, letters
before everything else, and ``~`` before even the end of the part.
"""

import re
from functools import total_ordering

__all__ = ["Version", "VersionFault", "version_fault"]

MAX_LENGTH = 128
# Colons need an epoch before them, and are no part of a revision.
_WITHOUT_EPOCH = r"[0-9A-Za-z][0-9A-Za-z.+~-]*"
_WITH_EPOCH = r"[0-9]{1,9}:[0-9A-Za-z](?:[0-9A-Za-z.+~:-]*-[0-9A-Za-z.+~]*|[0-9A-Za-z.+~:]*)"
_PLAIN = re.compile(_WITHOUT_EPOCH)
_PARTS = r"([^0-9]*)([0-9]*)"

_Key = tuple[int, tuple[tuple[tuple[int, ...], int], ...], tuple[tuple[tuple[int, ...], int], ...]]


class VersionFault(ValueError):
    """The text is not a version; the message says why."""


def version_fault(text: str) -> str | None:
    """Say what keeps `text` from being a version, or return None."""
    if not text:
        return "the version is empty"
    if len(text) > MAX_LENGTH:
        return f"the version is longer than {MAX_LENGTH} characters"
    if not text.isascii() or not (_PLAIN.fullmatch(text) or re.fullmatch(_WITH_EPOCH, text)):
        return f"{text!r} is not a version ([epoch:]upstream[-revision] of letters, digits and . + ~ -)"
    if text.endswith("-"):
        return f"the version {text!r} has an empty revision"
    return None


_END: tuple[tuple[int, ...], int] = ((0,), 0)


def _weight(character: str) -> int:
    """Order of one character outside digits: ``~`` < end (0) < letters < the rest."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _part_key(part: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Turn one part into tuples that compare as dpkg does.

    Each run of non-digits ends with a 0, so that the end of the text sorts after ``~`` and before letters.
    """
    key = [
        ((*map(_weight, letters), 0), int(digits or 0))
        for letters, digits in re.findall(_PARTS, part)
        if letters or digits
    ]
    return (*(key or [_END]), _END)  # an empty part counts as 0, which may be followed by more ("0~")


def _key_of(text: str) -> _Key:
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    upstream, _, revision = rest.rpartition("-")
    if not upstream:
        upstream, revision = rest, ""
    return int(epoch), _part_key(upstream), _part_key(revision)


@total_ordering
class Version:
    """A version that compares by Debian's rules; ``str()`` gives the text back.

    Two versions that Debian holds equal (``1.0`` and ``1.00``) are equal and hash alike.
    """

    __slots__ = ("_known", "text")

    def __init__(self, text: str) -> None:
        """Parse the text.

        Raises:
            VersionFault: the text is not a version.
        """
        fault = version_fault(text)
        if fault is not None:
            raise VersionFault(fault)
        self.text = text
        self._known: _Key | None = None

    @property
    def _key(self) -> _Key:
        """What is compared; worked out when it is, because most versions are only shown."""
        if self._known is None:
            self._known = _key_of(self.text)
        return self._known

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Version({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._key < other._key if isinstance(other, Version) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)
