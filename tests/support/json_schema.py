"""The schema of what `pkg --json` prints, and where a document breaks it."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator

__all__ = ["REFERENCE", "SCHEMA", "faults"]

REFERENCE = Path(__file__).parent.parent.parent / "docs/reference"
SCHEMA: dict[str, Any] = json.loads((REFERENCE / "json-schema.json").read_text())


def faults(document: object, name: str) -> list[str]:
    """Say where a document is not what the schema's definition of that name says."""
    chosen = {**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{quote(name)}"}]}
    found = Draft202012Validator(chosen).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for outer in found for error in outer.context or [outer]]
