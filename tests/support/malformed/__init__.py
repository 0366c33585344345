"""Malformed bundles, each with a name: what every reader of bundles has to refuse."""

from support.malformed.case import KEY, Case, good_bundle
from support.malformed.entries import entry_cases
from support.malformed.frames import frame_cases
from support.malformed.heads import head_cases
from support.malformed.manifests import manifest_cases
from support.malformed.members import member_cases

__all__ = ["KEY", "Case", "all_cases", "good_bundle"]


def all_cases() -> list[Case]:
    """Return all cases, the same bytes every time, each under a name of its own."""
    cases = [*frame_cases(), *head_cases(), *member_cases(), *manifest_cases(), *entry_cases()]
    assert len({case.name for case in cases}) == len(cases)
    return cases
