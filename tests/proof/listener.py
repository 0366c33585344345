"""Acts. How does one process stop another before chosen system calls, and decide what becomes of each?

With seccomp's user notification (seccomp_unotify(2), Linux 5.5): a filter of the child makes the kernel ask a
listener, which lets the call happen, answers with an errno in its place, or kills the process while the call
has not happened. No debugger, no library in between: the process is the real one.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from proof.syscall_table import NAMES, OPENAT, number_of

__all__ = ["Call", "Listener", "become_listened_to", "is_possible"]

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
_SECCOMP_NUMBER = {"x86_64": 317, "aarch64": 277}
_RET_ALLOW, _RET_USER_NOTIF = 0x7FFF0000, 0x7FC00000
_LD, _JEQ, _JSET, _RET = 0x20, 0x15, 0x45, 0x06  # BPF opcodes, linux/filter.h
_OFFSET_OF_NUMBER, _OFFSET_OF_THIRD_ARGUMENT = 0, 16 + 2 * 8

_NOTIFICATION = struct.Struct("QII iIQ6Q")  # struct seccomp_notif
_ANSWER = struct.Struct("QqiI")  # struct seccomp_notif_resp
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND
_CONTINUE = 1

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of a process (or thread) that waits for a decision."""

    id: int
    name: str
    arguments: tuple[int, ...]
    pid: int = 0


def is_possible() -> bool:
    """Tell whether this machine's kernel and architecture can do it."""
    try:
        with Path("/proc/sys/kernel/seccomp/actions_avail").open() as actions:
            known = actions.read()
    except OSError:
        return False
    return "user_notif" in known and os.uname().machine in _SECCOMP_NUMBER


def _program(names: Iterable[str], *, every_open: bool) -> bytes:
    """Return a filter that asks about these calls, and about openat where it creates (or always)."""
    instruction = struct.Struct("HBBI")
    code = [instruction.pack(_LD, 0, 0, _OFFSET_OF_NUMBER)]
    for number in sorted(number for name in names if (number := number_of(name)) is not None):
        code.append(instruction.pack(_JEQ, 0, 1, number))
        code.append(instruction.pack(_RET, 0, 0, _RET_USER_NOTIF))
    opening = number_of(OPENAT)
    if opening is None:
        raise AssertionError(OPENAT)
    if every_open:
        code.append(instruction.pack(_JEQ, 0, 1, opening))
        code.append(instruction.pack(_RET, 0, 0, _RET_USER_NOTIF))
    else:
        code.append(instruction.pack(_JEQ, 0, 3, opening))
        code.append(instruction.pack(_LD, 0, 0, _OFFSET_OF_THIRD_ARGUMENT))
        code.append(instruction.pack(_JSET, 0, 1, os.O_CREAT | os.O_TRUNC))
        code.append(instruction.pack(_RET, 0, 0, _RET_USER_NOTIF))
    code.append(instruction.pack(_RET, 0, 0, _RET_ALLOW))
    return b"".join(code)


def become_listened_to(channel: socket.socket, names: Iterable[str], *, every_open: bool) -> None:
    """Install the filter in this process and send the listener's descriptor through `channel`.

    Raises:
        OSError: the kernel refused.
    """
    text = _program(names, every_open=every_open)
    buffer = ctypes.create_string_buffer(text, len(text))
    program = _Program(len(text) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    descriptor = _libc.syscall(
        ctypes.c_long(_SECCOMP_NUMBER[os.uname().machine]),
        ctypes.c_uint(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_uint(_SECCOMP_FILTER_FLAG_NEW_LISTENER),
        ctypes.byref(program),
    )
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    socket.send_fds(channel, [b"l"], [descriptor])
    os.close(descriptor)


class Listener:
    """The deciding end."""

    def __init__(self, channel: socket.socket) -> None:
        """Receive the descriptor that `become_listened_to` sends.

        Raises:
            EOFError: the other process ended before.
        """
        message, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not message:
            raise EOFError("the process ended before it could be listened to")
        self.fd = descriptors[0]

    def close(self) -> None:
        """Stop listening; calls that wait then fail with ENOSYS."""
        os.close(self.fd)

    def receive(self) -> Call | None:
        """Take the next call that waits; None if its process is gone."""
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self.fd, _RECEIVE, buffer)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINTR}:
                return None
            raise
        identity, pid, _flags, number, _arch, _ip, *arguments = _NOTIFICATION.unpack(buffer)
        return Call(identity, NAMES[number], tuple(arguments), pid)

    def let(self, call: Call) -> None:
        """Let the call happen."""
        self._answer(_ANSWER.pack(call.id, 0, 0, _CONTINUE))

    def refuse(self, call: Call, number: int) -> None:
        """Answer with an errno; the call does not happen."""
        self._answer(_ANSWER.pack(call.id, 0, -number, 0))

    def _answer(self, answer: bytes) -> None:
        try:
            fcntl.ioctl(self.fd, _SEND, bytearray(answer))
        except OSError as error:
            if error.errno != errno.ENOENT:  # the process is gone
                raise
