"""Asking about tables through the batch interface of a vendor, for `llmreg elicit`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from llmreg.exceptions import ProviderError
from llmreg.prior._task import Task
from llmreg.providers._anthropic import AnthropicProvider
from llmreg.providers._anthropic_batch import (
    collect_batch,
    count_lacking,
    submit_batch,
)

#: What the option `--batch` means without the id of a batch.
NEW = "new"


def check_batches(provider: Any) -> None:
    """Refuse a provider whose vendor has no batches that we know of.

    Raises ProviderError if it is not Anthropic's.
    """
    if not isinstance(provider, AnthropicProvider):
        raise ProviderError(
            f"{type(provider).__name__} has no batch interface that llmreg knows; "
            "--provider anthropic has one. Leave --batch out."
        )


def fill_cache(provider: Any, tasks: Sequence[Task], batch: str = NEW) -> None:
    """Put the answers about some tasks into the cache, by way of batches.

    Raises ProviderError if answers are lacking afterwards, says why; and as
    `elicit` does.
    """
    while count_lacking(provider, tasks):
        name = batch if batch != NEW else submit_batch(provider, tasks)
        sys.stderr.write(
            f"batch {name}: waiting for its end, which may take hours; interrupt this "
            f"if you like, and collect it later with --batch {name}\n"
        )
        report = collect_batch(provider, tasks, str(name))
        sys.stderr.write(f"batch {name}: {report.kept} answers\n")
        # With n_estimates="auto" a batch is one round, and the next may be needed.
        # Only somebody who asks for a new batch has agreed to pay for it.
        if batch == NEW and report.kept and not report.failed:
            continue
        if lacking := count_lacking(provider, tasks):
            told = "; ".join(f"{who}: {why}" for who, why in report.failed.items())
            raise ProviderError(
                f"After the batch {name} {lacking} answers are lacking"
                f"{f' ({told})' if told else ''}. The others are in the cache. The "
                "same command asks for those: with --batch (and no id) in a new batch, "
                "without it at once, which also helps against replies that were cut "
                "off. An id of a batch for other tables or options answers nothing."
            )
