"""Vectors of `embed` as a scikit-learn transformer, whose clones hold no language model."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from antibody_esm import presets
from antibody_esm.data.column_roles import USUAL, plain_name
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.selection import rows_as_texts
from antibody_esm.embedding import embed
from antibody_esm.features.sources import AnyExtractor, load
from antibody_esm.sequences import any_pair
from antibody_esm.specs import AnyExtractorSpec, RuntimeSpec
from antibody_esm.specs.base import Spec
from antibody_esm.store.store import EmbeddingStore

if TYPE_CHECKING:
    import pandas as pd

_KEPT = 2
"""Most language models that a process keeps in memory for transformers."""
_FIELD = "extractor__"
"""Begin of the names of the extractor's fields."""


class _Sources:
    """Language models of this process by spec and runtime; the least recently used one is released first."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._loaded: OrderedDict[tuple[AnyExtractorSpec, RuntimeSpec], AnyExtractor] = OrderedDict()

    def of(self, spec: AnyExtractorSpec, runtime: RuntimeSpec) -> AnyExtractor:
        """Return the source of a spec, which is pinned first: files that were changed are another model."""
        key = spec.pin(), runtime
        if key not in self._loaded:
            self._loaded[key] = load(*key)
        self._loaded.move_to_end(key)
        while len(self._loaded) > _KEPT:
            self._loaded.popitem(last=False)[1].unload()
        return self._loaded[key]

    def release(self) -> None:
        """Remove all models from memory."""
        with self.lock:
            while self._loaded:
                self._loaded.popitem()[1].unload()


_SOURCES = _Sources()


class EmbeddingTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Vectors of antibodies as a step of a scikit-learn pipeline.

    Clones and pickles hold the parameters alone. The language model belongs to the process, which keeps the last two;
    vectors belong to the store, so that folds and candidates of a search compute none twice.

    Parameters
    ----------
    extractor
        A preset's name, a model's name on the hub, a local folder, or a spec; see `embed`.
    store
        An `EmbeddingStore` or its folder; None computes all vectors at each call.
    runtime
        Device, workers and progress bar; None is all cores, without a bar.

    Attributes
    ----------
    n_features_in_
        1 for single chains, 2 for pairs.

    Raises
    ------
    ValueError
        From `fit` and `transform`: if there is no such extractor, or the input has neither one column nor two. From
        `transform`: if a table has other columns than that of `fit`; their order does not matter.
    SequenceError, CheckpointError, StoreError
        From `fit` and `transform`, as `embed` does.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> model = make_pipeline(EmbeddingTransformer("descriptors"), LogisticRegression())
    >>> model.fit(["EVQLVESGGG", "QVQLQQSGAE", "KVRLVRSGGK", "QVKLQKSGKE"], [0, 0, 1, 1]).predict(["EVKLVKSGGG"]).shape
    (1,)
    >>> model[:-1].get_feature_names_out()[:2].tolist()
    ['embeddingtransformer0', 'embeddingtransformer1']
    """

    def __init__(
        self,
        extractor: str | Path | AnyExtractorSpec = presets.DEFAULT_EXTRACTOR,
        store: str | Path | EmbeddingStore | None = None,
        runtime: RuntimeSpec | None = None,
    ) -> None:
        self.extractor = extractor
        self.store = store
        self.runtime = runtime

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the number of features, from the first antibody; nothing else is learned.

        Parameters
        ----------
        X
            ``n`` sequences, or pairs of heavy and light: a list, a Series, an array ``(n,)``, ``(n, 1)`` or ``(n, 2)``,
            a `Dataset`, or a DataFrame with a column of sequences, or one of heavy and one of light chains.
        y
            Ignored.
        """
        antibodies, names = _antibodies(X)
        if not antibodies:
            raise ValueError("0 antibodies were passed, and at least 1 is needed to learn the number of features")
        self._n_features_out = int(self._embed(antibodies[:1]).shape[1])
        self.n_features_in_ = _chains_of(antibodies[0])
        if names:
            self.feature_names_in_ = np.array(names, object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the vectors ``(n, dim)`` of antibodies, float32, bit for bit those of `embed`; X as for `fit`."""
        antibodies, _ = _antibodies(X, getattr(self, "feature_names_in_", None))
        width = _chains_of(antibodies[0]) if antibodies else 1
        if antibodies and getattr(self, "n_features_in_", width) != width:
            raise ValueError(
                f"X has {width} chains an antibody, but this transformer was fitted on {self.n_features_in_}"
            )
        return self._embed(antibodies)

    def _embed(self, antibodies: Sequence[Any]) -> NDArray[np.float32]:
        if not isinstance(self.extractor, str | Path | Spec):
            kind = type(self.extractor).__name__
            raise TypeError(
                f"extractor must be a name, a folder or a spec, not a {kind}: clones hold no language model"
            )
        spec = presets.extractor(self.extractor)
        with _SOURCES.lock:  # threads of one process take turns, each with all workers of the runtime
            return embed(antibodies, _SOURCES.of(spec, self.runtime or RuntimeSpec(progress=False)), self.store)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and fields of the extractor's spec: ``extractor__layer``, ``extractor__pooling``.

        Names of features are not known after the extractor was changed, until `fit`.

        Raises
        ------
        ValueError
            If there is no such parameter or field, or its value is refused.
        """
        fields = {name.removeprefix(_FIELD): params.pop(name) for name in list(params) if name.startswith(_FIELD)}
        if (fields or "extractor" in params) and hasattr(self, "_n_features_out"):
            del self._n_features_out
        super().set_params(**params)
        if fields:
            self.extractor = presets.extractor(self.extractor).with_fields(fields)
        return self

    @staticmethod
    def release() -> None:
        """Remove the language models of all transformers of this process from memory."""
        _SOURCES.release()

    def __repr__(self) -> str:
        changed = {"extractor": self.extractor, "store": self.store, "runtime": self.runtime}
        if self.extractor == presets.DEFAULT_EXTRACTOR:
            del changed["extractor"]
        options = ", ".join(f"{name}={value!r}" for name, value in changed.items() if value is not None)
        return f"{type(self).__name__}({options})"

    def __sklearn_clone__(self) -> Self:
        return type(self)(**self.get_params(deep=False))  # parameters do not change, so they are not copied

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _chains_of(antibody: Any) -> int:
    """Return the number of chains of an antibody, 1 or 2."""
    is_pair = isinstance(antibody, tuple) or (isinstance(antibody, str) and any_pair([antibody]))
    return 2 if is_pair else 1


def _antibodies(X: Any, fitted: Sequence[str] | None = None) -> tuple[list[Any], list[str]]:
    """Return sequences, or pairs of heavy and light, and the names of their columns, in the order of those of `fit`."""
    if isinstance(X, Dataset):
        return list(X.sequences), []
    if hasattr(X, "columns"):
        return _of_frame(X if fitted is None else _in_order(X, list(fitted)))
    rows: Iterable[Any] = rows_as_texts(X)
    if isinstance(X, np.ndarray) and X.ndim == 2:
        if X.shape[1] not in (1, 2):
            raise ValueError(f"1 column of sequences or 2 of heavy and light chains are needed, got {X.shape[1]}")
        rows = X[:, 0] if X.shape[1] == 1 else map(tuple, X)
    elif isinstance(X, str | bytes) or not isinstance(X, Iterable):
        raise ValueError(f"a list of sequences is needed, got {X!r:.80}; write [sequence]")
    return [tuple(row) if isinstance(row, list) and len(row) == 2 else row for row in rows], []


def _in_order(frame: "pd.DataFrame", fitted: list[str]) -> "pd.DataFrame":
    """Return a table with its columns in the order of `fit`. Raises ValueError if it has others."""
    names = list(map(str, frame.columns))
    if names == fitted:
        return frame
    if sorted(names) != sorted(fitted):
        raise ValueError(f"this transformer was fitted on the columns {', '.join(fitted)}, got {', '.join(names)}")
    return frame.iloc[:, [names.index(name) for name in fitted]]


def _of_frame(frame: "pd.DataFrame") -> tuple[list[Any], list[str]]:
    names = list(map(str, frame.columns))
    if len(names) == 1:
        return frame.iloc[:, 0].tolist(), names
    if len(names) != 2:
        raise ValueError(f"1 column of sequences or 2 of heavy and light chains are needed, got {', '.join(names)}")
    swapped = plain_name(names[0]) in USUAL["light"] and plain_name(names[1]) in USUAL["heavy"]
    heavy, light = (1, 0) if swapped else (0, 1)
    return list(zip(frame.iloc[:, heavy], frame.iloc[:, light], strict=True)), names
