"""Who gets a bundle in, who does not, and with which words."""

from dataclasses import replace

import pytest

from intact.model.errors import Untrusted
from intact.model.manifest import PackageIdentity
from intact.model.versions import Version
from intact.trust.approval import Approval, ValidSignatures, approve, check_signatures
from intact.trust.store import HOOKS, PRIVILEGED, TrustEntry, TrustStore
from support.bundle_parts import fixed_key

MANIFEST = b'format = 1\nname = "editor"\n'
NOW = 1000
KEY, OTHER, STRANGER = fixed_key(1), fixed_key(2), fixed_key(3)
TRUSTED = TrustEntry(KEY.public)
STORE = TrustStore((TRUSTED, TrustEntry(OTHER.public)))
EDITOR = PackageIdentity("editor", Version("1.0"), "all")


def check(
    *signatures: bytes, store: TrustStore = STORE, allow_unsigned: bool = False, manifest: bytes = MANIFEST
) -> ValidSignatures:
    return check_signatures(
        manifest, signatures, store, now=NOW, name="editor.tar.zst", allow_unsigned=allow_unsigned
    )


def refused(*signatures: bytes, store: TrustStore = STORE, allow_unsigned: bool = False) -> Untrusted:
    with pytest.raises(Untrusted) as caught:
        check(*signatures, store=store, allow_unsigned=allow_unsigned)
    assert caught.value.path == "editor.tar.zst"
    assert caught.value.remedy
    assert caught.value.exit_code == 3
    return caught.value


def damaged(signature: bytes) -> bytes:
    """The signature with one letter of its last line changed, still well-formed."""
    lines = signature.split(b"\n")
    lines[-3] = (b"A" if lines[-3][:1] != b"A" else b"B") + lines[-3][1:]
    return b"\n".join(lines)


# --- signatures -------------------------------------------------------------------------------------------
def test_a_signature_by_a_trusted_key_is_enough() -> None:
    assert check(KEY.sign(MANIFEST)).entries == (TRUSTED,)


def test_a_key_that_signed_three_times_counts_once() -> None:
    signature = KEY.sign(MANIFEST)
    assert check(signature, signature, signature).entries == (TRUSTED,)


def test_every_trusted_signer_is_named_and_strangers_do_no_harm() -> None:
    valid = check(STRANGER.sign(MANIFEST), OTHER.sign(MANIFEST), b"rubbish", KEY.sign(MANIFEST))
    assert [entry.key for entry in valid.entries] == [OTHER.public, KEY.public]


def test_an_unsigned_bundle_is_refused_with_both_ways_out() -> None:
    error = refused()
    assert error.message == "the bundle is not signed"
    assert "pkg sign" in str(error.remedy)
    assert "--allow-unsigned" in str(error.remedy)


def test_unknown_keys_are_named_and_the_remedy_is_to_trust_one() -> None:
    error = refused(STRANGER.sign(MANIFEST), KEY.sign(MANIFEST), store=TrustStore())
    assert error.details == (
        f"signature 1: by {STRANGER.public.fingerprint}, a key that this root does not know",
        f"signature 2: by {KEY.public.fingerprint}, a key that this root does not know",
    )
    assert "pkg key trust FILE" in str(error.remedy)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (replace(TRUSTED, status="revoked"), "a key that is revoked"),
        (replace(TRUSTED, not_after=NOW - 1), "a key that has expired"),
        (replace(TRUSTED, not_before=NOW + 1), "a key that is not valid yet"),
    ],
    ids=["revoked", "expired", "not yet valid"],
)
def test_a_key_that_does_not_count_now_counts_nothing(entry: TrustEntry, words: str) -> None:
    error = refused(KEY.sign(MANIFEST), store=TrustStore((entry,)))
    (reason,) = error.details
    assert words in reason
    assert KEY.public.fingerprint in reason


@pytest.mark.parametrize("status", ["trusted", "revoked"])
@pytest.mark.parametrize("allow_unsigned", [False, True])
@pytest.mark.parametrize("beside", [(), (OTHER.sign(MANIFEST),)], ids=["alone", "beside a good one"])
def test_a_wrong_signature_by_a_known_key_is_fatal(
    status: str, *, allow_unsigned: bool, beside: tuple[bytes, ...]
) -> None:
    store = TrustStore((replace(TRUSTED, status=status), TrustEntry(OTHER.public)))
    for wrong in (KEY.sign(MANIFEST + b" "), damaged(KEY.sign(MANIFEST))):
        error = refused(*beside, wrong, store=store, allow_unsigned=allow_unsigned)
        assert "was altered" in error.message
        assert KEY.public.fingerprint in error.message


def test_a_wrong_signature_by_a_stranger_is_as_good_as_none() -> None:
    assert check(STRANGER.sign(b"something else"), KEY.sign(MANIFEST)).entries == (TRUSTED,)
    assert "does not know" in refused(STRANGER.sign(b"something else")).details[0]


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (b"", "not exactly one armored SSH signature"),
        (KEY.sign(MANIFEST) * 2, "not exactly one armored SSH signature"),
        (KEY.sign(MANIFEST)[:-40], "not exactly one armored SSH signature"),
        (b"A" * 5000, "longer than 4096 bytes"),
    ],
)
def test_a_signature_that_cannot_be_read_is_told_and_does_not_count(signature: bytes, words: str) -> None:
    error = refused(signature)
    assert error.details[0].startswith("signature 1: ")
    assert words in error.details[0]


def test_a_signature_of_other_bytes_is_not_one_of_these() -> None:
    with pytest.raises(Untrusted, match="altered"):
        check(KEY.sign(MANIFEST), manifest=MANIFEST.replace(b"\n", b"\r\n"))


# --- approval ---------------------------------------------------------------------------------------------
def test_the_approval_names_its_signers() -> None:
    approval = approve(check(KEY.sign(MANIFEST), OTHER.sign(MANIFEST)), EDITOR, (PRIVILEGED,))
    assert approval.signers == (KEY.public.fingerprint, OTHER.public.fingerprint)
    assert not approval.unsigned


@pytest.mark.parametrize(
    "signatures", [(), (STRANGER.sign(MANIFEST),), (b"rubbish",)], ids=["none", "a stranger's", "rubbish"]
)
def test_allowing_unsigned_bundles_lets_them_in_without_signers(signatures: tuple[bytes, ...]) -> None:
    approval = approve(check(*signatures, allow_unsigned=True), EDITOR, (PRIVILEGED,))
    assert approval.signers == ()
    assert approval.unsigned


def test_a_revoked_signer_vouches_for_nothing_even_where_unsigned_is_allowed() -> None:
    store = TrustStore((replace(TRUSTED, status="revoked"),))
    approval = approve(check(KEY.sign(MANIFEST), store=store, allow_unsigned=True), EDITOR, ())
    assert approval.signers == ()
    assert approval.unsigned


def test_a_signed_bundle_is_not_called_unsigned_because_that_was_allowed() -> None:
    approval = approve(check(KEY.sign(MANIFEST), allow_unsigned=True), EDITOR, ())
    assert approval.signers == (KEY.public.fingerprint,)
    assert not approval.unsigned


def signed_under(*entries: TrustEntry, allow_unsigned: bool = False) -> ValidSignatures:
    keys = {KEY.public: KEY, OTHER.public: OTHER}
    signatures = [keys[entry.key].sign(MANIFEST) for entry in entries]
    return check(*signatures, store=TrustStore(entries), allow_unsigned=allow_unsigned)


@pytest.mark.parametrize("allow_unsigned", [False, True])
def test_a_key_may_not_sign_what_lies_outside_its_scope(*, allow_unsigned: bool) -> None:
    valid = signed_under(
        replace(TRUSTED, packages=("lib*",)), TrustEntry(OTHER.public, ()), allow_unsigned=allow_unsigned
    )
    with pytest.raises(Untrusted, match="none of its signers may sign the package editor") as caught:
        approve(valid, EDITOR, ())
    assert caught.value.path == "editor.tar.zst"
    assert caught.value.details == (
        f"{KEY.public.fingerprint} may sign lib*",
        f"{OTHER.public.fingerprint} may sign nothing",
    )
    assert "`pkg key trust FILE.pub --packages 'lib*' --packages editor`" in str(caught.value.remedy)


def test_a_signer_outside_its_scope_is_not_named_beside_one_within() -> None:
    valid = signed_under(replace(TRUSTED, packages=("lib*",)), TrustEntry(OTHER.public, ("edit?r",)))
    assert approve(valid, EDITOR, ()).signers == (OTHER.public.fingerprint,)


def test_special_rights_need_a_signer_who_may_give_them() -> None:
    valid = signed_under(replace(TRUSTED, roles=(), packages=("e*", "x")))
    assert approve(valid, EDITOR, ()).signers == (KEY.public.fingerprint,)
    with pytest.raises(Untrusted, match="set-id files, capabilities or special owners") as caught:
        approve(valid, EDITOR, (PRIVILEGED,))
    assert caught.value.details == (KEY.public.fingerprint,)
    assert "`pkg key trust FILE.pub --packages 'e*' --packages x --privileged`" in str(caught.value.remedy)


def test_only_those_who_may_give_special_rights_are_named_for_them() -> None:
    valid = signed_under(replace(TRUSTED, roles=()), TrustEntry(OTHER.public))
    assert approve(valid, EDITOR, (PRIVILEGED,)).signers == (OTHER.public.fingerprint,)
    assert len(approve(valid, EDITOR, ()).signers) == 2


def test_scope_and_special_rights_must_come_from_one_signer() -> None:
    valid = signed_under(
        replace(TRUSTED, packages=("lib*",)),  # may give rights, to other packages
        replace(TrustEntry(OTHER.public), roles=()),  # may sign the editor, without rights
    )
    with pytest.raises(Untrusted, match="set-id files"):
        approve(valid, EDITOR, (PRIVILEGED,))


# --- proofs -----------------------------------------------------------------------------------------------
def test_nobody_else_can_make_a_proof() -> None:
    with pytest.raises(AssertionError, match="alone"):
        Approval(("SHA256:me",), unsigned=False)
    with pytest.raises(AssertionError, match="alone"):
        ValidSignatures("bundle", (TRUSTED,), allow_unsigned=False)
    with pytest.raises(AssertionError, match="alone"):
        replace(signed_under(TRUSTED), entries=(TrustEntry(STRANGER.public),), maker=None)


def test_hooks_need_a_signer_who_may_sign_them() -> None:
    valid = signed_under(replace(TRUSTED, roles=(HOOKS,)), TrustEntry(OTHER.public))
    assert approve(valid, EDITOR, (HOOKS,)).signers == (KEY.public.fingerprint,)
    with pytest.raises(Untrusted, match=r"special owners and hooks \(commands that are run"):
        approve(valid, EDITOR, (PRIVILEGED, HOOKS))  # each of them may do one half


def test_the_remedy_keeps_what_the_key_could_do_before() -> None:
    valid = signed_under(replace(TRUSTED, roles=()))
    with pytest.raises(Untrusted) as caught:
        approve(valid, EDITOR, (HOOKS,))
    assert "--no-privileged --hooks`" in str(caught.value.remedy)
