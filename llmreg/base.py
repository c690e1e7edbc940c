"""What the two estimators share: fit as an outline, and the state it leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from llmreg.automatic import train_automatically
from llmreg.building import (
    asks_for_loop,
    make_net,
    resolve_device,
    user_settings,
)
from llmreg.eliciting import ElicitingEstimator
from llmreg.folding import raw_outputs
from llmreg.frames import is_foreign, to_pandas
from llmreg.log import get_logger, showing
from llmreg.net import AlignedNet
from llmreg.reproducibility import limit_blas, limit_threads, torch_seed
from llmreg.resolve import prior_source
from llmreg.rows import check_table, weigh_rows
from llmreg.stages import CallbackSupportMixin, follow, stage
from llmreg.training import (
    check_weights,
    linear_weights,
    load_weights,
    mean_attributions,
    n_iterations,
    predict_outputs,
    train,
)
from llmreg.trusted import has_opinion
from llmreg.undoing import undo_fit
from llmreg.verdict import Trust, each_trust

logger = get_logger(__name__)


class BaseAttributionEstimator(CallbackSupportMixin, ElicitingEstimator, ABC):
    """Base of the estimators; not to be used on its own.

    A subclass says what it predicts: how targets are checked and encoded, what the
    outputs are called, and how they become predictions.
    """

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        goes_on: bool = False,
        one_pass: bool = False,
        **target_options: Any,
    ) -> Self:
        n_stages = 2 if goes_on else 3
        before = dict(vars(self))
        try:
            with (
                showing(type(self).__name__, int(self.verbose)),
                follow(self, X, y, sample_weight, n_stages),
                torch.enable_grad(),
            ):
                self._go_through_stages(
                    X, y, sample_weight, goes_on, one_pass, target_options
                )
        except BaseException:
            if not goes_on:
                undo_fit(self, before)
            raise
        return self

    def _go_through_stages(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        goes_on: bool,
        one_pass: bool,
        target_options: dict[str, Any],
    ) -> None:
        # What can fail without the data fails before they are touched, and before
        # anybody is asked for a prior.
        if one_pass and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it goes over a "
                "piece once, and holds back no rows of it. Set early_stopping=False."
            )
        self._device = resolve_device(self.device)
        user_settings(self)
        source = None if goes_on else prior_source(self.prior)
        with stage("encode"):
            X, y, sample_weight = self._check_rows(
                X, y, sample_weight, reset=not goes_on
            )
            before = self._warm_state()
            if not goes_on and not self.warm_start:
                # A fit that fails from here on leaves no model, rather than the old
                # net behind a new encoding.
                self.__dict__.pop("net_", None)
            y, sample_weight = self._encode_target(
                y, sample_weight, reset=not goes_on, **target_options
            )
            if not sample_weight.all():
                # Classes of weight zero: their rows are not there, either.
                X, y, sample_weight = weigh_rows(X, y, sample_weight)
            if not goes_on:
                self._fit_encoder(X, source)
        if not goes_on:
            with stage("ask"):
                self.prior_ = self._elicit(source)
        with stage("train", None):
            X = self.encoder_.encode(X)
            self._train(X, y, sample_weight, before, goes_on=goes_on, one_pass=one_pass)
            check_weights(self.net_)
            self._describe_model(X, sample_weight)
        self._tell_result()

    def _check_rows(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Any, Any, np.ndarray]:
        """Validate the rows, and leave out those of weight zero."""
        X = check_table(self, X, y, reset=reset)
        y = to_pandas(y) if is_foreign(y) else y
        return weigh_rows(X, self._check_target(y), sample_weight)

    def _train(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        before: dict[str, Any] | None,
        *,
        goes_on: bool,
        one_pass: bool,
    ) -> None:
        """Build the net, or go on with the last one, and train it."""
        if not goes_on:
            random_state = check_random_state(self.random_state)
            self._seed = int(random_state.randint(np.iinfo(np.int32).max))
        else:
            self._seed += 1
        n_threads = self._n_threads()
        with limit_threads(n_threads), limit_blas(n_threads):
            if not goes_on:
                if self._is_automatic():
                    self._train_automatically(X, y, sample_weight, before)
                    return
                self.trust_: Trust | tuple[Trust, ...] | None = None
                self.net_ = self._make_net(
                    self._scores(), sample_weight.sum(), self._seed
                )
                if before is not None:
                    load_weights(self.net_, before)
            # A user's module may draw random numbers while it trains, as dropout
            # does, and so may a loader; those of this package do not, and need not
            # wait for one another.
            with (
                nullcontext()
                if self.module is None and not asks_for_loop(self)
                else torch_seed(self._seed, self._device)
            ):
                train(
                    self.net_,
                    X,
                    y,
                    sample_weight,
                    self,
                    seed=self._seed,
                    one_pass=one_pass,
                )
            self.gamma_ = float(self.net_.criterion_.gamma)

    def _train_automatically(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray,
        before: dict[str, Any] | None,
    ) -> None:
        """Train with as much trust in the prior as the rows warrant."""

        def make(gamma: float, score_transform: Any, n_corrections: int) -> AlignedNet:
            net = self._make_net(
                self._scores(),
                sample_weight.sum(),
                self._seed,
                gamma=gamma,
                score_transform=score_transform,
                n_corrections=n_corrections,
            )
            if before is not None and n_corrections is None:
                load_weights(net, before)
            return net

        assert self.prior_ is not None
        self.net_, model = train_automatically(
            make,
            X,
            y,
            sample_weight,
            self.prior_,
            self,
            task=self._loss_name(),
            device=self._device,
            seed=self._seed,
        )
        self.gamma_ = model.gamma
        self.trust_ = model.trust[0] if len(model.trust) == 1 else model.trust

    def _make_net(
        self,
        scores: np.ndarray | None,
        total_weight: float,
        seed: int,
        *,
        gamma: float | None = None,
        score_transform: Any = None,
        n_corrections: int | None = None,
    ) -> AlignedNet:
        if score_transform is None:
            score_transform = self.score_transform
        with torch_seed(seed, self._device):
            return make_net(
                self,
                self._device,
                scores=scores,
                gamma=self._fixed_gamma() if gamma is None else gamma,
                score_transform="exp" if score_transform == "auto" else score_transform,
                n_corrections=n_corrections,
                task=self._loss_name(),
                n_features=len(self.encoder_.columns_),
                n_outputs=self._n_outputs(),
                total_weight=total_weight,
                seed=seed,
            )

    def _is_automatic(self) -> bool:
        """Tell whether there is a prior whose weight the rows are to decide."""
        return self.gamma == "auto" and has_opinion(self.prior_)

    def _fixed_gamma(self) -> float:
        """Return the weight of the penalty where no search decides it."""
        return 0.0 if self.gamma == "auto" else float(self.gamma)

    def _scores(self) -> np.ndarray | None:
        """Return the scores to align with; None, and so gamma 0, without opinion."""
        if self.prior_ is None or np.isnan(self.prior_.scores).all():
            return None
        return self.prior_.scores

    def _warm_state(self) -> dict[str, Any] | None:
        """Return the weights to start from, where the last fit left some."""
        if not (self.warm_start and hasattr(self, "net_")):
            return None
        return dict(self.net_.module_.state_dict())

    def _describe_model(self, X: np.ndarray, sample_weight: np.ndarray) -> None:
        """Set the attributes that tell what the model has learnt."""
        self.n_iter_ = n_iterations(self.net_)
        with limit_threads(self._n_threads()):
            mean = mean_attributions(self.net_, X, sample_weight)
            self.alignment_ = self.net_.criterion_.cosine(mean).cpu().numpy()
        self.attributions_ = mean.cpu().numpy().astype(np.float64)
        for name in ("coef_", "intercept_"):
            self.__dict__.pop(name, None)
        if weights := linear_weights(self.net_):
            self._set_coef(*(values.copy() for values in weights))

    def _tell_result(self) -> None:
        """Log what has come of the fit."""
        for trust in each_trust(self.trust_):
            logger.info("%s", trust.verdict)
        if self.prior_ is None:
            logger.info("trained in %d steps", self.n_iter_)
            return
        logger.info(
            "trained in %d steps; gamma %.3g, alignment with the prior %s",
            *(self.n_iter_, self.gamma_),
            ", ".join(f"{cosine:.3f}" for cosine in self.alignment_),
        )

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the outputs of the module, of shape (n_samples, n_outputs)."""
        check_is_fitted(self, "net_")
        X = check_table(self, X, reset=False)
        n_threads = self._n_threads()
        weights, ranges = linear_weights(self.net_), self.encoder_.ranges
        is_plain = isinstance(X, np.ndarray) and X.dtype.kind == "f"
        if weights is not None and ranges is not None and is_plain:
            with limit_blas(n_threads):
                outputs = raw_outputs(X, *weights, ranges, self.encoder_.encode)
            if outputs is not None:
                return outputs
        X = self.encoder_.encode(X)
        with limit_threads(n_threads):
            return predict_outputs(self.net_, X)

    def _n_threads(self) -> int:
        return int(effective_n_jobs(self.n_jobs or 1))

    @abstractmethod
    def _check_target(self, y: Any) -> Any:
        """Check the targets as given."""

    @abstractmethod
    def _encode_target(
        self, y: Any, sample_weight: np.ndarray, *, reset: bool, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Turn targets into numbers; return them with the final weights."""

    @abstractmethod
    def _task_names(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Return the names of the target, of the scored outputs, of the classes."""

    @abstractmethod
    def _loss_name(self) -> str:
        """Return the name of the task loss."""

    @abstractmethod
    def _n_outputs(self) -> int:
        """Return the width of the module's output."""

    @abstractmethod
    def _set_coef(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Set `coef_` and `intercept_` from the weights of a linear module."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = self.imputer is not None
        tags.input_tags.string = self.encoder is not None
        tags.input_tags.categorical = self.encoder is not None
        return tags
