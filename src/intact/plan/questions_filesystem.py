"""Pure. What is asked about names, durability, content and attributes, and what does each answer mean?

Sources: rename(2), link(2), open(2), chown(2), syncfs(2), fsync(2).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from intact.model.probes import Question, Result

__all__ = ["FILESYSTEM_QUESTIONS"]

_MATTERS: Final = True  # the installer depends on it, or chooses its way by it
_INFORMS: Final = False  # people want to know
_NAMES: Final = "Names"
_DURABILITY: Final = "Durability"
_CONTENT: Final = "Content and attributes"

FILESYSTEM_QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "rename-over": Question(
            _NAMES,
            "rename a file over another one",
            _MATTERS,
            {
                Result.DONE: "One step for every process that looks; it says nothing about what a power cut leaves.",
                Result.REFUSED: "Without this nothing can be replaced safely here.",
                Result.IGNORED: "Without this nothing can be replaced safely here.",
            },
        ),
        "exchange": Question(
            _NAMES,
            "exchange two files (RENAME_EXCHANGE)",
            _MATTERS,
            {
                Result.DONE: "Old and new change places in one step: the old file is kept without a copy.",
                Result.REFUSED: "The installer takes another way, which has more steps.",
                Result.IGNORED: "The filesystem ignores the flag and does a plain rename, which destroys the old file; the installer notices and does not use it.",
            },
        ),
        "exchange-directory": Question(
            _NAMES,
            "exchange a full directory with a symbolic link",
            _MATTERS,
            {
                Result.DONE: "A directory can become a link, and back, without a moment in which the name is missing.",
                Result.REFUSED: "Where a directory becomes a file or a link its name is missing for a moment.",
                Result.IGNORED: "The filesystem ignores the flag; the installer does not use it.",
            },
        ),
        "noreplace": Question(
            _NAMES,
            "rename to a free name only (RENAME_NOREPLACE)",
            _MATTERS,
            {
                Result.DONE: "A file that somebody has made meanwhile is never replaced by mistake.",
                Result.REFUSED: "The installer links and removes instead, which also spares what is there.",
                Result.IGNORED: "The filesystem ignores the flag and replaces what is there; the installer notices and does not use it.",
            },
        ),
        "hardlink": Question(
            _NAMES,
            "give a file a second name (hardlink)",
            _MATTERS,
            {
                Result.DONE: "Packages may have hardlinks, and old files are kept without a copy.",
                Result.REFUSED: "Hardlinks of packages become files of their own, and old files may have to be copied.",
                Result.IGNORED: "The filesystem copies instead.",
            },
        ),
        "rename-onto-own-link": Question(
            _NAMES,
            "rename a name of a file over another name of the same file",
            _MATTERS,
            {
                Result.IGNORED: "Success is reported and nothing happens, as rename(2) says; the installer removes the first name itself.",
                Result.DONE: "The first name goes, unlike rename(2) says; the installer copes with both.",
                Result.REFUSED: "The installer does not need it.",
            },
            {Result.IGNORED: "does nothing"},
        ),
        "symlink": Question(
            _NAMES,
            "make a symbolic link",
            _MATTERS,
            {
                Result.DONE: "Packages may have symbolic links.",
                Result.REFUSED: "Packages with symbolic links cannot be installed here.",
                Result.IGNORED: "Packages with symbolic links cannot be installed here.",
            },
        ),
        "anonymous-file": Question(
            _NAMES,
            "write a file without a name, then name it (O_TMPFILE)",
            _INFORMS,
            {
                Result.DONE: "Leaves no litter after a crash. The installer does not use it: what is staged has to survive one.",
                Result.REFUSED: "Temporary files need names here. The installer gives them names anyway.",
                Result.IGNORED: "The file did not get its name.",
            },
        ),
        "inode-numbers": Question(
            _NAMES,
            "does a file keep its inode number?",
            _MATTERS,
            {
                Result.DONE: "An interrupted transaction recognises files by it.",
                Result.IGNORED: "Files are recognised by their content instead.",
            },
            {Result.IGNORED: "no"},
        ),
        "names-case": Question(
            _NAMES,
            "are names with other capitals other names?",
            _MATTERS,
            {
                Result.DONE: "Files of a package cannot collide by their capitals.",
                Result.SAME: "Two paths of a package may be one file here: installing it fails with EEXIST and changes nothing.",
            },
        ),
        "names-unicode": Question(
            _NAMES,
            "are a composed and a decomposed é two names?",
            _MATTERS,
            {
                Result.DONE: "Names are bytes.",
                Result.SAME: "Two paths of a package may be one file here: installing it fails with EEXIST and changes nothing.",
                Result.REFUSED: "Names have to be plain here.",
            },
        ),
        "names-bytes": Question(
            _NAMES,
            "may a name be no UTF-8?",
            _INFORMS,
            {
                Result.DONE: "Any name that people have given can be kept.",
                Result.REFUSED: "Names have to be UTF-8, as paths in packages are.",
                Result.IGNORED: "The name became another one; paths in packages are UTF-8.",
            },
        ),
        "syncfs": Question(
            _DURABILITY,
            "write a whole filesystem back (syncfs)",
            _MATTERS,
            {
                Result.DONE: "One call before the first rename makes all new files durable.",
                Result.REFUSED: "Nothing can be made durable here, and nothing will be installed.",
            },
        ),
        "sync-directory": Question(
            _DURABILITY,
            "sync a directory (fsync)",
            _MATTERS,
            {
                Result.DONE: "Renames are made durable before success is reported.",
                Result.REFUSED: "Renames cannot be made durable here, and nothing will be installed.",
            },
        ),
        "sync-file": Question(
            _DURABILITY,
            "sync a file (fsync)",
            _MATTERS,
            {
                Result.DONE: "The journal's records are durable one by one.",
                Result.REFUSED: "The journal cannot be made durable here, and nothing will be installed.",
            },
        ),
        "reflink": Question(
            _CONTENT,
            "share the content of a file with a copy (reflink)",
            _INFORMS,
            {
                Result.DONE: "Copies take neither time nor space.",
                Result.REFUSED: "Copies are real copies.",
                Result.IGNORED: "The copy is not what was copied.",
            },
        ),
        "xattr-user": Question(
            _CONTENT,
            "extended attributes of users",
            _MATTERS,
            {
                Result.DONE: "Attributes of files are kept, and given back by a rollback.",
                Result.REFUSED: "Packages with such attributes cannot be installed here.",
                Result.IGNORED: "Attributes do not stay.",
            },
        ),
        "xattr-capability": Question(
            _CONTENT,
            "capabilities of programs (security.capability)",
            _MATTERS,
            {
                Result.DONE: "Packages may give capabilities to programs.",
                Result.REFUSED: "Packages with capabilities cannot be installed here.",
                Result.IGNORED: "Capabilities do not stay.",
                Result.UNTRIED: "Run it as root to know.",
            },
        ),
        "modes": Question(
            _CONTENT,
            "are the modes of files kept?",
            _MATTERS,
            {
                Result.DONE: "Files have the modes that their package says.",
                Result.IGNORED: "The filesystem has no modes of its own (FAT): `pkg verify` will find differences.",
            },
            {Result.IGNORED: "no"},
        ),
        "chown-clears": Question(
            _CONTENT,
            "does a change of the owner take set-user-id away?",
            _MATTERS,
            {
                Result.DONE: "So the installer sets the owner first and the mode afterwards.",
                Result.IGNORED: "It stays; the installer's order (owner, mode, attributes) is right for both.",
                Result.REFUSED: "Owners cannot be given here.",
            },
            {Result.IGNORED: "no"},
        ),
    }
)
