"""Pure. How is the outcome of an experiment put into words?"""

from types import MappingProxyType
from typing import Final

from intact.model.probes import Outcome, Question, Result, Row
from intact.plan.questions_filesystem import FILESYSTEM_QUESTIONS
from intact.plan.questions_processes import PROCESS_QUESTIONS

__all__ = ["QUESTIONS", "row_of"]

_ANSWERS: Final = MappingProxyType(
    {
        Result.DONE: "yes",
        Result.REFUSED: "refused",
        Result.IGNORED: "not what it says",
        Result.SAME: "one name",
        Result.OLD: "sees the old",
        Result.NEW: "sees the new",
        Result.STOPPED: "stops in the middle",
        Result.KILLED: "killed",
        Result.UNTRIED: "not tried",
    }
)
_UNTRIED: Final = "This could not be tried here."
_FULL: Final = "There is no room here for the trial; make some, and run it again."
_LACKING: Final = "The system refuses it."


_QUESTIONS: Final = MappingProxyType({**PROCESS_QUESTIONS, **FILESYSTEM_QUESTIONS})

QUESTIONS: Final = tuple(_QUESTIONS)
"""The keys of all rows, in their order."""


def row_of(key: str, outcome: Outcome) -> Row:
    """Put the outcome of an experiment into words."""
    asked = _QUESTIONS[key]
    return Row(
        key=key,
        topic=asked.topic,
        question=asked.question,
        outcome=outcome,
        answer=_answer(asked, outcome),
        explanation=_explanation(asked, outcome),
        matters=asked.matters,
    )


def _explanation(asked: Question, outcome: Outcome) -> str:
    if outcome.result is not Result.UNTRIED:
        return asked.meanings.get(outcome.result, _LACKING)
    if outcome.errno in {"ENOSPC", "EDQUOT"}:
        return _FULL
    # What a question says of this was written for a trial that was left out, not for one that failed.
    return _UNTRIED if outcome.errno else asked.meanings.get(outcome.result, _UNTRIED)


def _answer(asked: Question, outcome: Outcome) -> str:
    word = asked.answers.get(outcome.result, _ANSWERS[outcome.result])
    if outcome.result is Result.REFUSED:
        return f"{word}: {outcome.errno}"
    separated = outcome.result in {Result.KILLED, Result.UNTRIED}
    if not outcome.fact:
        return word
    return f"{word}: {outcome.fact}" if separated else f"{word} ({outcome.fact})"
