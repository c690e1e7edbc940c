"""How sure an estimator is of its predictions, and which label would tell most."""

from abc import abstractmethod
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from llmreg.exceptions import NoPosteriorError
from llmreg.nn._net import AlignedNet
from llmreg.posterior._labelling import expected_reduction, pick
from llmreg.posterior._posterior import Posterior
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._validation import check_table


class UncertaintyMixin:
    """What the posterior of an estimator is used for."""

    encoder_: TableEncoder
    net_: AlignedNet
    posterior_: Posterior | None
    target_scaler_: Any

    def rank_unlabelled(
        self, X: Any, n_rows: int | None = None, *, return_utilities: bool = False
    ) -> Any:
        """Return which rows to label next, best first.

        Best is the row whose label is expected to make the predictions of all rows of
        `X` most certain: a label tells about every row that is like its own, most where
        the model does not know yet and where the outcome is not a matter of chance.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows without a label.
        n_rows : int, default=None
            How many rows will be labelled before the next fit: each is chosen as if
            those before it had a label, so that they are not alike. None ranks all
            rows, each as if it alone got one.
        return_utilities : bool, default=False
            Return how much each row would tell, too.

        Returns
        -------
        rows : ndarray of shape (min(n_rows, n_samples),) or (n_samples,)
            Positions in `X`.
        utilities : ndarray of shape (n_samples,)
            For each row of `X`, what its label alone is expected to take off the mean
            variance of the predictions: of the probabilities, summed over the logits
            that the model has; in a regression, of the standardized targets. Only with
            `return_utilities`.

        Raises
        ------
        NoPosteriorError
            If the model has no `posterior_`.

        Examples
        --------
        >>> import numpy as np
        >>> from llmreg import LLMAttributionClassifier
        >>> X = np.random.default_rng(0).random((30, 2))
        >>> model = LLMAttributionClassifier([5, 1]).fit(X[:2], ["no", "yes"])
        >>> model.rank_unlabelled(X[2:], n_rows=3).shape
        (3,)
        """
        if n_rows is not None:
            check_scalar(n_rows, "n_rows", Integral, min_val=1)
        posterior, columns = self._known(X)
        factors = posterior.factors(columns).astype(np.float64)
        noise, slope = self._label_noise(self._outputs(X).astype(np.float64))
        utilities = expected_reduction(factors, noise, slope)
        if n_rows is None:
            rows = np.argsort(-utilities, kind="stable")
        else:
            rows = pick(factors, noise, slope, min(n_rows, len(columns)))
        return (rows, utilities) if return_utilities else rows

    def _label_noise(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the variance of a label, and how predictions move with outputs."""
        noise = [one.variance for one in self._need_posterior().noise]
        if self._loss_name() == "poisson":
            means = np.exp(outputs)
            return noise[0] / (means * np.exp(self.target_scaler_.mean_)), means
        if noise:
            ones = np.ones_like(outputs)
            return ones * noise, ones
        p = expit(outputs) if outputs.shape[1] == 1 else softmax(outputs, axis=1)
        # A logit that is all but certain learns nothing from its own label.
        slope = np.maximum(p * (1 - p), 1e-12)
        return 1 / slope, slope

    @abstractmethod
    def _loss_name(self) -> str:
        """Return what the outputs are of."""

    @abstractmethod
    def _outputs(self, X: Any) -> np.ndarray:
        """Return the outputs of the net for rows of a table."""

    def _uncertain(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the means of outputs, and their standard deviations."""
        posterior, columns = self._known(X)
        outputs = self._outputs(X).astype(np.float64)
        shift, deviation = posterior.moments(columns)
        return outputs + shift, deviation

    def _known(self, X: Any) -> tuple[Posterior, Any]:
        """Return the posterior, and rows as it takes them."""
        posterior = self._need_posterior()
        columns = self.encoder_.encode(check_table(self, X, reset=False))
        module = getattr(self.net_.module_, "linear", self.net_.module_)
        basis = getattr(module, "basis", None)
        return posterior, columns if basis is None else basis.design(columns)

    def _need_posterior(self) -> Posterior:
        """Return the posterior, or say why there is none."""
        check_is_fitted(self, "net_")
        if self.posterior_ is None:
            raise NoPosteriorError(
                "This model does not know how uncertain it is: that takes "
                'gamma="auto", a prior that has scores or curves, and no training loop '
                "(partial_fit, early_stopping, net__*, or another solver or "
                "attribution than the default), and for classes no trees on top "
                "(trees=None). Fit such a model, or put intervals around "
                "this one with conformal prediction, for example with MAPIE."
            )
        return self.posterior_
