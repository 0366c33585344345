"""Pure. Do these signatures, under this trust store, let a bundle in?

    signatures ── check_signatures ──► ValidSignatures ── approve ──► Approval

`check_signatures` sees the manifest's bytes only; the manifest is parsed after it. `approve` then holds what the
manifest says against what its signers may sign, and counts them. Both raise or return a proof; neither returns a
truth value.
"""

import shlex
from collections.abc import Sequence
from typing import Final, final

from intact.model.errors import Untrusted
from intact.model.manifest import PackageIdentity
from intact.model.values import InitVar, dataclass
from intact.trust.keys import PublicKey
from intact.trust.sshsig import Signature, is_valid, parse_signature
from intact.trust.store import HOOKS, PRIVILEGED, TrustEntry, TrustStore
from intact.trust.wire import SignatureFault

__all__ = ["Approval", "ValidSignatures", "approve", "check_signatures"]

# Whoever has it makes proofs; it never leaves this module.
_MAKER: Final = object()
_CONTENT: Final = {
    PRIVILEGED: "set-id files, capabilities or special owners",
    HOOKS: "hooks (commands that are run on this machine)",
}


def _refuse_strangers(maker: object) -> None:
    if maker is not _MAKER:
        raise AssertionError("a proof of trust is made by check_signatures and approve alone")


@final
@dataclass(frozen=True, slots=True)
class ValidSignatures:
    """Proof that trusted keys signed these bytes, or that the user let them in unsigned; made by `check_signatures`."""

    name: str
    entries: tuple[TrustEntry, ...]
    allow_unsigned: bool
    maker: InitVar[object] = None

    def __post_init__(self, maker: object) -> None:
        _refuse_strangers(maker)


@final
@dataclass(frozen=True, slots=True)
class Approval:
    """Proof that a bundle may be installed here; made by `approve`.

    Attributes:
        signers: fingerprints of the keys that vouch for it.
        unsigned: the user said --allow-unsigned, and nobody vouches for it.
    """

    signers: tuple[str, ...]
    unsigned: bool
    maker: InitVar[object] = None

    def __post_init__(self, maker: object) -> None:
        _refuse_strangers(maker)


def check_signatures(
    manifest_bytes: bytes,
    signatures: Sequence[bytes],
    store: TrustStore,
    *,
    now: int,
    name: str,
    allow_unsigned: bool,
) -> ValidSignatures:
    """Find the trusted keys that signed exactly these bytes.

    Args:
        signatures: armored, one signer each.
        name: of the bundle, for messages.

    Raises:
        Untrusted: there is none, or a signature that claims to be by a trusted key is wrong.
    """
    valid: dict[bytes, TrustEntry] = {}
    reasons: list[str] = []
    for number, armor in enumerate(signatures, 1):
        place = f"signature {number}"
        try:
            signature = parse_signature(armor)
        except SignatureFault as fault:
            reasons.append(f"{place}: {fault}")
            continue
        entry = store.entry(signature.key_blob)
        reason = _reason_against(signature, entry, manifest_bytes, now, name)
        if entry is not None and reason is None:
            valid[entry.key.blob] = entry
        else:
            reasons.append(f"{place}: {reason}")
    if valid or allow_unsigned:
        return ValidSignatures(name, tuple(valid.values()), allow_unsigned, _MAKER)
    raise _untrusted(name, reasons)


def _reason_against(
    signature: Signature, entry: TrustEntry | None, message: bytes, now: int, name: str
) -> str | None:
    """Say why a signature does not count; a wrong one by a known key is an attack or damage, and fatal."""
    fingerprint = PublicKey(signature.key_blob).fingerprint
    if entry is None:
        return f"by {fingerprint}, a key that this root does not know"
    if not is_valid(signature, message):
        raise Untrusted(
            f"the signature by the known key {fingerprint} does not fit the manifest: the bundle was altered",
            path=name,
            remedy="do not use this file; get it again from its publisher",
        )
    fault = entry.fault_at(now)
    return f"by {fingerprint}, a key that {fault}" if fault is not None else None


def _untrusted(name: str, reasons: list[str]) -> Untrusted:
    if not reasons:
        return Untrusted(
            "the bundle is not signed",
            path=name,
            remedy="have it signed (`pkg sign BUNDLE --key KEY`), or take the risk with --allow-unsigned",
        )
    return Untrusted(
        "no signature of the bundle is by a key that this root trusts",
        path=name,
        details=reasons,
        remedy="if you know the publisher, get the public key from a source you trust and run `pkg key trust FILE.pub`",
    )


def approve(
    valid: ValidSignatures, identity: PackageIdentity, roles: Sequence[str], *, needed: int = 1
) -> Approval:
    """Hold what the manifest says against what its signers may sign.

    Args:
        roles: that the package's content asks of a signer; who does not have them all does not count.
        needed: so many different keys have to vouch for the package.

    Raises:
        Untrusted: too few of the signers may sign this package.
    """
    in_scope = [one for one in valid.entries if one.may_sign(identity.name)]
    able = [one for one in in_scope if set(roles) <= set(one.roles)]
    if len(able) >= needed:
        return Approval(tuple(one.key.fingerprint for one in able), unsigned=False, maker=_MAKER)
    if valid.allow_unsigned and (able or not valid.entries):
        return Approval((), unsigned=True, maker=_MAKER)
    raise _not_enough(valid, identity, roles, (in_scope, able), needed)


def _not_enough(
    valid: ValidSignatures,
    identity: PackageIdentity,
    roles: Sequence[str],
    found: tuple[list[TrustEntry], list[TrustEntry]],
    needed: int,
) -> Untrusted:
    in_scope, able = found
    if not in_scope:
        return Untrusted(
            f"none of its signers may sign the package {identity.name}",
            path=valid.name,
            details=[
                f"{one.key.fingerprint} may sign {', '.join(one.packages) or 'nothing'}"
                for one in valid.entries
            ],
            remedy="if the key may sign it, trust the key again with the whole scope that it shall have: "
            + _trust_again(valid.entries[0], (identity.name,), ()),
        )
    if not able:
        what = " and ".join(_CONTENT[role] for role in roles)
        return Untrusted(
            f"{identity.name} brings {what}, which none of its signers may sign",
            path=valid.name,
            details=[one.key.fingerprint for one in in_scope],
            remedy="if the key may do that: " + _trust_again(in_scope[0], (), roles),
        )
    return Untrusted(
        f"{len(able)} of the {needed} keys that have to sign the package {identity.name} did",
        path=valid.name,
        details=[f"{one.key.fingerprint} may sign it" for one in able]
        + [f"{one.key.fingerprint} may not sign all of its content" for one in in_scope if one not in able],
        remedy="get the bundle signed by a further key (`pkg sign`); `pkg key list` shows the thresholds",
    )


def _trust_again(entry: TrustEntry, packages: Sequence[str], roles: Sequence[str]) -> str:
    """Write the command with all that the key may do then: trusting it again replaces what it was trusted for."""
    words = [f"--packages {shlex.quote(one)}" for one in (*entry.packages, *packages)]
    able = {*entry.roles, *roles}
    if PRIVILEGED not in able:
        words.append("--no-privileged")
    elif PRIVILEGED in roles:
        words.append("--privileged")
    words += ["--hooks"] if HOOKS in able else []
    return f"`pkg key trust {' '.join(['FILE.pub', *words])}`"
