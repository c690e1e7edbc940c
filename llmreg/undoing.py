"""After a fit that failed there is no half of a model."""

from __future__ import annotations

from typing import Any

# What describes a net, and must not outlive it.
_OF_THE_NET = (
    *("net_", "coef_", "intercept_", "n_iter_", "gamma_"),
    *("trust_", "attributions_", "alignment_"),
)
# What a fit learns beside names that end in "_".
_LEARNT_BESIDE = {
    *("_device", "_seed", "_has_names"),
    *("_is_single", "_target_label", "_target_labels"),
}


def undo_fit(estimator: Any, before: dict[str, Any]) -> None:
    """Take back what a fit that failed has learnt.

    With `warm_start` the last model comes back. Else there is none afterwards, unless
    the fit failed before it touched the last one; what was paid for, the prior, stays.

    Parameters
    ----------
    estimator : estimator
        Whose fit has failed.
    before : dict
        Its attributes when the fit began.
    """
    now = estimator.__dict__
    if estimator.warm_start and "net_" in before:
        learnt = {name for name in {*now, *before} if name.endswith("_")}
        for name in learnt | _LEARNT_BESIDE:
            now.pop(name, None)
            if name in before:
                now[name] = before[name]
    elif "net_" not in now or now["net_"] is not before.get("net_"):
        for name in _OF_THE_NET:
            now.pop(name, None)
