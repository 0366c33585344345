"""Acts. An errno in place of a system call, once or from then on, at every call that `pkg` makes."""

import errno
from collections import Counter

from intact.model.errors import UNCHANGED
from proof.examine import all_or_nothing, half_done, is_at
from proof.kills import recovery_of
from proof.listener import Call
from proof.stage import Stage
from proof.supervise import CONTINUE, Ended, Policy, count_calls, run_pkg, supervised
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop

__all__ = [
    "CAUSES_WITHOUT_ERRNO",
    "ERRNOS",
    "fail_at",
    "false_claims",
    "faults_of_message",
    "states",
    "try_fault",
]

ERRNOS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE", "EINTR", "EACCES")
_CRASHED = 70
CAUSES_WITHOUT_ERRNO = ("SQLite: ", "database disk image is malformed")  # SQLite keeps the errno to itself
_NEEDS_RECOVERY = 6
_HOOK_FAILED = 8


def fail_at(number: int, name: str, *, forever: bool) -> Policy:
    """Fail call `number` with the errno of this name, once or from then on."""
    value = getattr(errno, name)

    def policy(count: int, _call: Call) -> int:
        return value if count == number or (forever and count > number) else CONTINUE

    return policy


def states(stage: Stage) -> list[str]:
    """Name each fault: errno, once or forever, number of the call."""
    count = len(count_calls(stage.command(stage.copy("count")), stage.place, looking=True))
    return [
        f"{name}-{how}-{number}"
        for name in ERRNOS
        for how in ("once", "forever")
        if (name, how) != ("EINTR", "forever")  # a call that is interrupted for ever is no fault, but a stop
        for number in range(1, count + 1)
    ]


def try_fault(scene: Scene, stage: Stage, state: str) -> Verdict:
    """Fail, look, recover without the fault, look."""
    name, how, number = state.split("-")
    workshop = stage.copy("failed")
    policy = fail_at(int(number), name, forever=how == "forever")
    ended = supervised(stage.command(workshop), stage.place, policy, looking=True)
    found = [
        *half_done(workshop, stage.expected, may_blink=stage.may_blink),
        # A fault that has passed by then, SQLite keeps to itself.
        *faults_of_message(ended, name, *(CAUSES_WITHOUT_ERRNO if how == "once" else ())),
    ]
    found += false_claims(ended, workshop, stage)
    # Tidying up is a courtesy: what could not be deleted is told, and deleted by the next command.
    recovered = run_pkg(recovery_of(workshop), stage.place)
    if recovered.code != 0:
        found.append(f"`pkg recover` ended with {recovered.code}: {recovered.said.strip()}")
    if ended.code == 0:
        outcome, more = all_or_nothing(workshop, stage.expected)
        if outcome == "old" and stage.expected.old != stage.expected.new:
            more.append("exit code 0, but nothing was done")
    else:
        outcome, more = all_or_nothing(workshop, stage.expected)
        outcome = f"failed, {outcome}"
    return Verdict(scene, state, 1, Counter([outcome]), (*found, *more))


def faults_of_message(ended: Ended, name: str, *others: str) -> list[str]:
    """Say what is wrong with what was said; one of the names has to be in it."""
    if ended.hung:
        return ["it hung"]
    if ended.code in {0, _HOOK_FAILED}:  # what the fault has made of a hook is for the hook to say
        return []
    if ended.code == _CRASHED or "Traceback" in ended.said:
        return [f"a traceback: {ended.said.strip()[-600:]}"]
    if not any(cause in ended.said for cause in (name, *others)):
        return [f"the message does not name {name}: {ended.said.strip()}"]
    return []


def false_claims(ended: Ended, workshop: Workshop, stage: Stage) -> list[str]:
    """Hold what the error says about the root against the root; every exit code but 0 and 6 says "as it was"."""
    if ended.code in {None, 0, _CRASHED}:
        return []
    is_as_it_was = is_at(workshop, stage.expected.old, stage.expected)
    says_so = UNCHANGED in ended.said or "nothing was changed" in ended.said
    found = []
    if says_so and not is_as_it_was:
        found.append(f"it says that the root is as it was, and it is not: {ended.said.strip()}")
    if ended.code != _NEEDS_RECOVERY and not is_as_it_was:
        found.append(f"exit code {ended.code}, and the root is not as it was: {ended.said.strip()}")
    return found
