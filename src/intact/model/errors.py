"""Pure. What can go wrong, whose fault is it, and with which exit code does it end?

    IntactError                     1   failed, the root is as it was
    ├── UsageError                  2   the command line makes no sense
    ├── BundleRefused               3   whose fault: the bundle's publisher or its way here
    │   ├── BundleDamaged           3   truncated, altered, not a bundle at all
    │   ├── ManifestInvalid         3   all faults at once
    │   ├── FeatureUnknown          3   made for a newer pkg
    │   ├── Untrusted               3   no signature, or none that this root trusts
    │   └── WrongArchitecture       3
    ├── Conflict                    5   whose fault: two wishes that exclude each other; all of them at once
    ├── RecoveryFailed              6   what is left is in the journal; nothing was deleted
    │   ├── JournalDamaged          6
    │   └── DatabaseDamaged         6
    ├── Locked                      7   another pkg is at work
    ├── HookFailed                  8   rolled back because a hook or health check said no
    ├── MachineError                1   whose fault: disk, kernel, permissions
    │   └── NoSpace                 9
    ├── RootUnusable                1   the root does not exist or cannot be written
    ├── DatabaseTooNew              1   a newer pkg has been here
    ├── UnknownPackage              1
    └── UnknownTransaction          1

Every message says what happened and to which path; `remedy` is what to type next; `root_state` is the
state that the root is in now.
"""

import errno as errno_names

__all__ = [
    "UNCHANGED",
    "BundleDamaged",
    "BundleRefused",
    "Conflict",
    "DatabaseDamaged",
    "DatabaseTooNew",
    "FeatureUnknown",
    "HookFailed",
    "IntactError",
    "JournalDamaged",
    "Locked",
    "MachineError",
    "ManifestInvalid",
    "NoSpace",
    "RecoveryFailed",
    "RootUnusable",
    "UnknownPackage",
    "UnknownTransaction",
    "Untrusted",
    "UsageError",
    "WrongArchitecture",
    "machine_error",
]

UNCHANGED = "the root is as it was"


class IntactError(Exception):
    """Something that a person has to be told; the fields carry the facts.

    Attributes:
        message: what happened, in one line.
        path: the place, if there is one (a path of the root, a file name, a manifest key).
        details: further lines, one fault or problem each.
        remedy: what to do or to type next.
        root_state: what became of the root.
    """

    exit_code: int = 1  # of the class; an error that hands on what another process said has its own

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        details: "tuple[str, ...] | list[str]" = (),
        remedy: str | None = None,
        root_state: str = UNCHANGED,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.details = tuple(details)
        self.remedy = remedy
        self.root_state = root_state

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return "\n".join([place + self.message, *self.details])


class UsageError(IntactError):
    """The command line makes no sense."""

    exit_code = 2


class BundleRefused(IntactError):
    """The bundle does not get in."""

    exit_code = 3


class BundleDamaged(BundleRefused):
    """The bundle is truncated, altered, or not a bundle."""


class ManifestInvalid(BundleRefused):
    """The manifest breaks the rules; `details` has every fault with its place."""


class FeatureUnknown(BundleRefused):
    """The bundle needs a feature that this version does not have."""


class Untrusted(BundleRefused):
    """No valid signature by a key that this root trusts for this package."""


class WrongArchitecture(BundleRefused):
    """The bundle was built for another machine."""


class Conflict(IntactError):
    """What is asked for and what is there exclude each other; `details` has every problem."""

    exit_code = 5


class RecoveryFailed(IntactError):
    """An interrupted transaction could be neither finished nor undone; nothing was deleted."""

    exit_code = 6


class JournalDamaged(RecoveryFailed):
    """A journal says something that cannot be true."""


class DatabaseDamaged(RecoveryFailed):
    """The database cannot be read."""


class Locked(IntactError):
    """Another process holds the lock of this root."""

    exit_code = 7


class HookFailed(IntactError):
    """A hook or health check failed, and the transaction was rolled back."""

    exit_code = 8


class MachineError(IntactError):
    """The system refused a call.

    Attributes:
        errno_name: the errno's name, such as ``EROFS``.
        call: the system call or verb that failed.
    """

    def __init__(self, call: str, error: OSError, *, path: str | None, remedy: str | None = None) -> None:
        number = error.errno or 0
        self.errno = number
        self.errno_name = errno_names.errorcode.get(number, "unknown error")
        self.call = call
        reason = error.strerror or str(error)
        super().__init__(f"{call}: {self.errno_name} ({reason})", path=path, remedy=remedy)


class NoSpace(MachineError):
    """The filesystem, the inode table or the quota is full."""

    exit_code = 9


class RootUnusable(IntactError):
    """The root does not exist, is not a directory, or may not be changed by this user."""


class DatabaseTooNew(IntactError):
    """The database was written by a newer version."""


class UnknownPackage(IntactError):
    """No package of that name is installed."""


class UnknownTransaction(IntactError):
    """The history has no such transaction, or no longer has its content."""


_REMEDIES = {
    errno_names.ENOENT: "look whether the path is spelled right (ls -l), then run the command again",
    errno_names.ENOTDIR: "look whether the path is spelled right (ls -l), then run the command again",
    errno_names.ENOSPC: "free some space or inodes on that filesystem, then run the same command again",
    errno_names.EDQUOT: "raise the quota or free some space, then run the same command again",
    errno_names.EISDIR: "name a file in that directory",
    errno_names.EROFS: "remount the filesystem writable (mount -o remount,rw), then run the same command again",
    errno_names.EACCES: "run the command as root or as the owner of the root",
    errno_names.EPERM: "run the command as root; if you are, look for immutable files (lsattr)",
    errno_names.EIO: "the disk reports errors: look at dmesg before anything else",
    errno_names.EFBIG: "raise the limit of file sizes (ulimit -f), then run the same command again",
    errno_names.ENOMEM: "free some memory or raise its limit (ulimit -v), then run the same command again",
    errno_names.EMFILE: "raise the limit of open files (ulimit -n), then run the same command again",
}


def machine_error(call: str, error: OSError, path: str | None) -> MachineError:
    """Return the error for a failed system call, with the remedy that fits its errno."""
    kind = NoSpace if error.errno in {errno_names.ENOSPC, errno_names.EDQUOT} else MachineError
    return kind(call, error, path=path, remedy=_REMEDIES.get(error.errno or 0))
