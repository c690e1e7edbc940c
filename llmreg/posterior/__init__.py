"""How uncertain a trained model is: of outcomes, of probabilities, of its outputs."""

from llmreg.posterior._posterior import Posterior

__all__ = ["Posterior"]
