"""The trust store, and what it lets in."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from intact.model.errors import Untrusted
from intact.model.manifest import PackageIdentity
from intact.model.versions import Version
from intact.trust.approval import ValidSignatures, approve, check_signatures
from intact.trust.keys import SigningKey, generate_key
from intact.trust.store import (
    REVOKED,
    TrustEntry,
    TrustStore,
    TrustStoreInvalid,
    allowed_signers,
    parse_store,
    store_text,
)

MESSAGE = b"manifest"
NOW = 1_700_000_000
HELLO = PackageIdentity("hello", Version("1"), "all")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[SigningKey]:
    place = tmp_path_factory.mktemp("keys")
    return [generate_key(place / f"key{number}", f"key {number}") for number in range(3)]


def _check(
    store: TrustStore, signatures: list[bytes], *, allow_unsigned: bool = False, now: int = NOW
) -> ValidSignatures:
    return check_signatures(MESSAGE, signatures, store, now=now, name="bundle", allow_unsigned=allow_unsigned)


def test_a_trusted_key_lets_a_bundle_in(keys: list[SigningKey]) -> None:
    store = TrustStore().with_entry(TrustEntry(keys[0].public))
    approval = approve(_check(store, [keys[0].sign(MESSAGE)]), HELLO, privileged=True)
    assert approval.signers == (keys[0].public.fingerprint,)
    assert not approval.unsigned


def test_unknown_signatures_beside_a_trusted_one_do_no_harm(keys: list[SigningKey]) -> None:
    store = TrustStore((TrustEntry(keys[0].public),))
    valid = _check(store, [keys[1].sign(MESSAGE), b"nonsense", keys[0].sign(MESSAGE), keys[0].sign(MESSAGE)])
    assert approve(valid, HELLO, privileged=False).signers == (keys[0].public.fingerprint,)


def test_a_wrong_signature_by_a_trusted_key_is_fatal_even_where_unsigned_is_allowed(
    keys: list[SigningKey],
) -> None:
    store = TrustStore((TrustEntry(keys[0].public), TrustEntry(keys[1].public)))
    with pytest.raises(Untrusted, match="altered"):
        _check(store, [keys[1].sign(MESSAGE), keys[0].sign(b"another manifest")], allow_unsigned=True)


FAULTS: dict[str, tuple[Callable[[TrustEntry], TrustEntry], str]] = {
    "revoked": (lambda entry: replace(entry, status=REVOKED), "is revoked"),
    "expired": (lambda entry: replace(entry, not_after=NOW - 1), "has expired"),
    "not yet valid": (lambda entry: replace(entry, not_before=NOW + 1), "not valid yet"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_key_that_does_not_count_is_named_with_the_reason(name: str, keys: list[SigningKey]) -> None:
    spoil, reason = FAULTS[name]
    store = TrustStore((spoil(TrustEntry(keys[0].public)),))
    with pytest.raises(Untrusted, match=reason):
        _check(store, [keys[0].sign(MESSAGE)])


def test_the_borders_of_a_validity_period_are_inside(keys: list[SigningKey]) -> None:
    store = TrustStore((TrustEntry(keys[0].public, not_before=NOW, not_after=NOW),))
    assert _check(store, [keys[0].sign(MESSAGE)]).entries


def test_an_unsigned_bundle_needs_the_word(keys: list[SigningKey]) -> None:
    with pytest.raises(Untrusted, match="not signed"):
        _check(TrustStore(), [])
    approval = approve(_check(TrustStore(), [], allow_unsigned=True), HELLO, privileged=True)
    assert approval.unsigned
    assert approval.signers == ()


def test_a_key_signs_only_within_its_scope(keys: list[SigningKey]) -> None:
    store = TrustStore((TrustEntry(keys[0].public, packages=("hel*", "other")),))
    valid = _check(store, [keys[0].sign(MESSAGE)])
    assert approve(valid, HELLO, privileged=False).signers
    with pytest.raises(Untrusted, match="may sign hel"):
        approve(valid, PackageIdentity("sudo", Version("1"), "all"), privileged=False)


def test_privileged_content_needs_the_role(keys: list[SigningKey]) -> None:
    store = TrustStore((TrustEntry(keys[0].public, roles=()),))
    valid = _check(store, [keys[0].sign(MESSAGE)])
    assert approve(valid, HELLO, privileged=False).signers
    with pytest.raises(Untrusted, match="set-id"):
        approve(valid, HELLO, privileged=True)


def test_a_store_survives_a_round_trip(keys: list[SigningKey]) -> None:
    store = TrustStore(
        (
            TrustEntry(keys[0].public, ("a", "b*"), (), REVOKED, 5, 6, 7),
            TrustEntry(keys[1].public),
        )
    )
    assert parse_store(store_text(store)) == store


def test_revoking_keeps_the_key_in_the_store_and_out_of_the_export(keys: list[SigningKey]) -> None:
    store = TrustStore((TrustEntry(keys[0].public), TrustEntry(keys[1].public))).revoked(
        keys[0].public.fingerprint
    )
    assert [one.status for one in store.entries] == ["revoked", "trusted"]
    exported = allowed_signers(store)
    assert keys[0].public.fingerprint not in exported
    assert keys[1].public.line in exported


def test_trusting_a_key_again_replaces_its_entry(keys: list[SigningKey]) -> None:
    store = TrustStore().with_entry(TrustEntry(keys[0].public)).with_entry(TrustEntry(keys[0].public, ("x",)))
    assert [one.packages for one in store.entries] == [("x",)]


INVALID = {
    "not toml": (b"format = ", "cannot be used"),
    "not utf-8": (b"\xff", "cannot be used"),
    "another format": (b"format = 2\n", "format: must be 1"),
    "an unknown key": (b"format = 1\ncolour = 1\n", "colour: unknown key"),
    "keys that are no tables": (b"format = 1\nkey = 3\n", "must be tables"),
    "a key that is no table": (b"format = 1\nkey = [3]\n", "key[1]: must be a table"),
    "no public key": (b"format = 1\n[[key]]\n", "key[1].public_key"),
    "an unknown role": (b'format = 1\n[[key]]\nroles = ["king"]\n', "unknown role 'king'"),
    "an unknown status": (b'format = 1\n[[key]]\nstatus = "maybe"\n', "key[1].status"),
    "a time that is none": (b"format = 1\n[[key]]\nadded = true\n", "key[1].added"),
    "packages that are no list": (b'format = 1\n[[key]]\npackages = "x"\n', "key[1].packages"),
    "an unknown key of a key": (b"format = 1\n[[key]]\nshape = 1\n", "key[1].shape: unknown key"),
}


@pytest.mark.parametrize("name", INVALID)
def test_a_store_that_breaks_its_rules_is_refused_with_the_place(name: str) -> None:
    text, expected = INVALID[name]
    with pytest.raises(TrustStoreInvalid) as caught:
        parse_store(text)
    assert expected in str(caught.value)
