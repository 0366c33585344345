"""Acts. Which keys does this root trust, and how does that change?"""

from collections.abc import Sequence

from intact.model.errors import IntactError
from intact.model.values import replace
from intact.operations.changing import change
from intact.operations.root import Environment, Root
from intact.state.publishing import publish
from intact.trust.keys import PublicKey
from intact.trust.store import Threshold, TrustEntry, TrustStore
from intact.trust.store_text import parse_store, store_text
from intact.trust.update import apply_update

__all__ = [
    "UnknownKey",
    "find_key",
    "read_trust_store",
    "revoke_key",
    "set_threshold",
    "trust_key",
    "update_keys",
]


class UnknownKey(IntactError):
    """The trust store has no such key."""


def read_trust_store(root: Root) -> TrustStore:
    """Read the trust store of a root; an empty one if there is none yet.

    Raises:
        TrustStoreInvalid: it breaks its rules.
    """
    path = root.layout.trust_store
    if root.disk.observe(path) is None:
        return TrustStore()
    return parse_store(root.disk.read_file(path))


def trust_key(root: Root, entry: TrustEntry, environment: Environment) -> bool:
    """Add a key, or change what it is trusted for; return False if nothing changes."""
    with change(root, environment):
        store = read_trust_store(root)
        known = store.entry(entry.key.blob)
        if known is not None and known.key_set == entry.key_set:
            entry = replace(
                entry, update=known.update
            )  # else an older update of the set could be taken again
        if known is not None and replace(known, added=entry.added) == entry:
            return False
        _write(root, store.with_entry(entry))
        return True


def revoke_key(root: Root, fingerprint: str, environment: Environment) -> PublicKey:
    """Stop trusting a key; it stays in the store, so that it is not trusted again by mistake.

    Raises:
        UnknownKey: there is no such key.
    """
    with change(root, environment):
        store = read_trust_store(root)
        entry = find_key(root, store, fingerprint)
        _write(root, store.revoked(fingerprint))
        return entry.key


def find_key(root: Root, store: TrustStore, fingerprint: str) -> TrustEntry:
    """Look a key up by its fingerprint.

    Raises:
        UnknownKey: there is no such key.
    """
    entry = store.find(fingerprint)
    if entry is None:
        raise UnknownKey(
            f"the trust store has no key {fingerprint}",
            path=f"/{root.layout.trust_store}",
            remedy="`pkg key list` shows the fingerprints",
        )
    return entry


def set_threshold(root: Root, threshold: Threshold, environment: Environment) -> bool:
    """Say how many keys have to sign packages; return False if nothing changes."""
    with change(root, environment):
        before = read_trust_store(root)
        after = before.with_threshold(threshold)
        if set(after.thresholds) == set(before.thresholds):
            return False
        _write(root, after)
        return True


def update_keys(
    root: Root, text: bytes, signatures: Sequence[bytes], environment: Environment, *, name: str
) -> tuple[TrustStore, TrustStore]:
    """Take a trust update; return the trust stores before and after it.

    Raises:
        TrustUpdateInvalid, Untrusted: see `trust.update`; the trust store is as it was.
    """
    with change(root, environment):
        before = read_trust_store(root)
        after = apply_update(before, text, signatures, now=environment.clock(), name=name)
        if after != before:
            _write(root, after)
        return before, after


def _write(root: Root, store: TrustStore) -> None:
    """Replace the trust store by one rename, durably."""
    disk, layout = root.disk, root.layout
    scratch = layout.private / "trust.toml.new"
    if disk.observe(scratch) is not None:
        disk.remove_file(scratch)
    disk.write_durably(scratch, store_text(store), 0o644)
    publish(disk, scratch, layout.trust_store)
