"""Pure. Whom does a root trust, for what, and how many of them have to agree?"""

import fnmatch
import re
from collections.abc import Iterable
from typing import Final

from intact.model.errors import IntactError, UsageError
from intact.model.times import LATEST, TIME_FORMS, utc_text
from intact.model.values import dataclass, replace
from intact.trust.keys import PublicKey

__all__ = [
    "HOOKS",
    "MOST_SIGNATURES",
    "PRIVILEGED",
    "REVOKED",
    "ROLES",
    "TRUSTED",
    "KeyRevoked",
    "Threshold",
    "TrustEntry",
    "TrustStore",
    "faults_of_entry",
    "faults_of_threshold",
]

PRIVILEGED: Final = "privileged"
HOOKS: Final = "hooks"
ROLES: Final = (PRIVILEGED, HOOKS)
TRUSTED: Final = "trusted"
REVOKED: Final = "revoked"
_EXPIRED, _WAITING = "expired", "not valid yet"
MOST_SIGNATURES: Final = 16
"""No bundle can have more (see `model.limits`)."""

_GLOB = re.compile(r"[a-z0-9+._*?\[\]!-]{1,128}")
_SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+/:_@-]{0,127}")
_WILD = re.compile(r"[*?\[]")


class KeyRevoked(IntactError):
    """A revoked key is not trusted again by a command that trusts any key."""


@dataclass(frozen=True, slots=True)
class TrustEntry:
    """One key and what it is trusted for.

    Attributes:
        packages: globs of the package names that it may sign.
        roles: ``privileged`` lets it sign set-id files, capabilities and owners other than root; ``hooks`` lets it
            sign commands that are run on this machine.
        status: ``trusted`` or ``revoked``.
        not_before: seconds since 1970, or None.
        not_after: as above; the key counts up to and including this second.
        added: when it was trusted, seconds since 1970.
        key_set: the set of keys that a trust update replaces together; empty for a key that is a set of its own.
        update: version of the trust update that brought it; 0 if a person did.
    """

    key: PublicKey
    packages: tuple[str, ...] = ("*",)
    roles: tuple[str, ...] = (PRIVILEGED,)
    status: str = TRUSTED
    not_before: int | None = None
    not_after: int | None = None
    added: int = 0
    key_set: str = ""
    update: int = 0

    def fault_at(self, now: int) -> str | None:
        """Say why signatures of this key do not count at `now`, or return None."""
        if self.status != TRUSTED:
            return "is revoked"
        clock = f"this machine's clock says {utc_text(now)}"
        if self.not_before is not None and now < self.not_before:
            return f"is not valid yet (from {utc_text(self.not_before)}; {clock})"
        if self.not_after is not None and now > self.not_after:
            return f"has expired (at {utc_text(self.not_after)}; {clock})"
        return None

    def status_at(self, now: int) -> str:
        """Return ``trusted``, ``revoked``, ``expired`` or ``not valid yet``."""
        if self.status == TRUSTED and self.not_after is not None and now > self.not_after:
            return _EXPIRED
        if self.status == TRUSTED and self.not_before is not None and now < self.not_before:
            return _WAITING
        return self.status

    def may_sign(self, package: str) -> bool:
        """Tell whether the package's name is in this key's scope."""
        return _matches(self.packages, package)

    def belongs_to(self, key_set: str) -> bool:
        """Tell whether it is of that set; a key without one is the set of its own fingerprint."""
        return key_set == (self.key_set or self.key.fingerprint)


@dataclass(frozen=True, slots=True)
class Threshold:
    """So many keys have to sign the same bundle.

    Attributes:
        packages: globs of the package names that it holds for.
        signatures: how many different keys, each of which may sign all that is in the package.
    """

    packages: tuple[str, ...]
    signatures: int

    def may_concern(self, globs: Iterable[str]) -> bool:
        """Tell whether a package can exist that it holds for and that one of these globs matches; in doubt, yes."""
        return any(_may_overlap(one, other) for one in self.packages for other in globs)


def _matches(globs: Iterable[str], package: str) -> bool:
    return any(fnmatch.fnmatchcase(package, glob) for glob in globs)


def _may_overlap(one: str, other: str) -> bool:
    first, second = (_WILD.split(glob, maxsplit=1)[0] for glob in (one, other))
    if not _WILD.search(one) and not _WILD.search(other):
        return one == other
    return first.startswith(second) or second.startswith(first)


@dataclass(frozen=True, slots=True)
class TrustStore:
    """All keys that a root knows, and how many of them have to agree."""

    entries: tuple[TrustEntry, ...] = ()
    thresholds: tuple[Threshold, ...] = ()

    def entry(self, blob: bytes) -> TrustEntry | None:
        """Look a key up by its wire format."""
        return next((one for one in self.entries if one.key.blob == blob), None)

    def find(self, fingerprint: str) -> TrustEntry | None:
        """Look a key up by its fingerprint."""
        return next((one for one in self.entries if one.key.fingerprint == fingerprint), None)

    def needed(self, package: str) -> int:
        """Return how many keys have to sign a package: the strictest threshold that holds for it, else one."""
        return max((one.signatures for one in self.thresholds if _matches(one.packages, package)), default=1)

    def needed_for_update(self, globs: Iterable[str]) -> int:
        """Return how many keys of a set have to sign its update: the strictest threshold that may concern its scope."""
        scope = tuple(globs)
        return max((one.signatures for one in self.thresholds if one.may_concern(scope)), default=1)

    def with_entry(self, entry: TrustEntry) -> "TrustStore":
        """Return a store with this entry, in the place of an older one for the same key.

        Raises:
            KeyRevoked: the key was revoked, and would come back.
            UsageError: its scope can match no package name, or its period of validity is empty.
        """
        faults = faults_of_entry(entry)
        if faults:
            raise UsageError(
                "the key cannot be trusted like this",
                path=entry.key.fingerprint,
                details=faults,
                remedy=f"write --packages with names such as editor or editor-*, and times as {TIME_FORMS}",
            )
        known = self.entry(entry.key.blob)
        if known is not None and known.status == REVOKED and entry.status == TRUSTED:
            raise KeyRevoked(
                "this key was revoked here, and a revoked key does not come back by itself",
                path=entry.key.fingerprint,
                remedy="have the publisher make a new key; if the revocation was a mistake, delete the [[key]] table "
                "of this key from var/lib/intact/trust.toml and trust it again",
            )
        others = [one for one in self.entries if one.key.blob != entry.key.blob]
        return replace(self, entries=(*others, entry))

    def revoked(self, fingerprint: str) -> "TrustStore":
        """Return a store in which the key is revoked."""
        entries = (
            replace(one, status=REVOKED) if one.key.fingerprint == fingerprint else one
            for one in self.entries
        )
        return replace(self, entries=tuple(entries))

    def with_threshold(self, threshold: Threshold) -> "TrustStore":
        """Return a store with this threshold, in the place of an older one for the same globs; one signature is none.

        Raises:
            UsageError: it can match no package name, or asks for more signatures than a bundle can have.
        """
        faults = faults_of_threshold(threshold)
        if faults:
            raise UsageError(
                "there can be no such threshold",
                details=faults,
                remedy="write a number of signatures, and --packages with names such as editor or editor-*",
            )
        others = [one for one in self.thresholds if set(one.packages) != set(threshold.packages)]
        new = [threshold] if threshold.signatures > 1 else []
        return replace(self, thresholds=(*others, *new))


def faults_of_entry(entry: TrustEntry) -> list[str]:
    """Name what no entry may be; each fault begins with the key that it is about."""
    faults = _faults_of_globs(entry.packages)
    if entry.not_before is not None and entry.not_after is not None and entry.not_before > entry.not_after:
        faults.append("not_after: is before not_before")
    faults += [
        f"{name}: must be seconds since 1970"
        for name in ("not_before", "not_after")
        if not 0 <= (getattr(entry, name) or 0) <= LATEST
    ]
    if entry.key_set and not _SET.fullmatch(entry.key_set):
        faults.append("set: must be a name such as example.org (letters, digits and . + / : _ @ -)")
    return faults


def faults_of_threshold(threshold: Threshold) -> list[str]:
    """As `faults_of_entry`."""
    faults = _faults_of_globs(threshold.packages)
    if not threshold.packages:
        faults.append("packages: nothing is named")
    if not 1 <= threshold.signatures <= MOST_SIGNATURES:
        faults.append(f"signatures: must be a number from 1 to {MOST_SIGNATURES}")
    return faults


def _faults_of_globs(globs: Iterable[str]) -> list[str]:
    return [f"packages: {glob!r} matches no package name" for glob in globs if not _GLOB.fullmatch(glob)]
