"""Unknown values, with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unknown:
    """Placeholder for an unknown value; ``str()`` is the reason.

    A function that returns ``Score | Unknown`` returns a score or the reason why there is none. Type checkers then
    require that both cases are handled; a text in place of the score could be taken for one.

    Attributes
    ----------
    reason
        Words that complete "unknown: ...", without a full stop.

    Examples
    --------
    >>> score = Unknown("the training antibodies are unknown")
    >>> f"No score: {score}."
    'No score: the training antibodies are unknown.'
    """

    reason: str

    def __str__(self) -> str:
        return self.reason
