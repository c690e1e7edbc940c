"""Where priors come from: scores at hand, prior cards and language models."""

from llmreg.elicitation._cache import CacheEntry, PriorCache
from llmreg.elicitation._cost import Cost
from llmreg.elicitation._retry import TransientError
from llmreg.elicitation._sampling import Completion, Request
from llmreg.providers._anthropic import AnthropicProvider
from llmreg.providers._base import PriorCard, PriorProvider, StaticPrior
from llmreg.providers._batch import (
    BatchReport,
    collect_batch,
    count_lacking,
    submit_batch,
)
from llmreg.providers._composite import CachedProvider, EnsembleProvider
from llmreg.providers._hosted import HostedProvider
from llmreg.providers._llm import LLMProvider
from llmreg.providers._local import LocalProvider
from llmreg.providers._openai import OpenAIProvider
from llmreg.providers._resolve import make_provider, provider_names

__all__ = [
    "AnthropicProvider",
    "BatchReport",
    "CacheEntry",
    "CachedProvider",
    "Completion",
    "Cost",
    "EnsembleProvider",
    "HostedProvider",
    "LLMProvider",
    "LocalProvider",
    "OpenAIProvider",
    "PriorCache",
    "PriorCard",
    "PriorProvider",
    "Request",
    "StaticPrior",
    "TransientError",
    "collect_batch",
    "count_lacking",
    "make_provider",
    "provider_names",
    "submit_batch",
]
