"""Pure. A publisher changes its keys: may this trust update replace a set of keys, and what does the store say then?

    format = 1
    set = "example.org"                  # as the store calls it, or the fingerprint of a single key
    version = 2

    [[key]]                              # the whole new set
    public_key = "ssh-ed25519 AAAA… release-2027@example.org"
    packages = ["editor", "editor-*"]
    roles = ["privileged"]

It counts if enough keys of the old set and enough keys of the new set have signed it (the rule that The Update
Framework has for its root). It can give nobody more than the old set had, and never brings a revoked key back. Each
version is taken once, and none after a higher one.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from intact.model.errors import IntactError, Untrusted
from intact.model.values import dataclass, replace
from intact.trust.keys import PublicKey
from intact.trust.sshsig import TRUST_NAMESPACE, is_valid, parse_signature
from intact.trust.store import REVOKED, TRUSTED, TrustEntry, TrustStore
from intact.trust.store_text import load_toml, number_in, read_keys
from intact.trust.wire import SignatureFault

__all__ = ["MOST_UPDATE_BYTES", "TrustUpdate", "TrustUpdateInvalid", "apply_update", "parse_update"]

FORMAT = 1
MOST_UPDATE_BYTES: Final = 256 << 10
_TOP = frozenset({"format", "set", "version", "key"})
_KEY = frozenset({"public_key", "packages", "roles", "not_before", "not_after"})


class TrustUpdateInvalid(IntactError):
    """The text is no trust update; `details` has every fault."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class TrustUpdate:
    """What a publisher says about its keys; nothing of it is believed before `apply_update`.

    Attributes:
        key_set: the set that it replaces.
        version: grows with each update of the set.
        entries: the whole new set.
    """

    key_set: str
    version: int
    entries: tuple[TrustEntry, ...]


def parse_update(text: bytes, name: str) -> TrustUpdate:
    """Read a trust update.

    Raises:
        TrustUpdateInvalid: with every fault and its place.
    """
    if len(text) > MOST_UPDATE_BYTES:
        raise _invalid(name, [f"it is longer than {MOST_UPDATE_BYTES} bytes"])
    try:
        value = load_toml(text)
    except ValueError as error:
        raise _invalid(name, [str(error)]) from error
    if value.get("format") != FORMAT or type(value["format"]) is not int:  # True == 1
        raise _invalid(name, [f"format: must be {FORMAT}; another one is for another version of pkg"])
    faults = [f"{key}: unknown key" for key in value if key not in _TOP]
    entries = read_keys(value, _KEY, faults)
    key_set = value.get("set")
    if not isinstance(key_set, str) or not key_set:
        faults.append("set: must name the set of keys that is replaced")
    version = number_in(value, "version", "", faults)
    if not version and not faults:
        faults.append("version: must be a whole number from 1 on")
    if not entries and not faults:
        faults.append("key: there is none; to trust nobody any more, use `pkg key revoke`")
    if faults or not isinstance(key_set, str) or version is None:
        raise _invalid(name, faults)
    return TrustUpdate(
        key_set,
        version,
        tuple(replace(one, key_set=key_set, update=version) for one in entries),
    )


def _invalid(name: str, faults: list[str]) -> TrustUpdateInvalid:
    return TrustUpdateInvalid(
        "this is no trust update", path=name, details=faults, remedy="get it again from its publisher"
    )


def apply_update(
    store: TrustStore, text: bytes, signatures: Sequence[bytes], *, now: int, name: str
) -> TrustStore:
    """Return the store after a trust update; the same store if it has been taken already.

    Args:
        text: the document; the signatures are over exactly these bytes.
        signatures: armored, one signer each, in the namespace `TRUST_NAMESPACE`.
        name: of the document, for messages.

    Raises:
        TrustUpdateInvalid: the document breaks its rules.
        Untrusted: too few of those who have to sign did, it is an old one, or it wants more than it may.
    """
    update = parse_update(text, name)
    old = [one for one in store.entries if one.belongs_to(update.key_set) and one.status == TRUSTED]
    if not old:
        raise Untrusted(
            f"this root trusts no key of the set {update.key_set}",
            path=name,
            remedy="`pkg key list` shows the sets; a first key is trusted by hand, with `pkg key trust FILE.pub`",
        )
    signers, reasons = _signers(text, signatures, (*old, *update.entries), name)
    scope = {glob for one in (*old, *update.entries) for glob in one.packages}
    needed = store.needed_for_update(scope)
    _insist_on_signers((signers, reasons), needed, {"old": _counting(old, now), "new": update.entries}, name)
    if all(_as_written(store, one, now) for one in update.entries) and len(old) == len(update.entries):
        return store
    _insist_on_order(update, old, name)
    _insist_on_limits(store, update, old, name)
    return _replaced(store, update, now)


def _signers(
    text: bytes, signatures: Sequence[bytes], known: Iterable[TrustEntry], name: str
) -> tuple[set[bytes], list[str]]:
    """Find which of the known keys signed; a wrong signature by one of them is an attack or damage, and fatal."""
    blobs = {one.key.blob for one in known}
    found: set[bytes] = set()
    reasons = []
    for number, armor in enumerate(signatures, 1):
        place = f"signature {number}"
        try:
            signature = parse_signature(armor, TRUST_NAMESPACE)
        except SignatureFault as fault:
            reasons.append(f"{place}: {fault}")
            continue
        fingerprint = PublicKey(signature.key_blob).fingerprint
        if signature.key_blob not in blobs:
            reasons.append(f"{place}: by {fingerprint}, which is in neither set")
        elif not is_valid(signature, text):
            raise Untrusted(
                f"the signature by {fingerprint} does not fit the trust update: it was altered",
                path=name,
                remedy="do not use this file; get it again from its publisher",
            )
        else:
            found.add(signature.key_blob)
    return found, reasons


def _counting(entries: Iterable[TrustEntry], now: int) -> list[TrustEntry]:
    return [one for one in entries if one.fault_at(now) is None]


def _insist_on_signers(
    signed: tuple[set[bytes], list[str]],
    needed: int,
    sets: Mapping[str, Sequence[TrustEntry]],
    name: str,
) -> None:
    signers, reasons = signed
    faults = []
    for which, entries in sets.items():
        count = len(signers & {one.key.blob for one in entries})
        if count < needed:
            faults.append(f"of the {which} set {count} of {len(entries)} keys signed, and {needed} have to")
    if faults:
        raise Untrusted(
            "too few have signed the trust update",
            path=name,
            details=[*faults, *reasons],
            remedy=f"sign it with: ssh-keygen -Y sign -f KEY -n {TRUST_NAMESPACE.decode()} {shlex.quote(name)}",
        )


def _as_written(store: TrustStore, wanted: TrustEntry, now: int) -> bool:
    known = store.entry(wanted.key.blob)
    return known is not None and replace(known, added=now) == replace(wanted, added=now)


def _insist_on_order(update: TrustUpdate, old: Sequence[TrustEntry], name: str) -> None:
    newest = max(one.update for one in old)
    if update.version <= newest:
        raise Untrusted(
            f"it has version {update.version}, and the keys of {update.key_set} are at version {newest} here",
            path=name,
            remedy="get the newest one from its publisher",
        )


def _insist_on_limits(store: TrustStore, update: TrustUpdate, old: Sequence[TrustEntry], name: str) -> None:
    """An update renews keys; whom this root trusts for what is decided by its administrator."""
    faults = []
    globs = [glob for one in old for glob in one.packages]
    roles = {role for one in old for role in one.roles}
    for one in update.entries:
        faults += [
            f"{one.key.fingerprint}: may not sign {glob}; the set may sign {', '.join(globs) or 'nothing'}"
            for glob in one.packages
            if not _is_within(glob, globs)
        ]
        faults += [
            f"{one.key.fingerprint}: may not have the role {role}, which the set does not have"
            for role in one.roles
            if role not in roles
        ]
        known = store.entry(one.key.blob)
        if known is not None and known.status == REVOKED:
            faults.append(f"{one.key.fingerprint}: was revoked here, and does not come back")
        elif known is not None and not known.belongs_to(update.key_set):
            faults.append(f"{one.key.fingerprint}: belongs to another set here")
    if faults:
        raise Untrusted(
            "the trust update wants more than it may",
            path=name,
            details=faults,
            remedy="if that is right, trust the new keys by hand with `pkg key trust FILE.pub`",
        )


def _is_within(glob: str, limits: Iterable[str]) -> bool:
    """Tell whether every name that `glob` matches is matched by one of the limits; in doubt, no."""
    for limit in limits:
        stem = limit[:-1]
        is_prefix = limit.endswith("*") and not any(mark in stem for mark in "*?[")
        if glob == limit or (is_prefix and glob.startswith(stem)):
            return True
    return False


def _replaced(store: TrustStore, update: TrustUpdate, now: int) -> TrustStore:
    new = {one.key.blob: replace(one, added=now) for one in update.entries}
    entries = []
    for one in store.entries:
        if one.key.blob in new:
            continue
        gone = one.belongs_to(update.key_set) and one.status == TRUSTED
        entries.append(replace(one, status=REVOKED) if gone else one)
    return replace(store, entries=(*entries, *new.values()))
