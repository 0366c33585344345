"""Who may let what in: thresholds, scope, roles, time, versions, and how a publisher changes its keys."""

import re
import time
from pathlib import Path

import pytest

from intact.bundle.build import head_frame
from intact.bundle.read import open_bundle
from intact.model.errors import Conflict
from intact.operations.install import install
from intact.operations.prepare import InstallOptions
from intact.operations.root import Environment, open_root
from intact.trust.keys import load_signing_key
from intact.trust.sshsig import TRUST_NAMESPACE
from intact.trust.store_text import parse_store, store_text
from support.bundle_parts import fixed_key
from support.command_line import Desk
from support.json_schema import faults

A, B, C, D = (fixed_key(number) for number in (11, 12, 13, 14))
FIRST_OF_2030 = 1893456000


@pytest.fixture
def several(desk: Desk) -> Desk:
    """A root that trusts two keys, of one set."""
    for name in ("a", "b", "c"):
        desk.good("key", "generate", name)
    for name in ("a", "b"):
        desk.good("key", "trust", f"{name}.pub", "--yes", "--set", "example.org")
    return desk


def fingerprint(desk: Desk, name: str) -> str:
    keys = desk("--json", "key", "list").json["keys"]
    return str(next(one["fingerprint"] for one in keys if one["comment"] == name))


def signed_by(desk: Desk, name: str, version: str, *keys: str, package: str = "") -> str:
    bundle = desk.bundle(name, version, key=keys[0] if keys else "", package=package)
    for key in keys[1:]:
        desk.good("sign", bundle, "--key", key)
    return bundle


# --- SIG-5, SEC-27: how many ------------------------------------------------------------------------------
def test_sig_5_a_threshold_counts_different_trusted_keys(several: Desk) -> None:
    several.good("key", "threshold", "2", "--packages", "app*")
    refused = several("install", signed_by(several, "app", "1", "a"))
    assert refused.code == 3
    assert "1 of the 2 keys that have to sign the package app did" in refused.err
    refused = several("install", signed_by(several, "app", "2", "a", "c"))
    assert (refused.code, "1 of the 2 keys" in refused.err) == (3, True)
    shown = several.good("install", signed_by(several, "app", "3", "a", "b")).out
    assert {fingerprint(several, "a"), fingerprint(several, "b")} == set(re.findall(r"SHA256:\S{43}", shown))
    several.good("install", signed_by(several, "other", "1", "a"))


def test_sig_5_who_may_not_sign_all_of_it_does_not_count(several: Desk) -> None:
    several.good("key", "trust", "b.pub", "--yes", "--no-privileged")
    several.good("key", "threshold", "2")
    source = several.source("app", "1", {"usr/bin/app": "x"}).replace(".toml", "")
    text = (
        (several.place / f"{source}.toml")
        .read_text()
        .replace('path = "usr/bin/app"', 'path = "usr/bin/app"\nmode = "4755"')
    )
    (several.place / f"{source}.toml").write_text(text)
    several.good("build", f"{source}.toml", "-o", "app.tar.zst", "--key", "a", "--key", "b")
    refused = several("install", "app.tar.zst")
    assert (refused.code, "1 of the 2 keys" in refused.err) == (3, True)
    assert f"{fingerprint(several, 'b')} may not sign all of its content" in refused.err


def test_sig_5_an_invalid_signature_by_a_trusted_key_is_fatal_beside_a_right_one(several: Desk) -> None:
    first, second = signed_by(several, "app", "1", "a"), signed_by(several, "app", "2", "b")
    several.good("sign", first, "--key", "b")
    # The signature of another manifest, by a trusted key, in the place of the right one.
    with open_bundle(several.place / first, first) as one, open_bundle(several.place / second, second) as two:
        manifest, head_length = one.manifest_bytes, one.head_length
        signatures = [one.signatures[0], two.signatures[0]]
    payload = (several.place / first).read_bytes()[head_length:]
    with (several.place / "forged.tar.zst").open("wb") as out:
        out.write(head_frame(manifest, signatures))
        out.write(payload)
    refused = several("install", "forged.tar.zst")
    assert (refused.code, "the bundle was altered" in refused.err) == (3, True)


def test_sig_5_signatures_by_strangers_are_ignored_and_listed(several: Desk) -> None:
    bundle = signed_by(several, "app", "1", "c", "a")
    several.good("install", bundle)
    shown = several("--json", "inspect", bundle).json
    assert len(shown["signers"]) == 2
    assert shown["trusted"] is True


def test_sec_27_what_nobody_vouches_for_is_marked_for_ever(several: Desk) -> None:
    bundle = several.bundle("app", "1", key="")
    assert several("install", bundle).code == 3
    shown = several.good("install", "--allow-unsigned", bundle).out
    assert "warning: app was let in UNSIGNED" in shown
    assert "app 1 all  (unsigned)" in several("list").out
    assert "was let in UNSIGNED" in several("history", "1").out
    document = several("--json", "history").json
    assert document["transactions"][0]["signers"] == {"app": []}
    assert "--allow-unsigned" in document["transactions"][0]["command"]


def test_sec_27_too_few_signatures_are_as_good_as_none(several: Desk) -> None:
    several.good("key", "threshold", "2")
    bundle = signed_by(several, "app", "1", "a")
    assert several("install", bundle).code == 3
    assert "was let in UNSIGNED" in several.good("install", "--allow-unsigned", bundle).out


def test_sec_27_who_vouched_is_in_the_receipt_and_in_the_history(several: Desk) -> None:
    several.good("install", signed_by(several, "app", "1", "a"))
    several.good("install", signed_by(several, "app", "2", "b"))
    a, b = fingerprint(several, "a"), fingerprint(several, "b")
    assert f"signed   app by {a}" in several.good("rollback").out
    history = {
        one["transaction"]: one["signers"] for one in several("--json", "history").json["transactions"]
    }
    assert history == {1: {"app": [a]}, 2: {"app": [b]}, 3: {"app": [a]}}
    assert faults(several("--json", "history").json, "history") == []


# --- SEC-30: scope, role, time, revocation ----------------------------------------------------------------
def test_sec_30_nobody_comes_to_be_trusted_by_accident(desk: Desk) -> None:
    desk.good("key", "generate", "key")
    said = desk.process("key", "trust", "key.pub")
    assert (said.code, "SHA256:" in said.err) == (2, True)
    wrong = desk.process("key", "trust", "key.pub", "--fingerprint", "SHA256:" + "A" * 43)
    assert (wrong.code, "this is another key" in wrong.err) == (1, True)
    assert desk("key", "list").out == ""
    own = desk("--json", "key", "generate", "other").json["fingerprint"]
    assert desk.process("key", "trust", "other.pub", "--fingerprint", own).code == 0
    assert own in desk("key", "list").out


@pytest.mark.parametrize(
    ("option", "when", "status", "said"),
    [
        ("--not-after", "2020-12-31", "expired", "has expired (at 2020-12-31T23:59:59Z"),
        ("--not-before", "2999-01-01", "not valid yet", "is not valid yet (from 2999-01-01T00:00:00Z"),
    ],
)
def test_sec_30_a_key_counts_in_its_time_alone(
    option: str, when: str, status: str, said: str, desk: Desk
) -> None:
    desk.good("key", "generate", "key")
    desk.good("key", "trust", "key.pub", "--yes", option, when)
    assert desk("--json", "key", "list").json["keys"][0]["status"] == status
    refused = desk("install", desk.bundle("app", "1"))
    assert (refused.code, said in refused.err) == (3, True)
    assert "this machine's clock says" in refused.err


def test_sec_30_a_revoked_key_counts_nothing_also_on_the_way_back(several: Desk) -> None:
    several.good("install", signed_by(several, "app", "1", "a"))
    several.good("install", signed_by(several, "app", "2", "b"))
    several.good("key", "revoke", fingerprint(several, "a"))
    assert several("install", "--allow-downgrade", "app-1.tar.zst").code == 3
    shown = several.good("rollback").out  # what this machine had is a way back, and it says so
    assert "app 1 comes back, and every key that signed it is revoked by now" in shown


def test_sec_30_one_key_is_shown_with_all_that_is_known_of_it(several: Desk) -> None:
    several.good("key", "trust", "c.pub", "--yes", "--packages", "lib*", "--not-after", "2029-12-31")
    shown = several("key", "show", fingerprint(several, "c")).out
    assert re.search(r"^256 SHA256:\S+ c \(ED25519\)\n  status:      trusted\n  packages:    lib\*\n", shown)
    assert "  valid until: 2029-12-31T23:59:59Z\n" in shown
    assert several("key", "show", "SHA256:x").code == 1


def test_sec_30_a_threshold_that_nobody_can_reach_is_told_at_once(several: Desk) -> None:
    assert "warning" not in several.good("key", "threshold", "2").out
    assert "only 2 may" in several.good("key", "threshold", "3", "--packages", "app").out
    assert "only 1 may" in several.good("key", "revoke", fingerprint(several, "a")).out
    document = several("--json", "key", "list").json
    assert [one["signatures"] for one in document["thresholds"]] == [2, 3]
    several.good("key", "threshold", "1")
    several.good("key", "threshold", "1", "--packages", "app")
    assert several("--json", "key", "list").json["thresholds"] == []


# --- SEC-30: trust updates --------------------------------------------------------------------------------
def update(desk: Desk, version: int, *names: str, signers: tuple[str, ...], **more: str) -> str:
    """Write a trust update for the set example.org, with its signatures beside it."""
    lines = ["format = 1", f'set = "{more.get("key_set", "example.org")}"', f"version = {version}"]
    for name in names:
        line = (desk.place / f"{name}.pub").read_text().strip()
        packages = more.get("packages", '["*"]')
        roles = more.get("roles", '["privileged"]')
        lines += ["[[key]]", f'public_key = "{line}"', f"packages = {packages}", f"roles = {roles}"]
    text = ("\n".join(lines) + "\n").encode()
    name = f"update-{version}-{'-'.join(names)}.toml"
    (desk.place / name).write_bytes(text)
    for number, signer in enumerate(signers, 1):
        armor = load_signing_key(desk.place / signer).sign(text, TRUST_NAMESPACE)
        (desk.place / f"{name}{'' if number == 1 else f'.{number}'}.sig").write_bytes(armor)
    return name


def trusted(desk: Desk) -> set[str]:
    return {
        one["comment"] for one in desk("--json", "key", "list").json["keys"] if one["status"] == "trusted"
    }


def test_sec_30_a_publisher_changes_its_keys(several: Desk) -> None:
    name = update(several, 1, "b", "c", signers=("a", "c"))
    shown = several("--json", "key", "update", name)
    assert (shown.code, faults(shown.json, "key update")) == (0, [])
    assert trusted(several) == {"b", "c"}
    assert several("install", signed_by(several, "app", "1", "a")).code == 3
    several.good("install", signed_by(several, "app", "2", "c"))
    again = several("--json", "key", "update", name).json
    assert again == {"changed": False, "trusted": [], "revoked": []}


def test_sec_30_a_single_key_is_a_set_of_its_own(desk: Desk) -> None:
    for name in ("a", "b"):
        desk.good("key", "generate", name)
    desk.good("key", "trust", "a.pub", "--yes")
    name = update(desk, 1, "b", signers=("a", "b"), key_set=fingerprint(desk, "a"))
    desk.good("key", "update", name)
    assert trusted(desk) == {"b"}


REFUSED_UPDATES: dict[str, tuple[tuple[str, ...], tuple[str, ...], dict[str, str], str]] = {
    "signed by nobody": (("c",), (), {}, "of the old set 0 of 2 keys signed"),
    "signed by the old set alone": (("c",), ("a", "b"), {}, "of the new set 0 of 1 keys signed"),
    "signed by the new set alone": (("c",), ("c",), {}, "of the old set 0 of 2 keys signed"),
    "signed by a stranger": (("c",), ("d", "c"), {}, "which is in neither set"),
    "another set": (("c",), ("a", "c"), {"key_set": "example.com"}, "trusts no key of the set example.com"),
    "a role more": (("c",), ("a", "c"), {"roles": '["privileged", "hooks"]'}, "may not have the role hooks"),
    "an unknown role": (("c",), ("a", "c"), {"roles": '["all"]'}, "unknown role 'all'"),
    "no key": ((), ("a",), {}, "there is none"),
}


@pytest.mark.parametrize("name", REFUSED_UPDATES)
def test_sec_30_a_trust_update_is_refused_whole(name: str, several: Desk) -> None:
    several.good("key", "generate", "d")
    keys, signers, more, says = REFUSED_UPDATES[name]
    before = (several.root / "var/lib/intact/trust.toml").read_bytes()
    refused = several("key", "update", update(several, 1, *keys, signers=signers, **more))
    assert (refused.code, says in refused.err) == (3, True), refused.err
    assert (several.root / "var/lib/intact/trust.toml").read_bytes() == before


def test_sec_30_a_trust_update_gives_no_package_that_the_set_did_not_have(desk: Desk) -> None:
    for name in ("a", "c"):
        desk.good("key", "generate", name)
    desk.good("key", "trust", "a.pub", "--yes", "--packages", "editor*", "--set", "example.org")
    for glob in ("*", "edit*", "?ditor", "[e]ditor*", "vi"):
        name = update(desk, 1, "c", signers=("a", "c"), packages=f'["{glob}"]')
        refused = desk("key", "update", name)
        assert (refused.code, "may not sign" in refused.err) == (3, True), glob
    for version, glob in enumerate(("editor*", "editor-[ab]*", "editor"), 1):
        desk.good(
            "key", "update", update(desk, version, "a", "c", signers=("a", "c"), packages=f'["{glob}"]')
        )
        desk.good("key", "trust", "a.pub", "--yes", "--packages", "editor*", "--set", "example.org")


@pytest.mark.parametrize(
    ("scope", "wanted", "allowed"),
    [
        ("editor", "editox", False),
        ("editor", "editor", True),
        ("e?itor*", "e?itor*", True),
        ("e?itor*", "e?itor-x", False),
        ("[ae]*", "a", False),
        ("*", "kernel", True),
        ("edit*", "edit", True),
    ],
)
def test_sec_30_a_scope_lies_within_another_only_if_that_is_certain(
    scope: str, wanted: str, *, allowed: bool, desk: Desk
) -> None:
    for name in ("a", "c"):
        desk.good("key", "generate", name)
    desk.good("key", "trust", "a.pub", "--yes", "--packages", scope, "--set", "example.org")
    name = update(desk, 1, "c", signers=("a", "c"), packages=f'["{wanted}"]')
    assert desk("key", "update", name).code == (0 if allowed else 3)


def test_sec_30_an_old_trust_update_is_not_taken_again(several: Desk) -> None:
    first = update(several, 1, "a", "b", "c", signers=("a", "c"))
    several.good("key", "update", first)
    several.good("key", "update", update(several, 2, "a", "b", signers=("a", "b")))
    refused = several("key", "update", first)
    assert (refused.code, "are at version 2" in refused.err) == (3, True)
    third = update(several, 3, "a", "b", "c", signers=("a", "c"))
    refused = several("key", "update", third)  # the revoked one stays revoked, whoever signs
    assert (refused.code, "was revoked here" in refused.err) == (3, True)
    assert trusted(several) == {"a", "b"}


def test_sec_30_trusting_a_key_by_hand_does_not_open_the_way_for_an_old_update(several: Desk) -> None:
    first = update(several, 1, "a", "b", signers=("a",))
    several.good("key", "update", first)
    several.good("key", "update", update(several, 2, "a", signers=("a",)))
    several.good("key", "trust", "a.pub", "--yes", "--set", "example.org", "--no-privileged")
    refused = several("key", "update", update(several, 1, "a", signers=("a",), roles="[]", packages='["x"]'))
    assert (refused.code, "are at version 2" in refused.err) == (3, True)


def test_sec_30_a_key_that_is_revoked_while_an_install_waits_for_the_lock_counts_no_more(
    several: Desk,
) -> None:
    bundle = signed_by(several, "app", "1", "a")
    gone = fingerprint(several, "a")
    place, asked = several.root / "var/lib/intact/trust.toml", 0

    def clock() -> int:
        """Is asked when the signatures are checked, and again on the way to the lock."""
        nonlocal asked
        asked += 1
        if asked == 2:
            place.write_bytes(store_text(parse_store(place.read_bytes()).revoked(gone)))
        return int(time.time())

    with (
        open_root(str(several.root)) as root,
        open_bundle(several.place / bundle, bundle) as opened,
        pytest.raises(Conflict, match="the trust store was changed meanwhile"),
    ):
        install(root, [opened], InstallOptions(), Environment(clock=clock))
    assert several("install", bundle).code == 3


def test_sec_30_a_threshold_holds_for_trust_updates(several: Desk) -> None:
    several.good("key", "threshold", "2", "--packages", "kernel*")
    name = update(several, 1, "b", "c", signers=("a", "c"))
    refused = several("key", "update", name)
    assert (refused.code, "of the old set 1 of 2 keys signed, and 2 have to" in refused.err) == (3, True)
    several.good("key", "update", update(several, 2, "b", "c", signers=("a", "b", "c")))


def test_sec_30_an_altered_trust_update_is_refused(several: Desk) -> None:
    name = update(several, 1, "b", "c", signers=("a", "c"))
    place = several.place / name
    good = place.read_bytes()
    place.write_bytes(good.replace(b"version = 1", b"version = 9"))
    refused = several("key", "update", name)
    assert (refused.code, "it was altered" in refused.err) == (3, True)
    for at in range(0, len(good), 7):
        place.write_bytes(good[:at] + bytes([good[at] ^ 2]) + good[at + 1 :])
        assert several("key", "update", name).code == 3
    assert trusted(several) == {"a", "b"}


# --- SEC-31, SIG-8: versions and time ---------------------------------------------------------------------
def test_sec_31_an_older_version_than_was_ever_here_is_refused_also_after_removal(trusting: Desk) -> None:
    trusting.good("install", trusting.bundle("app", "2"))
    trusting.good("remove", "app")
    older = trusting.bundle("app", "1")
    refused = trusting("install", older)
    assert (refused.code, "1 is older than 2, which was here before" in refused.err) == (5, True)
    trusting.good("install", "--allow-downgrade", older)
    assert "--allow-downgrade" in trusting("--json", "history").json["transactions"][0]["command"]


def test_sec_31_what_its_publisher_calls_insecure_does_not_come_back(trusting: Desk) -> None:
    first = trusting.bundle("app", "1")
    trusting.good("install", first)
    trusting.good("install", trusting.bundle("app", "3", package='minimum_secure = "2"'))
    refused = trusting("rollback")
    assert (refused.code, "1 is below 2" in refused.err) == (5, True)
    assert "app 3" in trusting("list").out
    refused = trusting("install", "--allow-downgrade", first)
    assert (refused.code, "say --allow-insecure" in refused.err) == (5, True)
    trusting.good("install", "--allow-downgrade", trusting.bundle("app", "2"))
    trusting.good("remove", "app")
    assert trusting("install", "--allow-downgrade", first).code == 5
    trusting.good("rollback", "2", "--allow-insecure")
    assert "app 1" in trusting("list").out
    trusting.good("remove", "app")
    trusting.good("install", "--allow-insecure", first)


def test_sec_31_the_floor_never_falls(trusting: Desk) -> None:
    trusting.good("install", trusting.bundle("app", "3", package='minimum_secure = "2"'))
    trusting.good("install", trusting.bundle("app", "4", package='minimum_secure = "1"'))
    assert trusting("install", "--allow-downgrade", trusting.bundle("app", "1.5")).code == 5
    assert trusting("recover", "--rebuild").code == 0
    assert trusting("install", "--allow-downgrade", trusting.bundle("app", "1.5")).code == 5


def test_sec_31_a_package_cannot_call_itself_insecure(trusting: Desk) -> None:
    trusting.source("app", "1", {"usr/app": "x"}, 'minimum_secure = "2"')
    refused = trusting("build", "app-1.toml")
    assert (refused.code, "minimum_secure: is above the version of the package itself" in refused.err) == (
        3,
        True,
    )


def test_sig_8_a_bundle_expires_by_what_its_manifest_says(trusting: Desk) -> None:
    late = trusting.bundle("app", "1", package='expires = "2020-12-31"')
    refused = trusting("install", late)
    assert (refused.code, "has expired (at 2020-12-31T23:59:59Z" in refused.err) == (3, True)
    assert "this machine's clock says" in refused.err
    shown = trusting("--json", "inspect", late)
    assert (shown.code, shown.json["trusted"], shown.json["expires"]) == (3, False, 1609459199)
    trusting.good("install", "--allow-expired", late)
    trusting.good("install", trusting.bundle("app", "2", package='expires = "2999-01-01T00:00:00Z"'))


def test_sig_8_time_and_identity_are_those_that_were_signed(trusting: Desk, tmp_path: Path) -> None:
    """Neither the file's name nor its time says anything."""
    bundle = trusting.place / trusting.bundle("app", "1")
    disguised = tmp_path / "kernel-9-all.tar.zst"
    disguised.write_bytes(bundle.read_bytes())
    shown = trusting.good("install", disguised).out
    assert "install  app 1" in shown
    assert int(time.time()) < FIRST_OF_2030  # else the tests above need later dates
