"""Scores of a model in the cross-validation of its training antibodies, computed once, when they are first needed."""

from collections.abc import Callable, Mapping
from typing import Any

from antibody_esm.unknown import Unknown

NOT_WANTED = Unknown("the model was fitted with scores=False")
"""Reason of a model that has no scores because its user wanted none."""
NOT_SAVED = Unknown("none were saved with the model")


class ModelScores:
    """Scores that are saved with a model, or the reason why there are none.

    A fit does not wait for them: they are computed on first use, which is `Predictor.save` as a rule. So they do not
    depend on the order of calls.

    Parameters
    ----------
    compute
        Function that returns the scores as plain JSON values, or the reason.

    Examples
    --------
    >>> scores = ModelScores(lambda: {"scores": {"roc_auc": {"mean": 0.8}}})
    >>> scores.value["scores"]
    {'roc_auc': {'mean': 0.8}}
    >>> ModelScores.of(None).value
    Unknown(reason='none were saved with the model')
    """

    def __init__(self, compute: Callable[[], Mapping[str, Any] | Unknown]) -> None:
        self._compute: Callable[[], Mapping[str, Any] | Unknown] | None = compute
        self._value: dict[str, Any] | Unknown = NOT_SAVED

    @classmethod
    def of(cls, scores: Mapping[str, Any] | Unknown | None) -> "ModelScores":
        """Return scores that are known already; None is the lack of them."""
        made = cls(lambda: NOT_SAVED if scores is None else scores)
        assert made.value is not None  # noqa: S101  nothing is left to compute
        return made

    @property
    def value(self) -> dict[str, Any] | Unknown:
        """The scores as plain JSON values, or the reason why there are none."""
        if self._compute is not None:
            value = self._compute()
            self._value = value if isinstance(value, Unknown) else dict(value)
            self._compute = None  # with the vectors that it holds
        return self._value

    @property
    def ready(self) -> dict[str, Any] | None:
        """The scores if they are known without computation, for a ``repr``; else None."""
        return self.metrics if self._compute is None else None

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The scores, or None."""
        return None if isinstance(self.value, Unknown) else self.value
