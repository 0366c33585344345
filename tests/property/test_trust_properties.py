"""Whatever happens to a signature or a trust store: it means the same, or it is refused."""

from hypothesis import given
from hypothesis import strategies as st

from intact.model.errors import Untrusted
from intact.trust.approval import check_signatures
from intact.trust.keys import PublicKey, parse_public_key
from intact.trust.sshsig import is_valid, parse_signature
from intact.trust.store import PRIVILEGED, TrustEntry, TrustStore
from intact.trust.store_text import TrustStoreInvalid, allowed_signers, parse_store, store_text
from intact.trust.wire import SignatureFault, fields_of
from support.bundle_parts import fixed_key

MESSAGE = b"format = 1\n"
KEYS = [fixed_key(seed) for seed in range(1, 5)]
ARMOR = KEYS[0].sign(MESSAGE)
ORIGINAL = parse_signature(ARMOR)
STORE = TrustStore((TrustEntry(KEYS[0].public),))
LATEST = 253402300799

comments = st.text(max_size=30).map(lambda text: "".join(filter(str.isprintable, text)).strip())
globs = st.text("abcxyz0189+._*?[]!-", min_size=1, max_size=20)
times = st.none() | st.integers(0, LATEST)


@st.composite
def entries(draw: st.DrawFn, key: PublicKey) -> TrustEntry:
    before, after = draw(times), draw(times)
    if before is not None and after is not None and before > after:
        before, after = after, before
    return TrustEntry(
        PublicKey(key.blob, draw(comments)),
        tuple(draw(st.lists(globs, max_size=4))),
        draw(st.sampled_from([(), (PRIVILEGED,)])),
        draw(st.sampled_from(["trusted", "revoked"])),
        before,
        after,
        draw(st.integers(0, LATEST)),
    )


stores = st.tuples(*(entries(key.public) for key in KEYS)).flatmap(
    lambda all_of_them: st.permutations(all_of_them).flatmap(
        lambda mixed: st.integers(0, len(mixed)).map(lambda count: TrustStore(tuple(mixed[:count])))
    )
)


def verdict(armor: bytes) -> bool:
    """Would this signature let the message in? Only the two foreseen refusals may come instead."""
    try:
        check_signatures(MESSAGE, [armor], STORE, now=0, name="b", allow_unsigned=False)
    except Untrusted:
        return False
    return True


@given(st.integers(0, len(ARMOR) - 1), st.integers(0, 255))
def test_no_other_text_is_the_same_signature(at: int, byte: int) -> None:
    mutant = ARMOR[:at] + bytes([byte]) + ARMOR[at + 1 :]
    assert verdict(mutant) == (mutant == ARMOR)


@given(st.integers(0, len(ARMOR)), st.binary(min_size=1, max_size=80))
def test_nothing_can_be_put_into_a_signature(at: int, more: bytes) -> None:
    assert not verdict(ARMOR[:at] + more + ARMOR[at:])


@given(st.integers(0, len(ARMOR)), st.integers(1, len(ARMOR)))
def test_nothing_can_be_taken_out_of_a_signature(at: int, count: int) -> None:
    mutant = ARMOR[:at] + ARMOR[at + count :]
    assert verdict(mutant) == (mutant == ARMOR)


@given(st.permutations(ARMOR.split(b"\n")))
def test_the_lines_have_one_order(lines: list[bytes]) -> None:
    mutant = b"\n".join(lines)
    assert verdict(mutant) == (mutant == ARMOR)


@given(st.binary(max_size=300))
def test_rubbish_is_refused_as_rubbish(rubbish: bytes) -> None:
    try:
        parse_signature(rubbish)
    except SignatureFault:
        return
    raise AssertionError(rubbish)


@given(st.binary(max_size=200), st.integers(0, 6))
def test_fields_are_either_exact_or_refused(blob: bytes, count: int) -> None:
    try:
        fields = fields_of(blob, count)
    except SignatureFault:
        return
    assert b"".join(len(one).to_bytes(4, "big") + one for one in fields) == blob


@given(st.binary(max_size=500), st.binary(max_size=500))
def test_a_signature_fits_its_message_and_no_other(message: bytes, other: bytes) -> None:
    signature = parse_signature(KEYS[1].sign(message))
    assert is_valid(signature, message)
    assert is_valid(signature, other) == (message == other)


@given(comments)
def test_a_public_key_survives_its_line(comment: str) -> None:
    public = PublicKey(ORIGINAL.key_blob, comment)
    assert parse_public_key(public.line) == public


@given(stores)
def test_a_store_survives_being_written(store: TrustStore) -> None:
    assert parse_store(store_text(store)) == store


@given(stores)
def test_trusting_key_after_key_makes_the_same_store(store: TrustStore) -> None:
    made = TrustStore()
    for entry in store.entries:
        made = made.with_entry(entry)
    assert made == store


@given(stores)
def test_the_export_has_one_line_for_each_trusted_key(store: TrustStore) -> None:
    lines = allowed_signers(store).split("\n")[:-1]
    trusted = [entry for entry in store.entries if entry.status == "trusted"]
    assert [line.split(" ")[0] for line in lines] == [entry.key.fingerprint for entry in trusted]


@given(stores, st.integers(0, 4000), st.integers(0, 255))
def test_a_damaged_store_is_another_store_or_refused(store: TrustStore, at: int, byte: int) -> None:
    text = store_text(store)
    mutant = text[:at] + bytes([byte]) + text[at + 1 :]
    try:
        parse_store(mutant)
    except TrustStoreInvalid as error:
        assert error.details  # noqa: PT017  either outcome is fine, another exception is not


@given(stores, st.integers(0, LATEST))
def test_a_revoked_key_never_lets_anything_in(store: TrustStore, now: int) -> None:
    for key in KEYS:
        entry = store.revoked(key.public.fingerprint).entry(key.public.blob)
        assert entry is None or entry.fault_at(now) == "is revoked"
