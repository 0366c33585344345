"""Pure. Which unit or container does a process belong to, and how is it started anew?

The control group tells, read from the top: what stands there has been made by the service manager or the container
engine. What stands below a unit may have been named by whoever the unit was delegated to, so it is never looked at.
The manager of a user (``user@1000.service``) is the one exception: its units are told as that user's, for people to
read, and nothing is ever done with their names.
"""

import re

from intact.model.processes import Keeper, KeeperKind

__all__ = ["keeper_of", "remedy_of", "restart_obstacle"]

_CONTAINER_SCOPE = re.compile(
    r"(docker|libpod|crio|cri-containerd|nerdctl)-(?:conmon-)?([0-9a-f]{12})[0-9a-f]{52}\.scope"
)
_MACHINE_SCOPE = re.compile(r"machine-(.+)\.scope")
_LXC = re.compile(r"lxc\.payload\.(.+)")
_ID = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}")
_USER_MANAGER = re.compile(r"user@(\d+)\.service")
_UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*\.(service|socket|mount|swap)")
_NOBODY = Keeper(KeeperKind.NOBODY)
_ENGINES = {"docker": "docker", "libpod": "podman", "lxc": "lxc"}

_MANAGERS_OF_OTHERS = re.compile(r"dbus(-broker)?\.service|user@\d+\.service|init\.scope")
# Restarting what somebody has logged in by ends what that person is doing.
_SESSIONS = re.compile(
    r"((serial-|console-|container-)?getty|autovt)(@.+)?\.service|systemd-logind\.service"
    r"|(display-manager|gdm3?|sddm|kdm|lightdm|lxdm|xdm|wdm|nodm|slim|ly|greetd)\.service"
    r"|user-runtime-dir@\d+\.service|emergency\.service|rescue\.service"
)
_ENGINES_THAT_END_CONTAINERS = re.compile(r"(docker|lxcfs)\.service")
_NEVER = (
    (_MANAGERS_OF_OTHERS, "restarting it would end what depends on it; reboot when it suits"),
    (
        _SESSIONS,
        "restarting it would end who is logged in by it; end these sessions, or reboot when it suits",
    ),
    (_ENGINES_THAT_END_CONTAINERS, "restarting it would end its containers; do it when that suits"),
)


def keeper_of(control_groups: str) -> Keeper:
    """Read the text of ``/proc/PID/cgroup``.

    The line of systemd's own hierarchy counts, or that of the unified one (``0::``, cgroups(7)).
    """
    paths: dict[str, str] = {}
    for line in control_groups.split("\n"):
        _, controllers, where = (*line.split(":", 2), "", "", "")[:3]
        paths.setdefault(controllers, where)
    path = next((paths[one] for one in ("name=systemd", "") if paths.get(one, "/") != "/"), "")
    parts = [one for one in path.split("/") if one not in {"", ".."}]
    for number, part in enumerate(parts):
        above = parts[number - 1] if number else ""
        found = _keeper(part, above, parts[number + 1 :])
        if found is not None:
            return found
    return _NOBODY


def _keeper(part: str, above: str, below: list[str]) -> Keeper | None:
    if container := _container(part, above):
        return Keeper(KeeperKind.CONTAINER, container)
    if found := _USER_MANAGER.fullmatch(part):
        own = next((one for one in below if one.endswith((".service", ".scope"))), None)
        return (
            Keeper(KeeperKind.UNIT, part) if own is None else Keeper(KeeperKind.USER_UNIT, own, int(found[1]))
        )
    if _UNIT.fullmatch(part) or part == "init.scope":
        return Keeper(KeeperKind.UNIT, part)
    return Keeper(KeeperKind.SESSION, part) if part.endswith(".scope") else None


def _container(part: str, above: str) -> str:
    """Name the engine and the container, or nothing."""
    if found := _CONTAINER_SCOPE.fullmatch(part):
        return f"{_ENGINES.get(found[1], found[1])} {found[2]}"
    if found := _ID.fullmatch(part):
        return f"{_ENGINES.get(above, above)} {found[1]}".strip()
    if found := _MACHINE_SCOPE.fullmatch(part):
        return f"machine {found[1]}"
    if found := _LXC.fullmatch(part):
        return f"lxc {found[1]}"
    return f"lxc {part}" if above == "lxc" else ""


def restart_obstacle(keeper: Keeper, own: Keeper = _NOBODY) -> str | None:
    """Say why this cannot be restarted by us; None if it can.

    Args:
        own: who keeps this very pkg running.
    """
    if keeper.kind is not KeeperKind.UNIT:
        return "it is no unit of the system"
    if keeper == own:
        return "this pkg runs in it, and would end with it; restart it from outside"
    return next((why for units, why in _NEVER if units.fullmatch(keeper.name)), None)


def remedy_of(keeper: Keeper, pid: int) -> str:
    """Say how a process gets the new files; a command where there is one."""
    if keeper.name == "init.scope" or pid == 1:
        return "systemctl daemon-reexec"
    match keeper.kind:
        case KeeperKind.UNIT if not _MANAGERS_OF_OTHERS.fullmatch(keeper.name):
            return f"systemctl restart {keeper.name}"
        case KeeperKind.UNIT:
            return "reboot"
        case KeeperKind.USER_UNIT if keeper.name.endswith(".service"):
            return f"systemctl --user restart {keeper.name} (as user {keeper.user})"
        case KeeperKind.CONTAINER:
            return f"restart the container {keeper.name}"
        case KeeperKind.SESSION | KeeperKind.USER_UNIT:
            return f"end and start it again (process {pid}, session {keeper.name})"
        case _:
            return f"end and start it again (process {pid})"
