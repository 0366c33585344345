"""Pure. Which strings are paths inside the root, and how are they taken apart?"""

import re
import unicodedata

__all__ = ["MAX_PATH_BYTES", "ROOT", "PathFault", "RelPath", "path_fault"]

MAX_PATH_BYTES = 1024
MAX_COMPONENT_BYTES = 255

# The common case, decided by one match: printable ASCII without empty, "." or ".." components.
_PLAIN = re.compile(r"(?!\.{1,2}(?:/|$))[!-.0-~ ]+(?:/(?!\.{1,2}(?:/|$))[!-.0-~ ]+)*")
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class PathFault(ValueError):
    """The text is not a path that may be installed; the message says why."""


class RelPath(str):
    """A path below the root: relative, normalised, without ``.``, ``..``, empty or control parts.

    The empty path is the root itself (`ROOT`). `RelPath.parse` is the only maker that accepts foreign
    text; ``/`` joins one trusted component.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "RelPath":
        """Return `text` as a path, or refuse it; nothing is repaired.

        Raises:
            PathFault: the text is absolute, climbs, has empty, overlong or unprintable components, or is
                not in Unicode normal form C.
        """
        fault = path_fault(text)
        if fault is not None:
            raise PathFault(fault)
        return cls(text)

    def __truediv__(self, name: str) -> "RelPath":
        return RelPath(f"{self}/{name}") if self else RelPath(name)

    @property
    def parent(self) -> "RelPath":
        """The directory that holds this path; the root is its own parent."""
        return RelPath(self.rpartition("/")[0])

    @property
    def name(self) -> str:
        """The last component."""
        return self.rpartition("/")[2]

    @property
    def parts(self) -> list[str]:
        """The components, outermost first; none for the root."""
        return self.split("/") if self else []

    @property
    def ancestors(self) -> "list[RelPath]":
        """Every directory above this path, outermost first, without the root and the path itself."""
        found = []
        at = self.find("/")
        while at != -1:
            found.append(RelPath(self[:at]))
            at = self.find("/", at + 1)
        return found

    def moved(self, top: "RelPath", place: "RelPath") -> "RelPath":
        """Return where this is if `top`, which is this path or one above it, stands at `place`."""
        return RelPath(place + self[len(top) :])

    def is_below(self, directory: "RelPath") -> bool:
        """Tell whether this path lies strictly inside `directory`."""
        return bool(self) and (not directory or self.startswith(directory + "/"))


ROOT = RelPath("")


def path_fault(text: str) -> str | None:
    """Say what keeps `text` from being a `RelPath`, or return None."""
    if _PLAIN.fullmatch(text) and len(text) <= MAX_COMPONENT_BYTES:
        return None
    if not text:
        return "the path is empty"
    if text.startswith("/"):
        return "the path is absolute; paths are relative to the root"
    if not unicodedata.is_normalized("NFC", text):
        return "the path is not in Unicode normal form C"
    return _length_fault(text) or _component_fault(text)


def _length_fault(text: str) -> str | None:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return "the path is not valid UTF-8"
    if len(encoded) > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    if max(map(len, encoded.split(b"/"))) > MAX_COMPONENT_BYTES:
        return f"a component is longer than {MAX_COMPONENT_BYTES} bytes"
    return None


def _component_fault(text: str) -> str | None:
    for component in text.split("/"):
        if component in {"", ".", ".."}:
            return f"the path has a component {component!r}"
    for character in text:
        if unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
            return f"the path has the unprintable character U+{ord(character):04X}"
    return None
