"""Where priors come from: scores at hand, prior cards and language models."""

from __future__ import annotations

from llmreg.providers.anthropic import AnthropicProvider
from llmreg.providers.base import PriorProvider
from llmreg.providers.cache import PriorCache
from llmreg.providers.cached import CachedProvider
from llmreg.providers.costs import Cost
from llmreg.providers.ensemble import EnsembleProvider
from llmreg.providers.llm import LLMProvider
from llmreg.providers.local import LocalProvider
from llmreg.providers.openai import OpenAIProvider
from llmreg.providers.static import PriorCard, StaticPrior

__all__ = [
    "AnthropicProvider",
    "CachedProvider",
    "Cost",
    "EnsembleProvider",
    "LLMProvider",
    "LocalProvider",
    "OpenAIProvider",
    "PriorCache",
    "PriorCard",
    "PriorProvider",
    "StaticPrior",
]
