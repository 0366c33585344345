"""To whom a process belongs is read from its control group, from the top, where only root has written."""

import pytest

from intact.model.processes import Keeper, KeeperKind
from intact.plan.keepers import keeper_of, remedy_of, restart_obstacle

ID = "0123456789abcdef" * 4
CASES = {
    "a service": ("0::/system.slice/nginx.service", KeeperKind.UNIT, "nginx.service", None),
    "a template": ("0::/system.slice/system-getty.slice/getty@tty1.service", KeeperKind.UNIT, "getty@tty1.service", None),
    "what a unit has made below itself": ("0::/system.slice/a.service/sshd.service", KeeperKind.UNIT, "a.service", None),
    "two hierarchies": ("3:cpu:/x\n1:name=systemd:/system.slice/a.service\n0::/", KeeperKind.UNIT, "a.service", None),
    "the unified one, beside an empty one": ("1:name=systemd:/\n0::/system.slice/b.service", KeeperKind.UNIT, "b.service", None),
    "a user's service": ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", KeeperKind.USER_UNIT, "web.service", 1000),
    "a user's manager": ("0::/user.slice/user-1000.slice/user@1000.service/init.scope", KeeperKind.USER_UNIT, "init.scope", 1000),
    "a login": ("0::/user.slice/user-0.slice/session-3.scope", KeeperKind.SESSION, "session-3.scope", None),
    "init": ("0::/init.scope", KeeperKind.UNIT, "init.scope", None),
    "docker with systemd": (f"0::/system.slice/docker-{ID}.scope", KeeperKind.CONTAINER, "docker 0123456789ab", None),
    "docker without": (f"0::/docker/{ID}", KeeperKind.CONTAINER, "docker 0123456789ab", None),
    "podman": (f"0::/machine.slice/libpod-{ID}.scope/container", KeeperKind.CONTAINER, "podman 0123456789ab", None),
    "kubernetes": (f"0::/kubepods.slice/pod1.slice/cri-containerd-{ID}.scope", KeeperKind.CONTAINER, "cri-containerd 0123456789ab", None),
    "lxc": ("0::/lxc.payload.web/system.slice/nginx.service", KeeperKind.CONTAINER, "lxc web", None),
    "a machine": ("0::/machine.slice/machine-deb.scope", KeeperKind.CONTAINER, "machine deb", None),
    "nspawn": ("0::/machine.slice/systemd-nspawn@deb.service/payload", KeeperKind.UNIT, "systemd-nspawn@deb.service", None),
    "seen from inside": ("0::/../../system.slice/a.service", KeeperKind.UNIT, "a.service", None),
    "nothing": ("0::/", KeeperKind.NOBODY, "", None),
    "no text": ("", KeeperKind.NOBODY, "", None),
    "no control group": ("garbage\n:::\n", KeeperKind.NOBODY, "", None),
    "an option in place of a unit": ("0::/system.slice/--now.service", KeeperKind.NOBODY, "", None),
    "a unit with a blank": ("0::/system.slice/a b.service", KeeperKind.NOBODY, "", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_control_group_tells(name: str) -> None:
    text, kind, unit, user = CASES[name]
    assert keeper_of(text) == Keeper(kind, unit, user)


REMEDIES = {
    "nginx.service": ("systemctl restart nginx.service", True),
    "dbus.service": ("reboot", False),
    "dbus-broker.service": ("reboot", False),
    "user@1000.service": ("reboot", False),
    "init.scope": ("systemctl daemon-reexec", False),
    "getty@tty1.service": ("systemctl restart getty@tty1.service", False),
    "serial-getty@ttyS0.service": ("systemctl restart serial-getty@ttyS0.service", False),
    "gdm.service": ("systemctl restart gdm.service", False),
    "systemd-logind.service": ("systemctl restart systemd-logind.service", False),
    "docker.service": ("systemctl restart docker.service", False),
    "docker-registry.service": ("systemctl restart docker-registry.service", True),
}


@pytest.mark.parametrize("unit", REMEDIES)
def test_some_units_are_not_for_us_to_restart(unit: str) -> None:
    remedy, is_ours = REMEDIES[unit]
    keeper = Keeper(KeeperKind.UNIT, unit)
    assert (remedy_of(keeper, 7), restart_obstacle(keeper) is None) == (remedy, is_ours)


def test_the_unit_in_which_pkg_runs_is_not_for_us_to_restart() -> None:
    own = Keeper(KeeperKind.UNIT, "web.service")
    assert "this pkg runs in it" in str(restart_obstacle(own, own))
    assert restart_obstacle(own, Keeper(KeeperKind.UNIT, "cron.service")) is None
    assert remedy_of(own, 7) == "systemctl restart web.service"


def test_whoever_is_no_unit_is_named_with_what_to_do() -> None:
    user = Keeper(KeeperKind.USER_UNIT, "web.service", 1000)
    assert remedy_of(user, 7) == "systemctl --user restart web.service (as user 1000)"
    assert remedy_of(Keeper(KeeperKind.CONTAINER, "docker 0123"), 7) == "restart the container docker 0123"
    assert remedy_of(Keeper(KeeperKind.NOBODY), 7) == "end and start it again (process 7)"
    assert remedy_of(Keeper(KeeperKind.NOBODY), 1) == "systemctl daemon-reexec"
    assert all(restart_obstacle(one) for one in (user, Keeper(KeeperKind.NOBODY)))
