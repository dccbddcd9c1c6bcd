"""A split spec becomes folds."""

import numpy as np
from numpy.typing import NDArray

from antibody_esm.errors import DatasetError
from antibody_esm.specs import SplitSpec

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def folds(spec: SplitSpec, label: NDArray[np.int64]) -> list[Fold]:
    """Return the indices of training and test rows of every fold; each row is tested once.

    Parameters
    ----------
    label
        ``(n,)``, 0 or 1; each fold has each class in the same proportion, as nearly as can be.

    Raises
    ------
    DatasetError
        If a class has fewer rows than there are folds, so that some fold could not be scored.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(label, minlength=2)
    if counts.min() < spec.folds:
        raise DatasetError(
            f"{spec.folds} folds need at least {spec.folds} antibodies of each class; "
            f"class {counts.argmin()} has {counts.min()}. Set split.folds lower",
            column="label",
        )
    seed = spec.random_state if spec.shuffle else None
    splitter = StratifiedKFold(spec.folds, shuffle=spec.shuffle, random_state=seed)
    return list(splitter.split(np.zeros(len(label)), label))
