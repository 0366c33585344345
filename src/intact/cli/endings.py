"""Pure. Which ends of a command does only the command line know?

    IntactError
    ├── Declined                    1   a person was asked, and said no
    ├── OutputLost                  1   the work is done, but nobody could be told
    └── Interrupted               130   SIGINT
        ├── Terminated            143   SIGTERM
        └── Signalled             128   and the number of another signal

They hang on the tree of `model.errors`.
"""

from intact.model.errors import IntactError

__all__ = ["Declined", "Interrupted", "OutputLost", "Signalled", "Terminated"]


class Declined(IntactError):
    """A person was asked, and said no."""


class OutputLost(IntactError):
    """The result could not be written to standard output."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the result could not be written: {reason}",
            path="standard output",
            remedy="`pkg list` and `pkg history` tell again",
            root_state="what the command does is done; only its output is missing",
        )


class Interrupted(IntactError):
    """Ctrl-C; everything was tidied up."""

    exit_code = 130

    def __init__(self, state: str = "", details: "list[str] | tuple[str, ...]" = ()) -> None:
        super().__init__(
            "interrupted",
            details=details,
            remedy=None if state else "`pkg history` tells which",
            root_state=state or "what had begun was undone or completed",
        )


class Terminated(Interrupted):
    """As above, by SIGTERM."""

    exit_code = 143


class Signalled(Interrupted):
    """As above, by SIGHUP, SIGQUIT, SIGUSR1 or SIGUSR2."""

    exit_code = 128

    def __init__(self, number: int, state: str = "", details: "list[str] | tuple[str, ...]" = ()) -> None:
        super().__init__(state, details)
        self.exit_code = 128 + number
