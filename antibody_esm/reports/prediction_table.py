"""Table of predictions of continuous labels, whose column ``label`` can be read by its old name ``target``.

pandas is imported with this module, so it is a module of its own, which is imported when such a table is made.
"""

import warnings
from typing import Any

import pandas as pd


class PredictionTable(pd.DataFrame):
    """Predictions of continuous labels: id, label, prediction, and from cross-validation the fold.

    Classifiers and regressors have one name for the column of labels, ``label``. For one release ``target`` returns the
    same column, with a DeprecationWarning.

    Examples
    --------
    >>> PredictionTable({"id": ["a"], "label": [0.3], "prediction": [0.2]})["label"].tolist()
    [0.3]
    """

    @property
    def _constructor(self) -> type["PredictionTable"]:
        return PredictionTable  # so that a part of the table has the old name too

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__("label" if self._is_old_name(key) else key)

    @property
    def target(self) -> "pd.Series[float]":
        """Old name of the column ``label``."""
        labels: pd.Series[float] = self["target"]
        return labels

    def _is_old_name(self, key: Any) -> bool:
        """Return True, with a warning, if a key is the old name of the column of labels."""
        if not isinstance(key, str) or key != "target" or key in self.columns:
            return False
        warnings.warn("the column of labels is named 'label', no longer 'target'", DeprecationWarning, stacklevel=3)
        return True
