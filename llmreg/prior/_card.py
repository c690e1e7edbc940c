"""Prior cards: a prior as a JSON text that a domain expert reads and edits.

A card holds one object per feature, each value on a line of its own. The score on
the card is the score that is used; the estimates behind it are kept for the record,
so changing the score is all that an expert has to do. A recorded elicitation, the
plain list of the answers that a model gave, is read as well.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from llmreg._utils._text import refuse_twins
from llmreg.exceptions import PriorCardError
from llmreg.prior._curves import (
    ResponseCurve,
    average,
    read_curve,
    read_special,
    stack_outputs,
)
from llmreg.prior._scores import (
    SCORE_LIMIT,
    BaseRate,
    TypicalRange,
    check_names,
    check_range,
    spread,
)

CARD_FORMAT = "llmreg prior card"
# The second version has curves; a prior without any is written as the first.
CARD_VERSIONS = (1, 2)
SCALE = [-SCORE_LIMIT, SCORE_LIMIT]

# What an object of a card may hold, and that of a feature.
_CARD_FIELDS = (
    *("format", "version", "task", "target", "scale", "outputs", "features"),
    *("base_rates", "base_rate_spreads", "target_ranges", "target_range_spreads"),
    *("provenance", "usage"),
)
_ENTRY_FIELDS = (
    *("feature", "description", "unit", "score", "spread", "reason", "estimates"),
    *("curve", "special_values", "curve_spread", "range", "range_spread"),
)
_JSON_NAMES: dict[type, str] = {list: "array", dict: "object", str: "string"}


def format_card(fields: Mapping[str, Any]) -> str:
    """Write the fields of a FeaturePrior as the text of a card."""
    is_rich = any(fields[n] for n in ("curves", "ranges", "base_rates", "units"))
    card = {
        "format": CARD_FORMAT,
        "version": CARD_VERSIONS[is_rich or bool(fields["target_ranges"])],
        "task": fields["task"],
        "target": fields["target"],
        "scale": SCALE,
        "outputs": list(fields["outputs"]),
        **_of_task(fields),
        "features": [_entry(fields, j) for j in range(len(fields["features"]))],
        "provenance": dict(fields["provenance"]),
        "usage": {name: _plain(n) for name, n in fields["usage"].items()},
    }
    return _dump(card) + "\n"


def parse_card(text: str) -> dict[str, Any]:
    """Read the fields of a FeaturePrior from a card or a recorded elicitation."""
    try:
        card = json.loads(text, object_pairs_hook=refuse_twins)
    except (ValueError, RecursionError) as e:
        raise PriorCardError(f"The prior card is not valid JSON: {e}.") from e
    if not isinstance(card, dict):
        raise PriorCardError(
            f"A prior card is a JSON object; got {type(card).__name__}."
        )
    if card.get("scale", SCALE) != SCALE:
        raise PriorCardError(
            f"The scale of a prior card must be {SCALE}; got {card['scale']!r}. "
            "Rescale the scores."
        )
    if card.get("format") == CARD_FORMAT:
        return _parse_features(card)
    if isinstance(card.get("estimates"), list):
        return _parse_recorded(card)
    raise PriorCardError(
        f'This JSON is not a prior card: it has neither "format": "{CARD_FORMAT}" nor '
        f'a list of "estimates". Its fields are {list(card)!r}.'
    )


def _entry(fields: Mapping[str, Any], column: int) -> dict[str, Any]:
    """Build the object of one feature; fields with nothing to say are left out."""
    feature, outputs = fields["features"][column], fields["outputs"]
    curve, typical = fields["curves"].get(feature), fields["ranges"].get(feature)
    entry: dict[str, Any] = {"feature": feature}
    for name, texts in {"description": "descriptions", "unit": "units"}.items():
        if text := fields[texts].get(feature):
            entry[name] = text
    if curve is not None:
        entry |= _curve_entry(curve, outputs)
    else:
        entry["score"] = _by_output(fields["scores"][:, column], outputs)
    if typical is not None:
        entry["range"] = _plain(typical[:3])
        if typical.spread is not None:
            entry["range_spread"] = _plain(typical.spread)
    estimates = fields["estimates"]
    if estimates is not None and curve is None:
        entry["spread"] = _by_output(spread(estimates[..., column]).round(2), outputs)
    if reason := fields["rationale"].get(feature):
        entry["reason"] = reason
    if estimates is not None:
        entry["estimates"] = _by_output(estimates[..., column].T, outputs)
    return entry


def _of_task(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Build what a card tells about classes or targets."""
    rates, ranges = fields["base_rates"].items(), fields["target_ranges"].items()
    found = {
        "base_rates": {n: r.rate for n, r in rates},
        "base_rate_spreads": {n: r.spread for n, r in rates if r.spread is not None},
        "target_ranges": {n: _plain(r[:3]) for n, r in ranges},
        "target_range_spreads": {
            n: _plain(r.spread) for n, r in ranges if r.spread is not None
        },
    }
    return {name: told for name, told in found.items() if told}


def _curve_entry(curve: ResponseCurve, outputs: Sequence[str]) -> dict[str, Any]:
    """Build what a card tells about a curve: its points, in the column's units."""
    points = [np.stack([curve.values, effects], axis=1) for effects in curve.effects]
    entry = {"curve": _by_output(points, outputs)}
    if curve.special:
        table = np.array([[code, *found] for code, found in curve.special.items()])
        codes = [table[:, [0, k]] for k in range(1, table.shape[1])]
        entry["special_values"] = _by_output(codes, outputs)
    if curve.spread is not None:
        entry["curve_spread"] = _by_output(curve.spread, outputs)
    return entry


def _by_output(values: Iterable[Any], outputs: Sequence[str]) -> Any:
    """Give a plain value for one output, a dict by output for several."""
    plain = [_plain(value) for value in values]
    return plain[0] if len(outputs) == 1 else dict(zip(outputs, plain, strict=True))


def _plain(value: Any) -> Any:
    """Turn numbers into JSON: null for NaN, and no decimals where there are none."""
    if isinstance(value, np.ndarray | tuple):
        return [_plain(item) for item in value]
    number = float(value)
    if np.isnan(number):
        return None
    return int(number) if number.is_integer() else number


def _dump(value: Any, indent: str = "") -> str:
    """Write JSON with one line per field and lists of numbers on one line."""
    inner = indent + "  "
    # Letters of every language stay as they are.
    inline = partial(json.dumps, ensure_ascii=False, allow_nan=False)
    if isinstance(value, dict) and (not indent or "feature" in value):
        start, end = "{", "}"
        lines = [f"{inline(name)}: {_dump(v, inner)}" for name, v in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        start, end = "[", "]"
        lines = [_dump(item, inner) for item in value]
    else:
        return inline(value)
    body = f",\n{inner}".join(lines)
    return f"{start}\n{inner}{body}\n{indent}{end}"


def _parse_features(card: Mapping[str, Any]) -> dict[str, Any]:
    """Read a card proper."""
    if card.get("version") not in CARD_VERSIONS or card["version"] is True:
        raise PriorCardError(
            f"This prior card has version {card.get('version')!r}; this llmreg reads "
            "the versions 1 and 2. Update llmreg, or write the card again."
        )
    _refuse_misspelled(card, _CARD_FIELDS, "The card")
    outputs = _field(card, "outputs", list)
    entries = _field(card, "features", list)
    if not (outputs and entries):
        name = "features" if outputs else "outputs"
        raise PriorCardError(
            f'The "{name}" of a prior card must name one at least; the list is empty.'
        )
    for entry in entries:
        names = {"feature", "score", "curve"}
        found = names.intersection(entry) if isinstance(entry, dict) else ()
        if "feature" not in found or len(found) != 2:
            raise PriorCardError(
                'Each entry of "features" must be an object with "feature" and either '
                f'"score" or "curve"; got {entry!r}.'
            )
        _refuse_misspelled(entry, _ENTRY_FIELDS, f"The entry of {entry['feature']!r}")
    features = check_names([e["feature"] for e in entries], "feature")
    check_names(outputs, "output")
    # Not by np.array: an array of lists would be one of more dimensions.
    scores = np.fromiter(_cells(entries, "score", outputs), dtype=object)
    usage = _values(card, "usage", int | float, "numbers")
    # Where the scores come from: a number is as good as a text.
    provenance = _values(card, "provenance", str | int | float, "texts")
    rate_spreads = _field(card, "base_rate_spreads", dict, {})
    range_spreads = _field(card, "target_range_spreads", dict, {})
    return {
        "features": features,
        "scores": scores.reshape(len(outputs), len(entries)),
        "outputs": outputs,
        "estimates": _parse_estimates(entries, outputs),
        "rationale": _texts(entries, "reason"),
        "descriptions": _texts(entries, "description"),
        "task": _field(card, "task", str, ""),
        "target": _field(card, "target", str, ""),
        "provenance": {name: str(value) for name, value in provenance.items()},
        "usage": usage,
        "curves": {e["feature"]: _curve(e, outputs) for e in entries if "curve" in e},
        "ranges": {
            e["feature"]: _range(e["range"], e.get("range_spread"), repr(e["feature"]))
            for e in entries
            if e.get("range") is not None
        },
        "units": _texts(entries, "unit"),
        "base_rates": {
            name: BaseRate(rate, rate_spreads.get(name))
            for name, rate in _field(card, "base_rates", dict, {}).items()
        },
        "target_ranges": {
            name: _range(found, range_spreads.get(name), repr(name))
            for name, found in _field(card, "target_ranges", dict, {}).items()
        },
    }


def _refuse_misspelled(
    found: Mapping[str, Any], known: Sequence[str], what: str
) -> None:
    """Refuse a field that is nearly another; notes of an expert's own are none."""
    for name in found.keys() - set(known):
        if near := get_close_matches(name.casefold(), known, 1, 0.75):
            raise PriorCardError(
                f'{what} has a field "{name}", which nothing reads. Call it '
                f'"{near[0]}" if that is meant, or by another name.'
            )


def _curve(entry: Mapping[str, Any], outputs: Sequence[str]) -> ResponseCurve:
    """Read the curve of a feature; its knots may differ between the outputs."""
    feature = entry["feature"]
    rows = _cells([entry], "curve", outputs)
    if all(row is None for row in rows):
        raise PriorCardError(f'The "curve" of {feature!r} must be a list; it is null.')
    each = [None if row is None else read_curve(row, feature) for row in rows]
    codes = _cells([entry], "special_values", outputs)
    curve = stack_outputs(each, [read_special(pairs, feature) for pairs in codes])
    spreads = _cells([entry], "curve_spread", outputs)
    # An expert who adds a knot need not say how far estimates of it lay apart.
    n_knots = len(curve.values)
    fits = all(isinstance(row, list) and len(row) == n_knots for row in spreads)
    spread: Any = spreads if fits else None
    return replace(curve, spread=spread)


def _range(found: Any, spreads: Any, what: str) -> TypicalRange:
    """Read percentiles, and how far the estimates of them lay apart."""
    return check_range(check_range(found, what)._replace(spread=spreads), what)


def _field(card: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """Give a field of the card, of the right type."""
    value = card.get(name, default)
    if not isinstance(value, kind):
        raise PriorCardError(
            f'The field "{name}" of a prior card must be of JSON type '
            f"{_JSON_NAMES[kind]}; got {value!r}."
        )
    return value


def _values(card: Mapping[str, Any], name: str, kind: Any, what: str) -> dict[str, Any]:
    """Give a field of the card whose values are of the right type."""
    values: dict[str, Any] = _field(card, name, dict, {})
    is_number = not isinstance("", kind)
    for key, value in values.items():
        if not isinstance(value, kind) or (is_number and isinstance(value, bool)):
            raise PriorCardError(
                f'The "{name}" of a prior card must be {what}; {key!r} is {value!r}. '
                "Correct it, or leave it out."
            )
    return values


def _cells(
    entries: Sequence[Mapping[str, Any]], name: str, outputs: Sequence[str]
) -> list[Any]:
    """List what all entries have for the first output, then for the next ones."""
    rows: list[Mapping[str, Any]] = []
    for entry in entries:
        value = entry.get(name)
        if not isinstance(value, dict):
            if len(outputs) > 1 and value is not None:
                raise PriorCardError(
                    f"The card scores several outputs, so {name!r} of "
                    f"{entry['feature']!r} must be an object by output; got {value!r}."
                )
            value = {} if value is None else {outputs[0]: value}
        if unexpected := [other for other in value if other not in outputs]:
            raise PriorCardError(
                f"{name!r} of {entry['feature']!r} names the outputs {unexpected!r}; "
                f"the card has {list(outputs)!r}."
            )
        rows.append(value)
    return [row.get(output) for output in outputs for row in rows]


def _parse_estimates(entries: list[dict[str, Any]], outputs: list[str]) -> Any:
    """Make an array of (n_estimates, n_outputs, n_features); None if there are none."""
    cells = [cell or [] for cell in _cells(entries, "estimates", outputs)]
    if not all(isinstance(cell, list) for cell in cells):
        raise PriorCardError('The "estimates" of a feature must be lists of scores.')
    # A feature that an expert added has no estimates, or fewer than the others.
    answers = list(zip_longest(*cells))
    flat = np.fromiter(chain.from_iterable(answers), dtype=object)
    return flat.reshape(-1, len(outputs), len(entries)) if answers else None


def _texts(entries: list[dict[str, Any]], name: str) -> dict[str, str]:
    """Collect one kind of remark by feature."""
    return {e["feature"]: str(e[name]) for e in entries if e.get(name)}


def _parse_recorded(card: Mapping[str, Any]) -> dict[str, Any]:
    """Read a recorded elicitation: a list of answers and where they come from."""
    fields = average(card["estimates"])
    if not fields["features"]:
        raise PriorCardError('The "estimates" of this recording hold no scores.')
    origin = card.get("provenance", {})
    origin = origin if isinstance(origin, dict) else {"source": origin}
    origin |= {name: card[name] for name in ("name", "questionnaire") if name in card}
    provenance = {name: str(value) for name, value in origin.items()}
    return {**fields, "provenance": provenance}
