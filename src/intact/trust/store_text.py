"""Pure. How does a trust store stand in its file, and which text is one?

A TOML file of the root, written by `pkg key` and readable by people:

    format = 1

    [[key]]
    public_key = "ssh-ed25519 AAAA… release@example.org"
    packages = ["*"]
    roles = ["privileged"]
    status = "trusted"
    added = 1700000000

    [[threshold]]
    packages = ["kernel*"]
    signatures = 2
"""

import json
from typing import Any

import tomli

from intact.model.errors import IntactError
from intact.model.times import LATEST, utc_text
from intact.trust.keys import KeyFault, parse_public_key
from intact.trust.sshsig import NAMESPACE, TRUST_NAMESPACE
from intact.trust.store import (
    REVOKED,
    ROLES,
    TRUSTED,
    Threshold,
    TrustEntry,
    TrustStore,
    faults_of_entry,
    faults_of_threshold,
)

__all__ = [
    "FORMAT",
    "TrustStoreInvalid",
    "allowed_signers",
    "load_toml",
    "number_in",
    "parse_store",
    "read_keys",
    "store_text",
]

FORMAT = 1
_KEY = frozenset(
    {"public_key", "packages", "roles", "status", "not_before", "not_after", "added", "set", "update"}
)


class TrustStoreInvalid(IntactError):
    """The trust store breaks its rules; `details` has every fault."""


# --- writing ---------------------------------------------------------------------------------------------
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
        lines += [f"set = {_toml(one.key_set)}"] if one.key_set else []
        lines += [f"update = {one.update}"] if one.update else []
    for threshold in store.thresholds:
        lines += [
            "",
            "[[threshold]]",
            f"packages = {_toml(list(threshold.packages))}",
            f"signatures = {threshold.signatures}",
        ]
    return ("\n".join(lines) + "\n").encode()


def _toml(value: str | list[str]) -> str:
    """Write JSON that is TOML, too: TOML knows no surrogate pairs, and no DEL that is not escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def allowed_signers(store: TrustStore) -> str:
    """Write the trusted keys in the form that `ssh-keygen -Y verify -f` reads; each principal is a fingerprint.

    Scopes of packages, roles and thresholds have no place in that form. Times need OpenSSH 9.1 or later.
    """
    namespaces = f'namespaces="{NAMESPACE.decode()},{TRUST_NAMESPACE.decode()}"'
    lines = []
    for one in store.entries:
        if one.status == TRUSTED:
            options = [namespaces]
            options += [f'valid-after="{_digits(one.not_before)}"'] if one.not_before is not None else []
            options += [f'valid-before="{_digits(one.not_after)}"'] if one.not_after is not None else []
            lines.append(f"{one.key.fingerprint} {','.join(options)} {one.key.line}\n")
    return "".join(lines)


def _digits(seconds: int) -> str:
    """``20271231180000Z``, as ssh-keygen wants it."""
    return utc_text(seconds).translate({ord(mark): None for mark in "-:T"})


# --- reading ---------------------------------------------------------------------------------------------
def parse_store(text: bytes) -> TrustStore:
    """Read a trust store.

    Raises:
        TrustStoreInvalid: with every fault and its place.
    """
    try:
        value = load_toml(text)
    except ValueError as error:
        raise _invalid([str(error)]) from error
    if value.get("format") != FORMAT or type(value["format"]) is not int:  # True == 1
        raise _invalid([f"format: must be {FORMAT}; another one is for another version of pkg"])
    faults = [f"{key}: unknown key" for key in value if key not in {"format", "key", "threshold"}]
    entries = read_keys(value, _KEY, faults)
    thresholds = _thresholds(value, faults)
    if faults:
        raise _invalid(faults)
    return TrustStore(entries, thresholds)


def _invalid(faults: list[str]) -> TrustStoreInvalid:
    return TrustStoreInvalid(
        "the trust store cannot be used",
        details=faults,
        remedy="mend the file, or move it away and trust the keys again with `pkg key trust`",
    )


def load_toml(text: bytes) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: it is none.
    """
    try:
        return tomli.loads(text.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_keys(value: dict[str, Any], known: frozenset[str], faults: list[str]) -> tuple[TrustEntry, ...]:
    """Read the tables [[key]] of a document; what is wrong with them is added to `faults`.

    Args:
        known: the keys that such a table may have.
    """
    entries: dict[bytes, TrustEntry] = {}
    for place, table in _tables(value, "key", faults):
        entry = _entry(table, place, known, faults)
        if entry is not None and entry.key.blob in entries:
            faults.append(f"{place}.public_key: {entry.key.fingerprint} is listed twice")
        elif entry is not None:
            entries[entry.key.blob] = entry
    return tuple(entries.values())


def _thresholds(value: dict[str, Any], faults: list[str]) -> tuple[Threshold, ...]:
    found = []
    for place, table in _tables(value, "threshold", faults):
        faults += [f"{place}.{key}: unknown key" for key in table if key not in {"packages", "signatures"}]
        packages = _texts(table, "packages", place, faults)
        number = number_in(table, "signatures", place, faults)
        threshold = Threshold(packages, number or 0)
        faults += [f"{place}.{fault}" for fault in faults_of_threshold(threshold)]
        found.append(threshold)
    return tuple(found)


def _tables(value: dict[str, Any], name: str, faults: list[str]) -> list[tuple[str, dict[str, Any]]]:
    tables = value.get(name, [])
    if not isinstance(tables, list):
        faults.append(f"{name}: must be tables [[{name}]]")
        return []
    found = []
    for number, table in enumerate(tables, 1):
        if isinstance(table, dict):
            found.append((f"{name}[{number}]", table))
        else:
            faults.append(f"{name}[{number}]: must be a table")
    return found


def _entry(table: dict[str, Any], place: str, known: frozenset[str], faults: list[str]) -> TrustEntry | None:
    before = len(faults)
    faults += [f"{place}.{key}: unknown key" for key in table if key not in known]
    key = None
    try:
        key = parse_public_key(str(table.get("public_key", "")))
    except KeyFault as fault:
        faults.append(f"{place}.public_key: {fault}")
    packages = _texts(table, "packages", place, faults)
    roles = _texts(table, "roles", place, faults)
    faults += [f"{place}.roles: unknown role {role!r}" for role in roles if role not in ROLES]
    status = table.get("status", TRUSTED)
    if status not in (TRUSTED, REVOKED):
        faults.append(f"{place}.status: must be trusted or revoked")
    key_set = table.get("set", "")
    if not isinstance(key_set, str):
        faults.append(f"{place}.set: must be a text")
    times = {name: number_in(table, name, place, faults) for name in ("not_before", "not_after", "added")}
    update = number_in(table, "update", place, faults)
    if key is None or len(faults) > before:
        return None
    entry = TrustEntry(
        key,
        packages,
        roles,
        status,
        times["not_before"],
        times["not_after"],
        times["added"] or 0,
        key_set,
        update or 0,
    )
    faults += [f"{place}.{fault}" for fault in faults_of_entry(entry)]
    return entry


def _texts(table: dict[str, Any], name: str, place: str, faults: list[str]) -> tuple[str, ...]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        faults.append(f"{place}.{name}: must be a list of texts")
        return ()
    return tuple(value)


def number_in(table: dict[str, Any], name: str, place: str, faults: list[str]) -> int | None:
    """Read a whole number, such as seconds since 1970; None if it is left out or wrong."""
    value = table.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LATEST:
        at = f"{place}." if place else ""
        what = "a whole number" if name in {"signatures", "update", "version"} else "seconds since 1970"
        faults.append(f"{at}{name}: must be {what}")
        return None
    return value
