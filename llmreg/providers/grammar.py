"""The schema of a reply, made as tight as a grammar can hold a model to.

A vendor's structured outputs leave it to the model which features it answers for. A
grammar, as llama.cpp makes of a schema, can do better: every feature once, in order,
with a reason of bounded length. A small model then cannot leave one out, nor go on
for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_REASON_LENGTH = 60


# The property of a reply in which the order of a list is the answer itself.
RANKINGS = "rankings"


def in_order(
    schema: Mapping[str, Any],
    longest: int = MAX_REASON_LENGTH,
    *,
    ranked: bool = False,
) -> dict[str, Any]:
    """Rewrite a schema so that a list has an entry for each id, in order.

    Parameters
    ----------
    schema : mapping
        A JSON schema, such as that of `reply_schema`. A list whose entries have an
        id out of an enumeration becomes a list with one entry per id.
    longest : int, default=60
        The most characters of a text that is free otherwise.
    ranked : bool, default=False
        Whether the order is the model's to choose: lists then get a length only.

    Returns
    -------
    dict
        The schema; whatever fits it fits the one given too.

    Examples
    --------
    >>> from llmreg.prompting import reply_schema
    >>> from llmreg.providers.grammar import in_order
    >>> entries = in_order(reply_schema(2, 1))["properties"]["features"]["prefixItems"]
    >>> [entry["properties"]["id"] for entry in entries]
    [{'const': 'f1'}, {'const': 'f2'}]
    """
    if schema.get("type") == "array" and (ids := _ids(schema.get("items"))):
        if ranked:
            return {**schema, "minItems": len(ids), "maxItems": len(ids)}
        entry = in_order(schema["items"], longest)
        properties = entry["properties"]
        entries = [
            {**entry, "properties": {**properties, "id": {"const": i}}} for i in ids
        ]
        return {
            "type": "array",
            "prefixItems": entries,
            "minItems": len(ids),
            "maxItems": len(ids),
        }
    if schema.get("type") == "string" and not set(schema) - {"type", "description"}:
        return {**schema, "maxLength": longest}
    if "properties" in schema:
        inner = {
            name: in_order(part, longest, ranked=ranked or name == RANKINGS)
            for name, part in schema["properties"].items()
        }
        return {**schema, "properties": inner}
    return dict(schema)


def _ids(items: Any) -> list[str]:
    """Find the ids that the entries of a list may have."""
    if not isinstance(items, Mapping):
        return []
    identity = items.get("properties", {}).get("id", {})
    return list(identity.get("enum", []))
