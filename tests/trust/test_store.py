"""The trust store: a closed text form, all faults at once, and what an entry allows."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest
import tomli

from intact.model.errors import UsageError
from intact.trust.keys import PublicKey
from intact.trust.store import PRIVILEGED, KeyRevoked, TrustEntry, TrustStore
from intact.trust.store_text import TrustStoreInvalid, allowed_signers, parse_store, store_text
from support.bundle_parts import fixed_key

ONE, TWO = fixed_key(1).public, fixed_key(2).public
FULL = TrustEntry(ONE, ("editor", "editor-*"), (PRIVILEGED,), "trusted", 100, 200, 50)


def text(*tables: str, head: str = "format = 1") -> bytes:
    return "\n".join([head, *(f"[[key]]\n{table}" for table in tables)]).encode()


def minimal(key: PublicKey = ONE) -> str:
    return f'public_key = "{key.line}"\n'


def faults(written: bytes) -> tuple[str, ...]:
    with pytest.raises(TrustStoreInvalid) as caught:
        parse_store(written)
    assert caught.value.remedy
    return caught.value.details


STORES = {
    "empty": TrustStore(),
    "defaults": TrustStore((TrustEntry(ONE),)),
    "everything": TrustStore((FULL,)),
    "two keys, one revoked": TrustStore((FULL, TrustEntry(TWO, status="revoked"))),
    "nothing allowed": TrustStore((TrustEntry(ONE, (), ()),)),
    "comment beyond the basic plane": TrustStore((TrustEntry(PublicKey(ONE.blob, 'k \U0001f511 "\\ é')),)),
    "latest time": TrustStore((TrustEntry(ONE, not_after=253402300799),)),
}


@pytest.mark.parametrize("name", STORES)
def test_a_store_is_written_and_read_back(name: str) -> None:
    written = store_text(STORES[name])
    assert parse_store(written) == STORES[name]
    assert tomli.loads(written.decode())["format"] == 1
    assert store_text(parse_store(written)) == written


def test_a_store_is_readable_by_people() -> None:
    assert store_text(TrustStore((FULL,))).decode().splitlines() == [
        "# The keys that this root trusts. Change it with `pkg key trust` and `pkg key revoke`.",
        "format = 1",
        "",
        "[[key]]",
        f'public_key = "{ONE.line}"',
        'packages = ["editor", "editor-*"]',
        'roles = ["privileged"]',
        'status = "trusted"',
        "not_before = 100",
        "not_after = 200",
        "added = 50",
    ]


def test_what_is_left_out_allows_nothing() -> None:
    (entry,) = parse_store(text(minimal())).entries
    assert entry == TrustEntry(ONE, (), (), added=0)
    assert not entry.may_sign("hello")


# --- faults -----------------------------------------------------------------------------------------------
WRONG = {
    "no format": (text(head=""), ["format: must be 1"]),
    "newer format": (text(minimal(), head="format = 2\nnew = 1"), ["format: must be 1"]),
    "format true": (text(head="format = true"), ["format: must be 1"]),
    "format 1.0": (text(head="format = 1.0"), ["format: must be 1"]),
    "format as text": (text(head='format = "1"'), ["format: must be 1"]),
    "unknown key on top": (text(head="format = 1\nlimit = 2"), ["limit: unknown key"]),
    "key is a table": (b"format = 1\n[key]\n", ["key: must be tables"]),
    "key is a list of numbers": (b"format = 1\nkey = [1]\n", ["key[1]: must be a table"]),
    "no public key": (text("added = 1"), ["key[1].public_key: a public key is one line"]),
    "public key is a number": (text("public_key = 3"), ["key[1].public_key:"]),
    "rsa": (text('public_key = "ssh-rsa AAAA"'), ["key[1].public_key: the key is of kind 'ssh-rsa'"]),
    "unknown key below": (text(minimal() + "scope = 1"), ["key[1].scope: unknown key"]),
    "packages as text": (text(minimal() + 'packages = "*"'), ["key[1].packages: must be a list"]),
    "packages with numbers": (text(minimal() + "packages = [1]"), ["key[1].packages: must be a list"]),
    "packages with an empty glob": (text(minimal() + 'packages = [""]'), ["key[1].packages: must be"]),
    "glob with a capital": (text(minimal() + 'packages = ["Ed*"]'), ["key[1].packages: 'Ed*' matches no"]),
    "glob with a slash": (text(minimal() + 'packages = ["a/*"]'), ["key[1].packages: 'a/*' matches no"]),
    "unknown role": (text(minimal() + 'roles = ["hook"]'), ["key[1].roles: unknown role 'hook'"]),
    "roles as table": (text(minimal() + "roles = {}"), ["key[1].roles: must be a list"]),
    "unknown status": (text(minimal() + 'status = "maybe"'), ["key[1].status: must be trusted or revoked"]),
    "status as list": (text(minimal() + "status = []"), ["key[1].status: must be trusted or revoked"]),
    "time as text": (text(minimal() + 'added = "now"'), ["key[1].added: must be seconds"]),
    "time true": (text(minimal() + "added = true"), ["key[1].added: must be seconds"]),
    "time with a fraction": (text(minimal() + "not_after = 1.5"), ["key[1].not_after: must be seconds"]),
    "time as date": (text(minimal() + "not_after = 2030-01-01"), ["key[1].not_after: must be seconds"]),
    "time before 1970": (text(minimal() + "not_before = -1"), ["key[1].not_before: must be seconds"]),
    "time after 9999": (text(minimal() + "not_after = 253402300800"), ["key[1].not_after: must be"]),
    "no such period": (
        text(minimal() + "not_before = 9\nnot_after = 8"),
        ["key[1].not_after: is before not_before"],
    ),
    "one key twice": (
        text(minimal() + 'status = "revoked"', minimal() + 'packages = ["*"]'),
        [f"key[2].public_key: {ONE.fingerprint} is listed twice"],
    ),
    "not TOML": (b"format = ", ["Invalid value"]),
    "not UTF-8": (b"format = 1 # \xff", ["utf-8"]),
    "a number of 5000 digits": (b"format = " + b"9" * 5000, ["digits"]),
    "nested too deeply": (b"format = 1\nkey = " + b"[" * 5000, [""]),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_fault_is_told_with_its_place(name: str) -> None:
    written, expected = WRONG[name]
    found = faults(written)
    assert len(found) == len(expected)
    assert all(want in got for want, got in zip(expected, found, strict=True)), found


def test_all_faults_are_told_at_once() -> None:
    found = faults(
        text(
            'public_key = "x"\nstatus = "?"\nroles = ["a", "b"]',
            minimal() + 'packages = ["A", "B"]\nx = 1\nadded = -1',
            minimal(TWO) + 'packages = ["A", "B"]',
            head="format = 1\nextra = 1",
        )
    )
    places = [one.partition(":")[0] for one in found]
    assert places == [
        "extra",
        "key[1].public_key",
        "key[1].roles",
        "key[1].roles",
        "key[1].status",
        "key[2].x",
        "key[2].added",
        "key[3].packages",
        "key[3].packages",
    ]


# --- what an entry allows ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("not_before", "not_after", "now", "fault"),
    [
        (None, None, 0, None),
        (100, None, 99, "is not valid yet"),
        (100, None, 100, None),
        (None, 200, 200, None),
        (None, 200, 201, "has expired"),
        (0, None, 0, None),
        (None, 0, 1, "has expired"),
    ],
)
def test_a_key_counts_from_its_first_second_to_its_last(
    not_before: int | None, not_after: int | None, now: int, fault: str | None
) -> None:
    found = TrustEntry(ONE, not_before=not_before, not_after=not_after).fault_at(now)
    assert (found or "").startswith(fault or "")
    assert (found is None) == (fault is None)


def test_a_revoked_key_is_called_revoked_whatever_the_time() -> None:
    assert replace(FULL, status="revoked").fault_at(150) == "is revoked"
    assert replace(FULL, status="revoked").fault_at(999) == "is revoked"


@pytest.mark.parametrize(
    ("globs", "package", "allowed"),
    [
        (("*",), "anything", True),
        (("editor",), "editor", True),
        (("editor",), "editors", False),
        (("editor",), "my-editor", False),
        (("editor-*",), "editor-", True),
        (("editor-*",), "editor", False),
        (("lib[ab]",), "libb", True),
        (("lib?",), "libxy", False),
        (("a", "b"), "b", True),
        ((), "a", False),
    ],
)
def test_the_scope_is_whole_names_by_glob(globs: tuple[str, ...], package: str, *, allowed: bool) -> None:
    assert TrustEntry(ONE, globs).may_sign(package) is allowed


# --- changing a store -------------------------------------------------------------------------------------
def test_a_key_is_found_by_what_it_is_not_by_what_it_is_called() -> None:
    store = TrustStore((TrustEntry(ONE), TrustEntry(TWO)))
    assert store.entry(TWO.blob) == store.find(TWO.fingerprint) == TrustEntry(TWO)
    assert store.entry(b"") is None
    assert store.find(TWO.comment) is None


def test_a_new_entry_takes_the_place_of_the_old_one_of_the_same_key() -> None:
    renamed = TrustEntry(PublicKey(ONE.blob, "renamed"), ("a",))
    store = TrustStore((TrustEntry(ONE), TrustEntry(TWO))).with_entry(renamed)
    assert store.entries == (TrustEntry(TWO), renamed)


def test_a_revoked_key_stays_known_and_the_others_stay_as_they_are() -> None:
    store = TrustStore((FULL, TrustEntry(TWO))).revoked(ONE.fingerprint)
    assert store.entries == (replace(FULL, status="revoked"), TrustEntry(TWO))


def test_a_revoked_key_does_not_come_back_by_being_trusted_again() -> None:
    store = TrustStore((FULL,)).revoked(ONE.fingerprint)
    with pytest.raises(KeyRevoked) as caught:
        store.with_entry(TrustEntry(PublicKey(ONE.blob, "under another comment")))
    assert caught.value.path == ONE.fingerprint
    assert "trust.toml" in str(caught.value.remedy)
    assert store.with_entry(replace(FULL, status="revoked", packages=())).entries[0].packages == ()


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (TrustEntry(ONE, ("UPPER",)), "packages: 'UPPER'"),
        (TrustEntry(ONE, ("\udcff",)), r"packages: '\udcff'"),
        (TrustEntry(ONE, ("a\nb",)), r"packages: 'a\nb'"),
        (TrustEntry(ONE, not_before=2, not_after=1), "not_after: is before"),
        (TrustEntry(ONE, not_after=-1), "not_after: must be seconds"),
        (TrustEntry(ONE, not_after=10**12), "not_after: must be seconds"),
    ],
)
def test_what_could_not_be_read_back_is_not_let_in(entry: TrustEntry, fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrustStore().with_entry(entry)
    assert caught.value.details[0].startswith(fault)
    assert caught.value.remedy


# --- export -----------------------------------------------------------------------------------------------
def test_the_export_names_trusted_keys_with_namespace_and_time() -> None:
    store = TrustStore((FULL, TrustEntry(TWO, status="revoked")))
    assert allowed_signers(store) == (
        f'{ONE.fingerprint} namespaces="pkg-manifest-v1@intact,pkg-trust-v1@intact",'
        f'valid-after="19700101000140Z",valid-before="19700101000320Z" {ONE.line}\n'
    )
    assert allowed_signers(TrustStore()) == ""


def test_the_export_is_in_utc_wherever_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    before = allowed_signers(TrustStore((FULL,)))
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert allowed_signers(TrustStore((FULL,))) == before
    time.tzset()


def test_the_trust_layer_loads_without_the_slow_library() -> None:
    script = "import sys, intact.trust.approval; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
