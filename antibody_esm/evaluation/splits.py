"""Folds from a split spec: rows of one unit, a name or number, stay together."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from antibody_esm.data.identity import cluster, compared
from antibody_esm.errors import DatasetError, place
from antibody_esm.evaluation.stratification import spread, strata
from antibody_esm.specs import OF_THE_DATA, SplitSpec

if TYPE_CHECKING:
    from antibody_esm.data.dataset import Dataset

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]

_NAMES = {"antibody": "antibodies", "identity": "identity clusters", "group": "groups"}
_OUTER = "split.folds"
"""Field with the number of folds of a split that is not made within training antibodies."""
_FEWEST = 2
"""Folds, of which there cannot be fewer."""
_FOLD = "fold"
"""Name of the measurement with the predefined fold of each antibody."""


class Division:
    """A split of certain rows: its spec, and the unit of each row. Rows of one unit are in one fold.

    Parameters
    ----------
    spec
        Split of the rows.
    unit
        ``(n,)`` names or numbers, equal in rows that stay together; None if `by` is ``antibody``, since each row is
        its own unit then.
    setting
        Field with the number of folds, for messages.

    Raises
    ------
    ValueError
        If there are units but each antibody is its own unit, or the reverse.

    Examples
    --------
    >>> from antibody_esm import Dataset
    >>> data = Dataset(ids=["a", "b", "c"], heavy=["EVQLVESGGG", "DIQMTQSPSS", "EVQLVQSGGG"])
    >>> Division.of(SplitSpec(by="identity"), data).unit.tolist()
    [0, 1, 0]
    """

    def __init__(self, spec: SplitSpec, unit: NDArray[Any] | None = None, setting: str = _OUTER) -> None:
        if (unit is None) != (spec.by == "antibody"):
            rule = "takes no units" if spec.by == "antibody" else "needs the unit of each row, see Division.of"
            raise ValueError(f"a split by {spec.by} {rule}")
        self.spec = spec
        self.unit = unit
        self.setting = setting

    @classmethod
    def of(cls, spec: SplitSpec, data: "Dataset") -> "Division":
        """Return the division of a data set.

        Identity compares `Dataset.identity_sequences`: heavy chains if both chains are read.

        Raises
        ------
        DatasetError
            If the split needs groups, or a measurement ``fold``, and the data set has none.
        """
        return cls(spec, _units_of(spec, data))

    @classmethod
    def given(cls, split: "SplitSpec | Division") -> "Division":
        """Return a division; a spec is one if each antibody is its own unit. Raises ValueError for another spec."""
        return split if isinstance(split, Division) else cls(split)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec!r})"

    def part(self, rows: NDArray[np.int64]) -> "Division":
        """Return the division of some of the rows, such as the training rows of a fold, which keep their units."""
        return Division(self.spec, None if self.unit is None else self.unit[rows], self.setting)

    def again(self, spec: SplitSpec, setting: str | None = None) -> "Division":
        """Return another split of the same rows, which keeps the same units together; `setting` None is the same.

        Raises
        ------
        ValueError
            If it would keep other rows together.
        """
        if (spec.by, spec.identity) != (self.spec.by, self.spec.identity):
            mine, other = (
                f"by {each.by}" + (f" at {each.identity:g}" if each.by == "identity" else "")
                for each in (self.spec, spec)
            )
            raise ValueError(f"inner folds keep the same rows together as outer folds: both {mine}, not {other}")
        return Division(spec, self.unit, setting or self.setting)

    def folds(self, label: NDArray[Any], *, continuous: bool = False) -> list[Fold]:
        """Return the indices of training and test rows of every fold; each row is tested once in every repeat.

        Parameters
        ----------
        label
            ``(n,)``, 0 or 1; each fold has nearly the same proportion of each class, unless the folds are those of the
            data.
        continuous
            True for numbers, whose folds have the same proportion above the median.

        Returns
        -------
        One repeat after the other. Folds of the data are in the order of their sorted names.

        Raises
        ------
        DatasetError
            If a class has fewer antibodies, or is in fewer units, than there are folds, so that a fold could not be
            scored; if the data are of one family or fold only, or a class is missing without one of them; if classes
            are to be tested one antibody at a time.
        """
        spec, unit, setting = self.spec, self.unit, self.setting
        classes = strata(label) if continuous else label
        if unit is None:
            _refuse_few(spec, np.bincount(classes, minlength=2), continuous, setting)
            return [fold for i in range(spec.repeats) for fold in _stratified(spec, classes, _seed(spec, i))]
        if spec.by == "leave_one_out" and not continuous:
            raise DatasetError(
                "split.by=leave_one_out is for continuous labels: one antibody has no ROC AUC, and that of "
                "probabilities of different models is biased. Use split.repeats",
                column="label",
            )
        names, number = np.unique(unit, return_inverse=True)
        if spec.by in OF_THE_DATA:
            return _of_the_data(spec, label, names, number, continuous)
        counts = np.stack([np.bincount(number[classes == value], minlength=len(names)) for value in (0, 1)], axis=1)
        _refuse_few(spec, (counts > 0).sum(axis=0), continuous, setting)
        repeats = [spread(counts, spec.folds, _seed(spec, repeat))[number] for repeat in range(spec.repeats)]
        return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for fold in repeats for i in range(spec.folds)]


class Splitter:
    """Any split as a scikit-learn splitter, for `cross_validate`, `GridSearchCV` and the like.

    Parameters
    ----------
    spec
        The meaning of `groups` depends on `by`. ``identity``: sequences or texts of pairs (`Antibody`), whose heavy
        chains are compared. ``group`` and ``family``: names. ``fold``: the number of the fold in which each row is
        tested. ``antibody`` ignores them. Without groups, X takes their place if it is one-dimensional.

    Examples
    --------
    >>> splitter = Splitter(SplitSpec(by="family"))
    >>> [test.tolist() for _, test in splitter.split([[0]] * 4, [0, 1, 0, 1], groups=["HIV", "HIV", "flu", "flu"])]
    [[0, 1], [2, 3]]
    """

    def __init__(self, spec: SplitSpec | None = None) -> None:
        self.spec = spec or SplitSpec()

    def __repr__(self) -> str:
        return f"Splitter({self.spec!r})"

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[Fold]:
        """Yield the indices of training and test rows of every fold.

        Parameters
        ----------
        X
            ``n`` rows.
        y
            ``(n,)``, of two classes.
        groups
            ``(n,)``, see above.

        Raises
        ------
        DatasetError, ValueError
            As `Division.folds`; and if there are not two classes, or the split needs groups and there are none.
        """
        classes, label = np.unique(np.asarray(y), return_inverse=True)
        if self.spec.by == "leave_one_out":
            yield from Division(self.spec, self._units(X, groups)).folds(np.asarray(y, np.float64), continuous=True)
            return
        if len(classes) != 2:
            raise DatasetError(f"folds are stratified by two classes, got {len(classes)}", column="label")
        yield from Division(self.spec, self._units(X, groups)).folds(label.astype(np.int64))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds of all repeats."""
        if self.spec.by in OF_THE_DATA:
            return len(np.unique(self._units(X, groups)))  # type: ignore[arg-type]  # never None there
        return self.spec.folds * self.spec.repeats

    def _units(self, X: Any, groups: Any) -> NDArray[Any] | None:
        if self.spec.by == "antibody":
            return None
        if self.spec.by == "leave_one_out":
            return np.arange(len(X))
        if groups is None:
            if X is None or np.ndim(X) != 1:
                raise ValueError(f"a split by {self.spec.by} needs groups, as groups= or in place of X")
            groups = X
        return _units(self.spec, groups)


class IdentityKFold(Splitter):
    """Stratified folds that divide no two sequences at or above an identity, nor two antibodies with such heavy chains.

    Parameters
    ----------
    n_splits
        Folds.
    identity
        Above 0 and up to 1, as `antibody_esm.data.identity` defines it.
    n_repeats
        Number of times that rows are divided, each time with another seed.
    shuffle, random_state
        As scikit-learn's `StratifiedKFold`, but that the seed is a number.

    Examples
    --------
    >>> sequences = ["EVQLVESGGG", "EVQLVQSGGG", "DIQMTQSPSS", "DIQMTQSPSA", "QSALTQPPSA", "SYELTQPPSV"]
    >>> splitter = IdentityKFold(2, shuffle=False)
    >>> [test.tolist() for _, test in splitter.split(sequences, [0, 0, 1, 1, 0, 1])]
    [[0, 1, 5], [2, 3, 4]]
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        identity: float = 0.9,
        n_repeats: int = 1,
        shuffle: bool = True,
        random_state: int = 0,
    ) -> None:
        super().__init__(
            SplitSpec(
                folds=n_splits,
                shuffle=shuffle,
                random_state=random_state,
                repeats=n_repeats,
                by="identity",
                identity=identity,
            )
        )


def _units_of(spec: SplitSpec, data: "Dataset") -> NDArray[Any] | None:
    """Return the unit of each antibody, ``(n,)``; None if each is its own unit."""
    match spec.by:
        case "antibody":
            return None
        case "identity":
            return _units(spec, data.identity_sequences)
        case "group" | "family":
            if data.groups is None:
                raise DatasetError(
                    f"split.by={spec.by} needs groups, and this data set has none; name their column with groups=",
                    column="groups",
                )
            return _units(spec, data.groups)
        case "leave_one_out":
            return np.arange(len(data))
        case "fold":
            if _FOLD not in data.measurements:
                raise DatasetError(
                    f"split.by=fold needs the measurement {_FOLD!r}, and this data set has none; "
                    "if its groups are the folds, use split.by=family",
                    column=_FOLD,
                )
            return _units(spec, data.measurements[_FOLD])


def _units(spec: SplitSpec, values: Any) -> NDArray[Any]:
    if spec.by == "identity":
        return cluster([compared(value if isinstance(value, tuple) else str(value)) for value in values], spec.identity)
    if spec.by != "fold":
        return np.array([str(value) for value in values])
    numbers = np.asarray(values, np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.round(numbers)) | (numbers < 0))
    if len(wrong):
        raise DatasetError(
            f"a fold is a whole number from 0 on; in {place(int(wrong[0]))} it is {numbers[wrong[0]]:g}, "
            "and every antibody is tested once",
            row=int(wrong[0]),
            column=_FOLD,
        )
    return numbers.astype(np.int64)


def _seed(spec: SplitSpec, repeat: int) -> int | None:
    """Return the seed of a repeat; None if rows are not shuffled."""
    if not spec.shuffle:
        return None
    if not repeat:
        return spec.random_state
    return int(np.random.SeedSequence((spec.random_state, repeat)).generate_state(1)[0])


def _refuse_few(spec: SplitSpec, counts: NDArray[np.int64], continuous: bool, setting: str) -> None:
    """Raise a DatasetError if a class has too few antibodies or units, ``(2,)``, to fill the folds."""
    if counts.min() >= spec.folds:
        return
    where = _NAMES[spec.by]
    outer = setting == _OUTER
    within = "" if outer else " among the training antibodies"
    advice = [f"{setting} lower"] if spec.folds > _FEWEST else []
    if continuous:
        side = ("at or below", "above")[int(counts.argmin())]
        kept = "" if spec.by == "antibody" else f" in different {where}"
        text = (
            f"{spec.folds} folds need at least {spec.folds} values on either side of the median{kept}; "
            f"{counts.min()}{within} are {side} it"
        )
        other = "use split.by=leave_one_out" if outer else ""
    else:
        needed = f"{where} of" if spec.by == "antibody" else f"{where} with antibodies of"
        text = (
            f"{spec.folds} folds need at least {spec.folds} {needed} each class; "
            f"class {counts.argmin()} has {counts.min()}{within}"
        )
        other = ""
        advice += ["split.identity higher"] if spec.by == "identity" and spec.identity < 1 else []
    steps = [*([f"Set {' or '.join(advice)}"] if advice else []), *([other] if other else [])]
    more = ", or ".join(steps)
    raise DatasetError(f"{text}{'. ' if more else ''}{more[:1].upper()}{more[1:]}", column="label")


def _stratified(spec: SplitSpec, label: NDArray[np.int64], seed: int | None) -> list[Fold]:
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(spec.folds, shuffle=spec.shuffle, random_state=seed)
    return list(splitter.split(np.zeros(len(label)), label))


def _of_the_data(
    spec: SplitSpec, label: NDArray[Any], names: NDArray[Any], number: NDArray[np.int64], continuous: bool
) -> list[Fold]:
    if len(names) < 2:
        raise DatasetError(
            f"split.by={spec.by} needs at least two of them, and all antibodies are of {names[0]!s}", column="groups"
        )
    divided = [(np.flatnonzero(number != i), np.flatnonzero(number == i)) for i in range(len(names))]
    for name, (train, _) in zip(names, divided, strict=True):
        if len(np.unique(label[train])) < 2:
            what = "antibody" if spec.by == "leave_one_out" else spec.by
            raise DatasetError(
                f"without {what} {name!s} every {'value' if continuous else 'label'} is {label[train][0]:g}, and no "
                "model can be fitted on the rest",
                column="label",
            )
    if spec.by != "leave_one_out" and len(names) == len(label):
        advice = "use split.by=leave_one_out" if continuous else "no fold could be scored"
        raise DatasetError(f"every {spec.by} of the data has one antibody: {advice}", column="groups")
    return divided
