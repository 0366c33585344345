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
from dataclasses import dataclass, replace
from typing import Any

import tomli

from intact.model.errors import IntactError
from intact.trust.keys import KeyFault, PublicKey, parse_public_key

__all__ = [
    "PRIVILEGED",
    "TrustEntry",
    "TrustStore",
    "TrustStoreInvalid",
    "allowed_signers",
    "parse_store",
    "store_text",
]

FORMAT = 1
PRIVILEGED = "privileged"
TRUSTED, REVOKED = "trusted", "revoked"
_LATEST = 2**53


class TrustStoreInvalid(IntactError):
    """The trust store breaks its rules; `details` has every fault."""


@dataclass(frozen=True, slots=True)
class TrustEntry:
    """One key and what it is trusted for.

    Attributes:
        packages: globs of the package names that it may sign.
        roles: ``privileged`` lets it sign set-id files, capabilities and owners other than root.
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
        """Return a store with this entry, in the place of an older one for the same key."""
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
            f"public_key = {json.dumps(one.key.line)}",
            f"packages = {json.dumps(list(one.packages))}",
            f"roles = {json.dumps(list(one.roles))}",
            f"status = {json.dumps(one.status)}",
        ]
        lines += [f"not_before = {one.not_before}"] if one.not_before is not None else []
        lines += [f"not_after = {one.not_after}"] if one.not_after is not None else []
        lines.append(f"added = {one.added}")
    return ("\n".join(lines) + "\n").encode()


def parse_store(text: bytes) -> TrustStore:
    """Read a trust store.

    Raises:
        TrustStoreInvalid: with every fault and its place.
    """
    try:
        value = tomli.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise _invalid([str(error)]) from error
    faults = [f"{key}: unknown key" for key in value if key not in {"format", "key"}]
    if value.get("format") != FORMAT:
        faults.append(f"format: must be {FORMAT}")
    tables = value.get("key", [])
    if not isinstance(tables, list):
        raise _invalid([*faults, "key: must be tables [[key]]"])
    entries = [_entry(table, f"key[{number}]", faults) for number, table in enumerate(tables, 1)]
    if faults:
        raise _invalid(faults)
    return TrustStore(tuple(one for one in entries if one is not None))


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
    faults += [f"{place}.roles: unknown role {role!r}" for role in roles if role != PRIVILEGED]
    status = table.get("status", TRUSTED)
    if status not in {TRUSTED, REVOKED}:
        faults.append(f"{place}.status: must be trusted or revoked")
    times = {name: _time(table, name, place, faults) for name in ("not_before", "not_after", "added")}
    if key is None or len(faults) > before:
        return None
    return TrustEntry(
        key, packages, roles, status, times["not_before"], times["not_after"], times["added"] or 0
    )


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
    """Write the trusted keys in the form that `ssh-keygen -Y verify -f` reads."""
    lines = []
    for one in store.entries:
        if one.status == TRUSTED:
            principal = one.key.fingerprint
            lines.append(f'{principal} namespaces="pkg-manifest-v1@intact" {one.key.line}\n')
    return "".join(lines)
