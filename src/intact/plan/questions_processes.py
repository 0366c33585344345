"""Pure. What is asked about running programs, scripts, mapped and open files, and what does each answer mean?

Sources: open(2), execve(2), mmap(2); for ETXTBSY also the kernel's commits 2a010c412853 (6.11) and 3b832035387f (its
revert).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from intact.model.probes import Question, Result

__all__ = ["PROCESS_QUESTIONS"]

_MATTERS: Final = True  # the installer depends on it, or chooses its way by it
_INFORMS: Final = False  # people want to know
_PROGRAM: Final = "A running program"
_SCRIPT: Final = "A script that a shell is reading"
_MAPPED: Final = "A mapped or open file"

_GOES_ON: Final = (
    "The process goes on with the file that it was started from; the name belongs to the new one."
)
_DIES: Final = "The running process does not survive this: what it runs was taken from under it."
_BUSY: Final = "A busy file cannot be replaced under its name here; the installer moves it aside first."

PROCESS_QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "program-runs": Question(
            _PROGRAM,
            "can a program be run here?",
            _INFORMS,
            {
                Result.DONE: "Copies of a program run from this directory.",
                Result.UNTRIED: "Without a running program the rows about it stay open; installing is possible all the same.",
            },
        ),
        "running-write": Question(
            _PROGRAM,
            "write into it",
            _INFORMS,
            {
                Result.REFUSED: "The kernel protects a program while it runs. Do not rely on it: Linux 6.11 did not, and libraries and scripts are never protected.",
                Result.DONE: "Nothing protects a running program here: who copies over it changes it under the process.",
                Result.KILLED: "Nothing protects a running program here, and the process did not survive being written over.",
            },
        ),
        "running-truncate": Question(
            _PROGRAM,
            "truncate it",
            _INFORMS,
            {
                Result.REFUSED: "As for writing: the kernel protects a program while it runs.",
                Result.DONE: "Nothing protects a running program here; it fails when it needs a page that is not in memory yet.",
                Result.KILLED: "Nothing protects a running program here, and the process was killed.",
            },
        ),
        "running-rename-over": Question(
            _PROGRAM,
            "rename another file over it",
            _MATTERS,
            {Result.DONE: _GOES_ON, Result.REFUSED: _BUSY, Result.KILLED: _DIES},
        ),
        "running-exchange": Question(
            _PROGRAM,
            "exchange it with another file",
            _MATTERS,
            {
                Result.DONE: "Old and new change their names in one step, and the process goes on with the old file.",
                Result.REFUSED: "No exchange here; the installer takes another way.",
                Result.IGNORED: "The filesystem did a plain rename instead, and the old file is lost; the installer notices and does not use it.",
                Result.KILLED: _DIES,
            },
        ),
        "running-rename-away": Question(
            _PROGRAM,
            "rename it to another name",
            _MATTERS,
            {
                Result.DONE: "The process goes on; this is how a file that cannot be replaced is moved aside.",
                Result.REFUSED: "A running program cannot be moved here: stop it before it is upgraded.",
                Result.KILLED: _DIES,
            },
        ),
        "running-remove": Question(
            _PROGRAM,
            "remove it",
            _MATTERS,
            {
                Result.DONE: "The name is gone, and the process goes on; its space is free when it ends.",
                Result.REFUSED: "A running program cannot be removed here: stop it first.",
                Result.KILLED: _DIES,
            },
        ),
        "running-sees": Question(
            _PROGRAM,
            "after a rename over it: which program does the process have?",
            _MATTERS,
            {
                Result.OLD: "It keeps the old one until it is started anew: restart services after an upgrade.",
                Result.NEW: "It has the new one under its feet, without having been started anew.",
                Result.REFUSED: "The process goes on, but nobody can open its old program any more, as /proc/PID/exe can elsewhere.",
                Result.KILLED: _DIES,
            },
            {Result.REFUSED: "goes on; its file cannot be opened"},
        ),
        "run-while-written": Question(
            _PROGRAM,
            "start a program whose file is open for writing",
            _INFORMS,
            {
                Result.REFUSED: "What is still being written cannot be started. Installed files are closed before they get their name.",
                Result.DONE: "A program that is not complete can be started here. Installed files get their name when they are.",
            },
        ),
        "script-write": Question(
            _SCRIPT,
            "after it was written into: what does the shell do?",
            _INFORMS,
            {
                Result.NEW: "Nothing protects scripts: the shell reads on in the new bytes, wherever it happens to be. Never edit a running script in place.",
                Result.OLD: "The shell had read it all before.",
                Result.REFUSED: "The file is protected while it is read.",
                Result.STOPPED: "The shell finds no sense in what it reads on, and ends.",
            },
        ),
        "script-truncate": Question(
            _SCRIPT,
            "after it was truncated: what does the shell do?",
            _INFORMS,
            {
                Result.STOPPED: "The shell takes the missing rest for the end of the script: half the work is done, and nobody is told.",
                Result.OLD: "The shell had read it all before.",
                Result.REFUSED: "The file is protected while it is read.",
            },
        ),
        "script-rename-over": Question(
            _SCRIPT,
            "after a rename over it: what does the shell do?",
            _MATTERS,
            {
                Result.OLD: "It reads the old script to its end; the next start takes the new one.",
                Result.NEW: "It reads on in the new script: do not upgrade scripts here while they run.",
                Result.REFUSED: _BUSY,
            },
        ),
        "script-remove": Question(
            _SCRIPT,
            "after it was removed: what does the shell do?",
            _MATTERS,
            {
                Result.OLD: "It reads the script to its end.",
                Result.STOPPED: "It cannot read on: do not remove scripts here while they run.",
                Result.REFUSED: _BUSY,
            },
        ),
        "map-for-execution": Question(
            _MAPPED,
            "map a file as a library is mapped",
            _INFORMS,
            {
                Result.DONE: "The dynamic linker can load libraries from here.",
                Result.REFUSED: "Libraries cannot be loaded from here; a mount with noexec says EPERM or EACCES.",
            },
        ),
        "mapped-write": Question(
            _MAPPED,
            "after the mapped file was written into: what does the process see?",
            _INFORMS,
            {
                Result.NEW: "Nothing protects libraries: a process that has mapped one runs whatever is written into the file.",
                Result.OLD: "The mapping does not follow the file here; do not rely on it.",
                Result.REFUSED: "A mapped file is protected here.",
                Result.KILLED: "Whoever writes into a library in place kills the processes that use it.",
            },
        ),
        "mapped-truncate": Question(
            _MAPPED,
            "after the mapped file was truncated: what does the process see?",
            _INFORMS,
            {
                Result.KILLED: "Whoever overwrites a library in place (cp does) kills the processes that use it.",
                Result.NEW: "The process sees what the shorter file has.",
                Result.OLD: "The mapping does not follow the file here; do not rely on it.",
                Result.REFUSED: "A mapped file is protected here.",
            },
        ),
        "mapped-rename-over": Question(
            _MAPPED,
            "after a rename over the mapped file: what does the process see?",
            _MATTERS,
            {
                Result.OLD: "A process keeps the libraries that it has loaded; the next start takes the new ones.",
                Result.NEW: "The process sees the new file under its feet.",
                Result.KILLED: "Replacing libraries kills the processes that use them: stop them first.",
                Result.REFUSED: _BUSY,
            },
        ),
        "mapped-remove": Question(
            _MAPPED,
            "after the mapped file was removed: what does the process see?",
            _MATTERS,
            {
                Result.OLD: "A process keeps the libraries that it has loaded.",
                Result.KILLED: "Removing libraries kills the processes that use them: stop them first.",
                Result.REFUSED: _BUSY,
            },
        ),
        "open-rename-over": Question(
            _MAPPED,
            "after a rename over an open file: what does its reader see?",
            _MATTERS,
            {
                Result.OLD: "Who has a file open reads one whole version of it.",
                Result.NEW: "Readers may see a mixture of two versions.",
                Result.REFUSED: "A reader of a file that is replaced gets an error (ESTALE: a network filesystem).",
            },
        ),
        "open-remove": Question(
            _MAPPED,
            "remove a file that is open",
            _MATTERS,
            {
                Result.DONE: "The name is gone at once, the content when it is closed.",
                Result.IGNORED: "The file got another name until it is closed (NFS does so); its directory cannot be removed before.",
                Result.REFUSED: _BUSY,
            },
        ),
    }
)
