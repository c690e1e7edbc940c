"""What is told of every pass over the rows of skorch's training loop."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

from skorch.callbacks import Callback

from llmreg.log import get_logger
from llmreg.stages import following

logger = get_logger(__name__)


class PassReport(Callback):
    """Logs the losses of every pass, and tells scikit-learn's callbacks of it.

    Where one of these asks to stop, the training ends as it does for skorch's own
    early stopping. Nothing is kept from one training to the next.
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Tell that a loop begins.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net.
        **kwargs : dict
            What skorch passes on.
        """
        self._stack, self._step = ExitStack(), None
        self._follower = following()
        if self._follower is not None:
            loop = self._follower.loop("passes", net.max_epochs)
            is_told = self._stack.enter_context(loop)
            # With the estimator's own net it can predict after every pass.
            estimator = vars(self._follower.estimator)
            self._follower.is_usable = estimator.get("net_") is net
            if not is_told:
                self._follower = None

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Tell that a pass begins.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net.
        **kwargs : dict
            What skorch passes on.
        """
        if self._follower is not None:
            self._step = self._follower.begin_step("pass")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Log the losses; stop where a callback asks to.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net.
        **kwargs : dict
            What skorch passes on.
        """
        tell_losses(net.history[-1])
        if self._follower is not None and self._follower.end_step(self._step):
            # As skorch's callbacks do: its loop takes it for a wish to stop.
            raise KeyboardInterrupt

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Tell that the loop has ended.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net.
        **kwargs : dict
            What skorch passes on.
        """
        self._stack.close()
        self.__dict__.clear()

    def __getstate__(self) -> dict[str, Any]:
        # A training that failed leaves what belongs to the process.
        return {}


def tell_losses(epoch: Any) -> None:
    """Log the losses of a pass.

    Parameters
    ----------
    epoch : mapping
        Its entry in the history of a net.
    """
    if not logger.isEnabledFor(logging.DEBUG):
        return
    losses = [
        f"{name.removesuffix('_loss')} {epoch[name]:.6g}"
        for name in ("train_loss", "valid_loss")
        if name in epoch
    ]
    logger.debug("pass %d: loss %s", epoch["epoch"], ", ".join(losses))


def say(text: str) -> None:
    """Log what a callback of skorch's would print.

    Parameters
    ----------
    text : str
        The text.
    """
    logger.info("%s", text)
