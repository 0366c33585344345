"""Pure. What would readers refuse of a bundle, before it is packed and when it is whole?

A whole manifest is read as every reader does it. To do so also with what is known before packing would take an eighth of
the time in which 20,000 small files are built. So only its fields are read then, and of the entries, each of which was
checked by whoever described it, there is a look at what they are together, which takes half of one per cent.
"""

from intact.bundle.entry_rules import check_ceilings
from intact.bundle.entry_text import least_length
from intact.bundle.fields import Faults
from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.model.errors import ManifestInvalid
from intact.model.limits import Limits
from intact.model.manifest import Manifest
from intact.model.values import replace

__all__ = ["insist_on_acceptable", "insist_on_acceptable_so_far"]

_REMEDY = (
    "correct what the bundle is made of, or divide it into several, and build again; no bundle was written"
)


def insist_on_acceptable(text: bytes, name: str, limits: Limits, *, stream: int | None = None) -> None:
    """Make sure that readers accept a manifest.

    Args:
        name: what the errors call it.
        stream: bytes of the payload's stream, where the entries are not all of them.

    Raises:
        ManifestInvalid: they do not; all faults of it.
    """
    try:
        parse_manifest(text, name, limits, stream=stream)
    except ManifestInvalid as refused:
        refused.remedy = _REMEDY
        raise


def insist_on_acceptable_so_far(manifest: Manifest, name: str, limits: Limits) -> None:
    """Make sure that readers will not refuse a manifest for what is known of it before anything is packed.

    Raises:
        ManifestInvalid: they will.
    """
    fields = render_manifest(replace(manifest, entries=(), frames=()))
    insist_on_acceptable(fields, name, limits, stream=0)
    faults = Faults()
    check_ceilings(manifest.entries, faults, limits)
    length = len(fields) + least_length(manifest.entries)
    if length > limits.manifest:
        faults.add(
            "entries", f"they make a manifest of {length} bytes or more; {limits.manifest} is the most"
        )
    faults.refuse_if_any(name, _REMEDY)
