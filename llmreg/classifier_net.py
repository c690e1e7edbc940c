"""A net of classes, as scikit-learn's scorers and skorch's callbacks expect it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from torch import Tensor

from llmreg.net import AlignedNet


class AlignedClassifierNet(ClassifierMixin, AlignedNet):  # type: ignore[misc]
    """An :class:`AlignedNet` whose predictions are classes.

    scikit-learn's scorers take it, and so do the callbacks of skorch that are made of
    them. It knows classes by their places: 0 is ``classes_[0]`` of the estimator.

    Parameters
    ----------
    *args : tuple
        Passed to :class:`AlignedNet`.
    **kwargs : dict
        Passed to :class:`AlignedNet`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("predict_nonlinearity", class_probabilities)
        super().__init__(*args, **kwargs)

    @property
    def classes_(self) -> np.ndarray:
        """The places of the classes."""
        return np.arange(max(2, self.n_outputs))

    def predict(self, X: Any) -> np.ndarray:
        """Return the place of the likeliest class of each row.

        Parameters
        ----------
        X : array, tensor or Dataset
            Encoded rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Places of classes.
        """
        places: np.ndarray = self.predict_proba(X).argmax(axis=1)
        return places


def class_probabilities(logits: Tensor) -> Tensor:
    """Turn logits into the probabilities of the classes.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_outputs)
        One output is the logit of the second of two classes.

    Returns
    -------
    Tensor of shape (n_samples, n_classes)
        Probabilities.

    Examples
    --------
    >>> import torch
    >>> from llmreg.classifier_net import class_probabilities
    >>> class_probabilities(torch.tensor([[0.0]]))
    tensor([[0.5000, 0.5000]])
    """
    if logits.shape[1] == 1:
        return torch.cat([-logits, logits], dim=1).sigmoid()
    return logits.softmax(dim=1)
