"""Draws of a learning curve: nested training sets of whole units, each with the held-out rows of a fold."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import DatasetError
from antibody_esm.evaluation.splits import Division, Fold
from antibody_esm.evaluation.stratification import strata
from antibody_esm.specs import OF_THE_DATA, SplitSpec

FEW = 10
"""Smallest training set, in antibodies."""
FEW_OF_A_CLASS = 5
"""Antibodies of each class that the smallest training set has on average."""
_FOLDS = 5
"""Most folds: a fifth is held out, since few held-out antibodies have a noisy score."""
_RANGE = 10
"""Largest training set over the smallest one."""
_SIZES = 3
"""Fewest sizes to which a curve is fitted."""


@dataclass(frozen=True, eq=False)
class Draw:
    """Training sets and held-out rows of one draw.

    Attributes
    ----------
    training
        Rows of each training set, ascending in size; each set holds the one before it.
    held_out
        Rows that are predicted at every size.
    """

    training: list[NDArray[np.int64]]
    held_out: NDArray[np.int64]


def draws(
    division: Division, label: NDArray[np.generic], *, continuous: bool = False, number: int = 30, points: int = 6
) -> list[Draw]:
    """Return the draws of a learning curve.

    The held-out rows are those of five folds, or of the split's folds if these are fewer, in as many repeats as the
    number of draws needs. The other rows
    are put into a random order, unit by unit, in which every part has about the proportion of classes of the whole.
    Training sets are beginnings of this order. Folds of the data and families are the same in every repeat, and only
    the order differs. With predefined folds, antibodies are added one by one: a fold is the whole that is held out, and
    no unit of what is collected. One antibody has no score: a fifth is held out instead.

    Parameters
    ----------
    division
        Division of the rows.
    label
        ``(n,)``, 0 or 1, or numbers.
    continuous
        True for numbers.
    number
        Smallest number of draws.
    points
        Largest number of sizes, which are a geometric series.

    Raises
    ------
    DatasetError
        As `Division.folds`; or if there are too few antibodies or units for three sizes, in half of the draws or more.

    Examples
    --------
    >>> first = draws(Division(SplitSpec(folds=5)), np.arange(100) % 2, number=5)[0]
    >>> [len(rows) for rows in first.training], len(first.held_out)
    ([10, 15, 23, 35, 53, 80], 20)
    """
    classes = strata(np.asarray(label, np.float64)) if continuous else np.asarray(label, np.int64)
    spec = division.spec
    if spec.by == "leave_one_out":
        spec = SplitSpec(folds=_FOLDS)
        division = Division(spec)
    folds = _folds(division, label, continuous, number)
    unit = np.arange(len(label)) if division.unit is None or spec.by == "fold" else division.unit
    unit = np.unique(unit, return_inverse=True)[1]
    targets = _targets(classes, max(len(train) for train, _ in folds), points, continuous)
    made = []
    for i, (train, test) in enumerate(folds):
        generator = np.random.default_rng((spec.random_state, i))
        made.append(Draw(_nested(train, unit[train], classes[train], targets, generator), test))
    distinct = [
        j
        for j in range(len(targets))
        if j == 0 or any(len(draw.training[j]) > len(draw.training[j - 1]) for draw in made)
    ]
    # Draws of units that differ in size have other sizes each: most draws need three of their own.
    sizes = int(np.median([len({len(rows) for rows in draw.training}) for draw in made]))
    if min(len(distinct), sizes) < _SIZES:
        units = len(np.unique(unit))
        raise DatasetError(
            f"a learning curve needs training sets of {_SIZES} sizes, and {units} units of split.by={spec.by} give "
            f"{min(len(distinct), sizes)}; use split.by=identity or split.by=antibody",
            column="groups",
        )
    return [Draw([draw.training[j] for j in distinct], draw.held_out) for draw in made]


def _folds(division: Division, label: NDArray[np.generic], continuous: bool, number: int) -> list[Fold]:
    """Return the folds of as many repeats as the number of draws needs."""
    spec = division.spec
    if spec.by not in OF_THE_DATA:
        spec = spec.model_copy(update={"folds": min(spec.folds, _FOLDS)})
    once = spec.model_copy(update={"repeats": 1})
    folds = division.again(once).folds(label, continuous=continuous)
    repeats = -(-number // len(folds))
    if spec.by in OF_THE_DATA or not spec.shuffle:
        return folds * repeats
    return division.again(spec.model_copy(update={"repeats": repeats})).folds(label, continuous=continuous)


def _targets(classes: NDArray[np.int64], largest: int, points: int, continuous: bool) -> list[int]:
    """Return the sizes to aim at; raise a DatasetError if antibodies are too few for three of them."""
    shares = np.bincount(classes, minlength=2) / len(classes)
    smallest = max(FEW, -(-largest // _RANGE))
    if not continuous:
        smallest = max(smallest, int(np.ceil(FEW_OF_A_CLASS / shares.min())))
    if largest < 2 * smallest:
        rare = int(shares.argmin())
        what = (
            f"{len(classes)} antibodies"
            if continuous or smallest == FEW
            else f"{len(classes)} antibodies, {int((classes == rare).sum())} of class {rare},"
        )
        raise DatasetError(
            f"a learning curve needs training sets from {smallest} to at least {2 * smallest} antibodies, and "
            f"{what} leave at most {largest} for training",
            column="label",
        )
    return sorted({round(size) for size in np.geomspace(smallest, largest, points)})


def _nested(
    train: NDArray[np.int64],
    unit: NDArray[np.int64],
    classes: NDArray[np.int64],
    targets: list[int],
    generator: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """Return training sets of whole units whose sizes are nearest to the targets, each a part of the next."""
    _, inverse, counts = np.unique(unit, return_inverse=True, return_counts=True)
    of_class = np.bincount(inverse, classes, minlength=len(counts)) * 2 > counts  # class of most rows of the unit
    place = np.empty(len(counts))
    for value in (False, True):
        chosen = np.flatnonzero(of_class == value)
        if len(chosen):
            place[chosen] = (generator.permutation(len(chosen)) + generator.random(len(chosen))) / len(chosen)
    order = np.argsort(place, kind="stable")
    sizes = np.cumsum(counts[order])
    rank = np.empty(len(counts), np.int64)
    rank[order] = np.arange(len(counts))
    ends = [int(np.abs(sizes - target).argmin()) for target in targets]
    ends[-1] = len(sizes) - 1
    assert all(first <= second for first, second in pairwise(ends))  # noqa: S101  targets ascend
    return [train[rank[inverse] <= end] for end in ends]
