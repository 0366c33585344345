"""Pure. Which keys does a root trust, for what?

The trust store is a TOML file of the root, written by `pkg key trust` and readable by people:

    format = 1

    [[key]]
    public_key = "ssh-ed25519 AAAA… release@example.org"
    packages = ["*"]
    roles = ["privileged"]
    status = "trusted"
    added = 1700000000
"""

import fnmatch
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import tomli

from intact.model.errors import IntactError, UsageError
from intact.trust.keys import KeyFault, PublicKey, parse_public_key
from intact.trust.sshsig import NAMESPACE

__all__ = [
    "HOOKS",
    "PRIVILEGED",
    "KeyRevoked",
    "TrustEntry",
    "TrustStore",
    "TrustStoreInvalid",
    "allowed_signers",
    "parse_store",
    "store_text",
]

FORMAT = 1
PRIVILEGED = "privileged"
HOOKS = "hooks"
TRUSTED, REVOKED = "trusted", "revoked"
_LATEST = 253402300799  # the last second of the year 9999, the last one that dates can be written for
_GLOB = re.compile(r"[a-z0-9+._*?\[\]!-]{1,128}")


class TrustStoreInvalid(IntactError):
    """The trust store breaks its rules; `details` has every fault."""


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
    """

    key: PublicKey
    packages: tuple[str, ...] = ("*",)
    roles: tuple[str, ...] = (PRIVILEGED,)
    status: str = TRUSTED
    not_before: int | None = None
    not_after: int | None = None
    added: int = 0

    def fault_at(self, now: int) -> str | None:
        """Say why signatures of this key do not count at `now`, or return None."""
        if self.status != TRUSTED:
            return "is revoked"
        if self.not_before is not None and now < self.not_before:
            return f"is not valid yet (from {self.not_before}, seconds since 1970)"
        if self.not_after is not None and now > self.not_after:
            return f"has expired (at {self.not_after}, seconds since 1970)"
        return None

    def may_sign(self, package: str) -> bool:
        """Tell whether the package's name is in this key's scope."""
        return any(fnmatch.fnmatchcase(package, glob) for glob in self.packages)


@dataclass(frozen=True, slots=True)
class TrustStore:
    """All keys that a root knows."""

    entries: tuple[TrustEntry, ...] = ()

    def entry(self, blob: bytes) -> TrustEntry | None:
        """Look a key up by its wire format."""
        return next((one for one in self.entries if one.key.blob == blob), None)

    def find(self, fingerprint: str) -> TrustEntry | None:
        """Look a key up by its fingerprint."""
        return next((one for one in self.entries if one.key.fingerprint == fingerprint), None)

    def with_entry(self, entry: TrustEntry) -> "TrustStore":
        """Return a store with this entry, in the place of an older one for the same key.

        Raises:
            KeyRevoked: the key was revoked, and would come back.
            UsageError: its scope can match no package name, or its period of validity is empty.
        """
        faults = _faults_of(entry)
        if faults:
            raise UsageError(
                "the key cannot be trusted like this",
                path=entry.key.fingerprint,
                details=faults,
                remedy="write --packages with names such as editor or editor-*, and times in seconds since 1970",
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
        return TrustStore((*others, entry))

    def revoked(self, fingerprint: str) -> "TrustStore":
        """Return a store in which the key is revoked."""
        return TrustStore(
            tuple(
                replace(one, status=REVOKED) if one.key.fingerprint == fingerprint else one
                for one in self.entries
            )
        )


def store_text(store: TrustStore) -> bytes:
    """Write a trust store."""
    lines = [
        "# The keys that this root trusts. Change it with `pkg key trust` and `pkg key revoke`.",
        f"format = {FORMAT}",
    ]
    for one in store.entries:
        lines += [
            "",
            "[[key]]",
            f"public_key = {_toml(one.key.line)}",
            f"packages = {_toml(list(one.packages))}",
            f"roles = {_toml(list(one.roles))}",
            f"status = {_toml(one.status)}",
        ]
        lines += [f"not_before = {one.not_before}"] if one.not_before is not None else []
        lines += [f"not_after = {one.not_after}"] if one.not_after is not None else []
        lines.append(f"added = {one.added}")
    return ("\n".join(lines) + "\n").encode()


def _toml(value: str | list[str]) -> str:
    """Write JSON that is TOML, too: TOML knows no surrogate pairs, and no DEL that is not escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _faults_of(entry: TrustEntry) -> list[str]:
    faults = [
        f"packages: {glob!r} matches no package name" for glob in entry.packages if not _GLOB.fullmatch(glob)
    ]
    if entry.not_before is not None and entry.not_after is not None and entry.not_before > entry.not_after:
        faults.append("not_after: is before not_before")
    faults += [
        f"{name}: must be seconds since 1970"
        for name in ("not_before", "not_after")
        if not 0 <= (getattr(entry, name) or 0) <= _LATEST
    ]
    return faults


def parse_store(text: bytes) -> TrustStore:
    """Read a trust store.

    Raises:
        TrustStoreInvalid: with every fault and its place.
    """
    try:
        value = tomli.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise _invalid([str(error)]) from error
    if value.get("format") != FORMAT or type(value["format"]) is not int:  # True == 1
        raise _invalid([f"format: must be {FORMAT}; another one is for another version of pkg"])
    faults = [f"{key}: unknown key" for key in value if key not in {"format", "key"}]
    tables = value.get("key", [])
    if not isinstance(tables, list):
        raise _invalid([*faults, "key: must be tables [[key]]"])
    entries: dict[bytes, TrustEntry] = {}
    for number, table in enumerate(tables, 1):
        place = f"key[{number}]"
        entry = _entry(table, place, faults)
        if entry is not None and entry.key.blob in entries:
            faults.append(f"{place}.public_key: {entry.key.fingerprint} is listed twice")
        elif entry is not None:
            entries[entry.key.blob] = entry
    if faults:
        raise _invalid(faults)
    return TrustStore(tuple(entries.values()))


def _invalid(faults: list[str]) -> TrustStoreInvalid:
    return TrustStoreInvalid(
        "the trust store cannot be used",
        details=faults,
        remedy="mend the file, or move it away and trust the keys again with `pkg key trust`",
    )


def _entry(table: Any, place: str, faults: list[str]) -> TrustEntry | None:  # noqa: ANN401  untyped TOML
    if not isinstance(table, dict):
        faults.append(f"{place}: must be a table")
        return None
    known = {"public_key", "packages", "roles", "status", "not_before", "not_after", "added"}
    before = len(faults)
    faults += [f"{place}.{key}: unknown key" for key in table if key not in known]
    key = None
    try:
        key = parse_public_key(str(table.get("public_key", "")))
    except KeyFault as fault:
        faults.append(f"{place}.public_key: {fault}")
    packages = _texts(table, "packages", place, faults)
    roles = _texts(table, "roles", place, faults)
    faults += [f"{place}.roles: unknown role {role!r}" for role in roles if role not in {PRIVILEGED, HOOKS}]
    status = table.get("status", TRUSTED)
    if status not in (TRUSTED, REVOKED):
        faults.append(f"{place}.status: must be trusted or revoked")
    times = {name: _time(table, name, place, faults) for name in ("not_before", "not_after", "added")}
    if key is None or len(faults) > before:
        return None
    entry = TrustEntry(
        key, packages, roles, status, times["not_before"], times["not_after"], times["added"] or 0
    )
    faults += [f"{place}.{fault}" for fault in _faults_of(entry)]
    return entry


def _texts(table: dict[str, Any], name: str, place: str, faults: list[str]) -> tuple[str, ...]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        faults.append(f"{place}.{name}: must be a list of texts")
        return ()
    return tuple(value)


def _time(table: dict[str, Any], name: str, place: str, faults: list[str]) -> int | None:
    value = table.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LATEST:
        faults.append(f"{place}.{name}: must be seconds since 1970")
        return None
    return value


def allowed_signers(store: TrustStore) -> str:
    """Write the trusted keys in the form that `ssh-keygen -Y verify -f` reads; each principal is a fingerprint.

    Scopes of packages and roles have no place in that form. Times need OpenSSH 9.1 or later.
    """
    lines = []
    for one in store.entries:
        if one.status == TRUSTED:
            options = [f'namespaces="{NAMESPACE.decode()}"']
            options += [f'valid-after="{_utc(one.not_before)}"'] if one.not_before is not None else []
            options += [f'valid-before="{_utc(one.not_after)}"'] if one.not_after is not None else []
            lines.append(f"{one.key.fingerprint} {','.join(options)} {one.key.line}\n")
    return "".join(lines)


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y%m%d%H%M%SZ")
