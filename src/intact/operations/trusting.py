"""Acts. Which keys does this root trust, and how does that change?"""

from dataclasses import replace

from intact.model.errors import IntactError
from intact.operations.root import Environment, Root, change
from intact.state.publishing import publish
from intact.trust.keys import PublicKey
from intact.trust.store import TrustEntry, TrustStore, parse_store, store_text

__all__ = ["UnknownKey", "read_trust_store", "revoke_key", "trust_key"]


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
        entry = store.find(fingerprint)
        if entry is None:
            raise UnknownKey(
                f"the trust store has no key {fingerprint}",
                path=f"/{root.layout.trust_store}",
                remedy="`pkg key list` shows the fingerprints",
            )
        _write(root, store.revoked(fingerprint))
        return entry.key


def _write(root: Root, store: TrustStore) -> None:
    """Replace the trust store by one rename, durably."""
    disk, layout = root.disk, root.layout
    scratch = layout.private / "trust.toml.new"
    if disk.observe(scratch) is not None:
        disk.remove_file(scratch)
    disk.write_durably(scratch, store_text(store), 0o644)
    publish(disk, scratch, layout.trust_store)
