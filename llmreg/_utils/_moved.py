"""Import paths of version 0.1, which go on working: old module, new package."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_PROVIDERS = (
    "anthropic anthropic_batch base cache cache_entries cached costs ensemble hosted "
    "interview llm local openai registry retry static"
).split()
MOVED = {
    "llmreg.attribution": "llmreg.nn",
    "llmreg.criterion": "llmreg.nn",
    "llmreg.display": "llmreg.inspection",
    "llmreg.encoding": "llmreg.preprocessing",
    "llmreg.report": "llmreg.inspection",
    "llmreg.task": "llmreg.prior",
    "llmreg.verdict": "llmreg.linear_model",
    # No page showed these, but programs of one's own may call them.
    "llmreg.commands": "llmreg.cli",
    "llmreg.commands.batch": "llmreg.cli._elicit",
    "llmreg.demo": "llmreg.cli._demo",
    # No page showed these, but the pickles of fitted models name them.
    "llmreg.automl.autogluon": "llmreg.automl._autogluon",
    "llmreg.automl.flaml": "llmreg.automl._flaml",
    "llmreg.automl.model": "llmreg.automl._model",
    "llmreg.classifier_net": "llmreg.nn._net",
    "llmreg.corrected": "llmreg.nn._factory",
    "llmreg.folding": "llmreg.preprocessing._scaler",
    "llmreg.net": "llmreg.nn._net",
    "llmreg.optimizers": "llmreg.nn._net",
    "llmreg.passes": "llmreg.nn._net",
    "llmreg.ranges": "llmreg.preprocessing._scaler",
    **{f"llmreg.providers.{name}": "llmreg.providers" for name in _PROVIDERS},
}


class MovedModules(MetaPathFinder, Loader):
    """Finds a module of version 0.1 where its names are now."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Claim the old names, and no others."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the new package in the old one's place."""
        sys.modules[module.__name__] = import_module(MOVED[module.__name__])
