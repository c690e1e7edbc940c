"""Write the questionnaires in disguise, and record the answers to them.

The first command writes ``VARIANT.txt`` for each disguise: the questionnaires of the
paper's ten tables one after the other, by number, for a language model that is to see
nothing else. The second takes ``VARIANT.json``, its answers, checks that every feature
has a whole score from -10 to 10, and keeps them in the form of the recorded priors.

    python -m benchmarks disguised-priors ask FOLDER
    python -m benchmarks disguised-priors record FOLDER --provenance "Who, when, how."
    python -m benchmarks disguised-priors record FOLDER --variants names --provenance ..
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.console import echo, say
from benchmarks.data.catalogue import PAPER
from benchmarks.data.disguise import FOLDER, VARIANTS, Questionnaire, disguised
from benchmarks.programs import RequestError, make_parser, run_program
from llmreg.prior import SCORE_LIMIT

_FORM = (
    'Answer with one JSON object: {"1": {"<feature key>": <integer>, ...}, "2": {...}, '
    f'..., "{len(PAPER)}": {{...}}}}. The outer keys are the numbers of the '
    "questionnaires. The inner keys are exactly the feature keys as listed, copied "
    "letter by letter: what stands between the number of the line and the colon (or "
    "the end of the line, where there is no colon). Leave no feature out and add none."
)


class AnswerError(ValueError):
    """An answer that does not fit its questionnaire."""


def question_text(variant: str, cards: Sequence[str] = PAPER) -> str:
    """Put the questionnaires of several tables into one text.

    The text has only the numbers of the cards, for a name would tell.
    """
    asked = [
        f"Questionnaire {number}\n\n{disguised(card, variant).text}"
        for number, card in enumerate(cards, 1)
    ]
    intro = f"{len(cards)} questionnaires follow, each to be answered by itself."
    parts = [f"{intro}\n{_FORM}\n", *asked, f"The form of the answer\n{_FORM}\n"]
    return "\n".join(parts)


def checked(answer: Mapping[str, Any], asked: Questionnaire) -> dict[str, int]:
    """Hold an answer against its questionnaire.

    Returns the scores in the order of the questionnaire. Raises AnswerError where
    features are missing or unknown, or scores are not whole or out of range.
    """
    keys = [item.key for item in asked.items]
    faults = {
        "missing": [key for key in keys if key not in answer],
        "not asked about": [key for key in answer if key not in keys],
        f"no whole number from -{SCORE_LIMIT} to {SCORE_LIMIT}": [
            f"{key}: {score!r}"
            for key, score in answer.items()
            if type(score) is not int or abs(score) > SCORE_LIMIT
        ],
    }
    found = [f"{fault}: {', '.join(keys)}" for fault, keys in faults.items() if keys]
    if found:
        raise AnswerError("; ".join(found))
    return {key: answer[key] for key in keys}


def record(
    variant: str,
    answers: Mapping[str, Mapping[str, Any]],
    provenance: str,
    folder: Path = FOLDER,
) -> None:
    """Keep the answers to a disguise, one file per table.

    The answers are scores by feature, by the number of the questionnaire. Where one
    does not fit, AnswerError is raised and nothing is written.
    """
    records, faults = {}, []
    for number, card in enumerate(PAPER, 1):
        asked = disguised(card, variant)
        try:
            scores = checked(answers.get(str(number), {}), asked)
        except AnswerError as error:
            faults.append(f"{variant}, questionnaire {number}: {error}")
            continue
        records[card] = {
            "name": card,
            "scale": [-SCORE_LIMIT, SCORE_LIMIT],
            "provenance": provenance,
            "questionnaire": asked.text,
            "estimates": [{"yes": scores}],
        }
    if faults:
        raise AnswerError("\n".join(faults))
    for card, kept in records.items():
        path = folder / variant / f"{card}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(kept, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where an answer does not fit."""
    return run_program(_run, _parser(), arguments, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Write the questions, or keep the answers."""
    if options.action == "ask":
        options.folder.mkdir(parents=True, exist_ok=True)
        for variant in options.variants:
            path = options.folder / f"{variant}.txt"
            path.write_text(question_text(variant), encoding="utf-8")
            n_asked = sum(len(disguised(card, variant).items) for card in PAPER)
            echo(f"{path}: {n_asked} features")
        return 0
    if not options.provenance.strip():
        raise RequestError(
            '--provenance "Who, when, how." says where the answers are from.'
        )
    failed = 0
    for variant in options.variants:
        path = options.folder / f"{variant}.json"
        if not path.exists():
            say(f"{variant}: no answer in {path}")
            continue
        try:
            answers = json.loads(path.read_text(encoding="utf-8"))
            record(variant, answers, options.provenance)
        except AnswerError as error:
            say(str(error))
            failed = 1
    return failed


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("benchmarks disguised-priors", __doc__)
    parser.add_argument("action", choices=["ask", "record"])
    parser.add_argument("folder", type=Path, help="of the questions or the answers")
    parser.add_argument("--provenance", default="", help="where the answers are from")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=list(VARIANTS),
        default=list(VARIANTS),
        metavar="NAME",
        help=f"disguises, of {', '.join(VARIANTS)} (all)",
    )
    return parser
