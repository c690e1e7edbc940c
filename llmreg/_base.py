"""What the two estimators share: fit as an outline, and the state it leaves."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from llmreg._elicitation import ElicitationMixin
from llmreg._fitted import CoefficientsMixin, UncertaintyMixin
from llmreg._from_prior import FromPriorMixin
from llmreg._utils import rollback
from llmreg._utils._log import get_logger, showing
from llmreg._utils._progress import CallbackSupportMixin, follow, stage
from llmreg._utils._reproducibility import limit_blas, limit_openmp, limit_threads
from llmreg.exceptions import FeatureNamesError
from llmreg.linear_model._trees import Trees
from llmreg.linear_model._trust import Trust, each_trust, has_opinion, one_or_each
from llmreg.nn._factory import (
    is_averaged,
    make_net,
    prior_of_shapes,
    resolve_device,
    user_settings,
)
from llmreg.nn._net import AlignedNet
from llmreg.nn._training import (
    check_weights,
    mean_attributions,
    n_iterations,
    predict_outputs,
    shift_outputs,
    train,
    train_automatically,
)
from llmreg.posterior._posterior import Posterior
from llmreg.preprocessing._basis import make_basis, scale_to_curves
from llmreg.preprocessing._columns import kept_columns, placed_columns
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._sparse import to_dense
from llmreg.preprocessing._units import settle_units
from llmreg.preprocessing._validation import (
    check_table,
    is_foreign,
    to_pandas,
    unmasked,
    weigh_rows,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._names import column_names
from llmreg.providers._resolve import (
    WAYS_TO_NAMES,
    PriorSource,
    known_levels,
    needs_names,
    prior_source,
)

logger = get_logger(__name__)

# Rows from which on trees have more than one thread: of fewer each waits for the others
# more than it works.
_MANY = 10_000


class BaseAttributionEstimator(
    FromPriorMixin,
    CoefficientsMixin,
    UncertaintyMixin,
    CallbackSupportMixin,
    ElicitationMixin,
    ABC,
):
    """Base of the estimators, which say how targets are encoded and predicted."""

    _added: ClassVar = {"posterior_": None, "trees_": None}
    _seed: int
    trust_: Trust | tuple[Trust, ...] | None
    posterior_: Posterior | None
    trees_: Trees | None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Get the prior and train the model.

        1. Check that the prior, or its provider, is at hand.
        2. Check the rows and the targets.
        3. Encode the table: impute, scale, one column per level.
        4. Score the encoded columns: ask the provider, or match names.
        5. Train the net on the aligned loss.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows: numbers, booleans, strings, categories, missing values. Columns of a
            sparse matrix are scaled so that zeros stay zeros.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Class labels, or the targets of a regression.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        PriorError
            If the prior does not fit the table.
        ProviderError
            If the provider gives no prior and `on_error` is "raise"; nothing has
            been trained then.
        DataError
            If labels are missing, or there is only one class.
        EncodingError
            If a column has no encoding, or names are needed and absent.
        ModuleOutputError
            If `module` does not fit.
        DeviceError
            If `device` is not there.
        """
        return self._fit(X, y, sample_weight)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Any = None,
        *,
        one_pass: bool = False,
    ) -> Self:
        """Fit, or go over the rows once from where the last model stands."""
        goes_on = one_pass and hasattr(self, "net_")
        n_threads = self._n_threads()
        with (
            nullcontext() if goes_on else rollback(self),
            showing(type(self).__name__, int(self.verbose)),
            follow(self, X, y, sample_weight, 2 if goes_on else 3),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            # What can fail without the data fails before they are touched, and before
            # anybody is asked for a prior.
            if one_pass and self.early_stopping:
                raise ValueError(
                    "partial_fit does not support early_stopping=True: it goes over "
                    "a piece once, and holds back no rows of it. Set "
                    "early_stopping=False."
                )
            self._check_declared(one_pass)
            self._device = resolve_device(self.device)
            user_settings(self)
            source = None if goes_on else prior_source(self.prior)
            with stage("encode"):
                X, y, sample_weight = self._encode(
                    X, y, sample_weight, source, classes, reset=not goes_on
                )
            if not goes_on:
                kept = kept_columns(self.encoder_.columns_, self.biased_features)
                with stage("ask", None):
                    prior = self._elicit(source)
                self.prior_ = settle_units(
                    prior, self.encoder_, X, self._targets(y), self.on_unit_mismatch
                )
            with (
                stage("train", None),
                limit_threads(n_threads),
                limit_blas(n_threads),
                limit_openmp(self._n_tree_threads(X)),
            ):
                prior = None if goes_on else prior_of_shapes(self, self.prior_)
                if prior is not None:
                    scale_to_curves(self.encoder_, prior)
                    y = self._anchor(y, sample_weight)
                encoded = self.encoder_.encode(X)
                if prior is not None and self.gamma != "auto":
                    encoded = to_dense(encoded)
                rows = encoded, y, sample_weight
                basis = make_basis(self.encoder_, prior, rows[0], self._loss_name())
                if basis is not None:
                    log_odds = self._expected_log_odds(rows[1], sample_weight)
                    basis = replace(basis, log_odds=log_odds)
                if goes_on:
                    self._seed += 1
                else:
                    generator = check_random_state(self.random_state)
                    self._seed = int(generator.randint(np.iinfo(np.int32).max))
                    make = self._net_maker(self.prior_, sample_weight.sum(), self._seed)
                    make = partial(make, basis=basis)
                if goes_on and self.trees_ is not None:
                    warnings.warn(
                        "partial_fit leaves out the boosted trees on top of this model "
                        "(trees_), which would not learn from further rows. Call fit "
                        "with all rows to have them.",
                        stacklevel=4,
                    )
                    told = [replace(one, trees="") for one in each_trust(self.trust_)]
                    self.trust_ = one_or_each(told)
                self.posterior_ = self.trees_ = None
                if not goes_on and self.gamma == "auto" and has_opinion(self.prior_):
                    self.net_, model, self.trees_ = train_automatically(
                        *(make, *rows, self.prior_, self),
                        task=self._loss_name(),
                        device=self._device,
                        seed=self._seed,
                        # Pieces that follow would leave trees out again.
                        columns=[] if one_pass else placed_columns(self.encoder_),
                        in_double=lambda some: self._in_double(X[some]),
                        basis=basis,
                        kept=kept,
                    )
                    self.gamma_, self.trust_ = model.gamma, one_or_each(model.trust)
                    self.posterior_ = model.posterior
                else:
                    if not goes_on:
                        gamma = 0.0 if self.gamma == "auto" else float(self.gamma)
                        self.net_, self.trust_ = make(gamma, self.score_transform), None
                    train(self.net_, *rows, self, seed=self._seed, one_pass=one_pass)
                    self.gamma_ = float(self.net_.criterion_.gamma)
                outputs = partial(self._outputs_of, X)
                shift = self._shift(outputs, rows[1], sample_weight)
                if shift is not None and self.trees_ is not None:
                    self.trees_ = replace(self.trees_, shift=shift)
                elif shift is not None:
                    shift_outputs(self.net_, shift)
                check_weights(self.net_)
                self._describe_model(rows[0], sample_weight)
        return self

    def _encode(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        source: PriorSource | None,
        classes: Any = None,
        *,
        reset: bool = True,
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """Check the rows, leave out those of weight zero, and fit the encoding."""
        X = check_table(self, X, y, reset=reset)
        y = self._check_target(to_pandas(y) if is_foreign(y) else unmasked(y))
        X, y, sample_weight = weigh_rows(X, y, sample_weight)
        if reset and not self.warm_start:
            # A fit that fails from here on leaves no model, rather than the old net
            # behind a new encoding.
            self.__dict__.pop("net_", None)
        row_weight = sample_weight
        y, sample_weight = self._encode_target(y, sample_weight, classes, reset)
        # Rows of classes of weight zero are not there, either. What the encoding learns
        # has no weights of classes.
        X, kept, sample_weight = weigh_rows(X, np.arange(len(X)), sample_weight)
        y, row_weight = y[kept], row_weight[kept]
        if not reset:
            self.encoder_.extend(X)
            return X, y, sample_weight
        names, self._has_names = column_names(X, self.feature_names)
        is_asked = self._is_asked(source)
        if is_asked and needs_names(source) and not self._has_names:
            raise FeatureNamesError(
                "The provider judges features by their names, but the columns of "
                f"X have none. {WAYS_TO_NAMES}"
            )
        self.encoder_ = TableEncoder(
            scaler=self.scaler,
            imputer=self.imputer,
            encoder=self.encoder,
            levels=known_levels(source, names),
            feature_kinds=self.feature_kinds,
        ).fit(X, feature_names=names, sample_weight=row_weight, told=is_asked)
        logger.info(
            "%d rows of %d columns, encoded in %d",
            *(len(X), len(names), len(self.encoder_.columns_)),
        )
        return X, y, sample_weight

    def _net_maker(
        self, prior: FeaturePrior | None, total_weight: float, seed: int
    ) -> Callable[..., AlignedNet]:
        """Return `make_net` for a prior, without gamma and the score transform."""
        scores, last_weights = None, None
        # Without any score there is nothing to align with.
        if prior is not None and not np.isnan(prior.scores).all():
            scores = prior.scores
        if self.warm_start and hasattr(self, "net_"):
            last_weights = dict(self.net_.module_.state_dict())
        return partial(
            make_net,
            self,
            self._device,
            scores=scores,
            task=self._loss_name(),
            n_features=len(self.encoder_.columns_),
            n_outputs=self._n_outputs(),
            total_weight=total_weight,
            seed=seed,
            last_weights=last_weights,
        )

    def _describe_model(self, X: Any, sample_weight: np.ndarray) -> None:
        """Set the attributes that tell what the model has learnt, and log them."""
        self.n_iter_ = n_iterations(self.net_)
        mean, cosine = mean_attributions(self.net_, X, sample_weight)
        self.alignment_ = cosine.cpu().numpy()
        self.attributions_ = mean.cpu().numpy().astype(np.float64)
        for trust in each_trust(self.trust_):
            logger.info("%s", trust.verdict)
        text = f"trained in {self.n_iter_} steps"
        if self.prior_ is not None:
            cosines = ", ".join(f"{cosine:.3f}" for cosine in self.alignment_)
            text += f"; gamma {self.gamma_:.3g}, alignment with the prior {cosines}"
        logger.info(text)

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the outputs of the module, of shape (n_samples, n_outputs)."""
        check_is_fitted(self, "net_")
        X = check_table(self, X, reset=False)
        with limit_threads(self._n_threads()), limit_openmp(self._n_tree_threads(X)):
            return self._outputs_of(X)

    def _outputs_of(self, X: Any) -> np.ndarray:
        """Return the outputs for checked rows, those of trees on top included."""
        if self.trees_ is None:
            return predict_outputs(self.net_, self.encoder_.encode(X))
        X = self._in_double(X)
        return self.trees_.add_to(predict_outputs(self.net_, X), X)

    def _in_double(self, X: Any) -> Any:
        """Encode rows for trees: what rounding moves across a split is misjudged."""
        return self.encoder_.encode(X, np.float64)

    def _n_threads(self) -> int:
        return int(effective_n_jobs(self.n_jobs or 1))

    def _n_tree_threads(self, X: Any) -> int:
        return self._n_threads() if X.shape[0] >= _MANY else 1

    @abstractmethod
    def _check_target(self, y: Any) -> Any:
        """Check the targets as given."""

    @abstractmethod
    def _encode_target(
        self, y: Any, sample_weight: np.ndarray, classes: Any, reset: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Turn targets into numbers; return them with the final weights."""

    def _targets(self, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the targets by output in their own units; classes have none."""
        return {}

    def _anchor(self, y: Any, sample_weight: Any) -> Any:
        return y

    def _shift(
        self,
        outputs: Callable[[], np.ndarray],
        y: np.ndarray,
        sample_weight: np.ndarray,
    ) -> np.ndarray | None:
        """Return what is added to all outputs, because of a declared base rate."""
        return None

    def _expected_log_odds(
        self, y: np.ndarray, sample_weight: np.ndarray
    ) -> float | None:
        """Return the log-odds that the prior expects of two classes, if it does."""
        return None

    def _check_declared(self, one_pass: bool) -> None:
        """Refuse what is declared of the rows where nothing would come of it."""
        makes_model = self.gamma == "auto" and is_averaged(self) and not one_pass
        keeps = self.biased_features is not None
        if keeps and (self.prior is None or not makes_model):
            raise ValueError(
                "biased_features keeps what the prior says of features. That takes a "
                'prior, fit, and gamma="auto" without a training loop (solver, '
                "attribution, early_stopping and net__* as they are by default). Set "
                "biased_features=None, or these."
            )
        has_rate = getattr(self, "base_rate", None) is not None
        if has_rate and (one_pass or self.warm_start):
            raise ValueError(
                "base_rate needs all rows at once, to tell how their classes were "
                "drawn. Set base_rate=None, or call fit with warm_start=False."
            )

    @abstractmethod
    def _loss_name(self) -> str:
        """Return "binary", "multiclass", "regression" or "poisson"."""

    @abstractmethod
    def _n_outputs(self) -> int:
        """Return the width of the module's output."""

    def __sklearn_clone__(self) -> Self:
        copy: Self = super().__sklearn_clone__()
        copy._is_clone = True
        return copy

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.imputer is not None
        tags.input_tags.string = self.encoder is not None
        tags.input_tags.categorical = self.encoder is not None
        return tags
