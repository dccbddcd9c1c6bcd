"""Map of vectors: their first two principal components."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from antibody_esm.classifiers import one_blas_thread
from antibody_esm.unknown import Unknown

MOST = 2_000
"""Most antibodies of a map; of more, as many are taken evenly."""
_DIGITS = 6
"""Significant digits of coordinates, the same on machines whose last bits differ."""


@runtime_checkable
class HasVectors(Protocol):
    """Object that holds the vectors of a data set, ``(n, dim)``, such as `antibody_esm.trainer.SameVectors`."""

    @property
    def vectors(self) -> NDArray[np.float64]: ...  # noqa: D102


class EmbeddingMap(NamedTuple):
    """Places of antibodies in a plane.

    Attributes
    ----------
    rows
        Indices ``(m,)`` of the antibodies that are shown, rising.
    places
        Coordinates ``(m, 2)``, centred; of each component, the largest coordinate in size is positive.
    explained
        Shares of the variance that the two components explain, 0 to 1.
    """

    rows: NDArray[np.int64]
    places: NDArray[np.float64]
    explained: tuple[float, float]


def embedding_map(vectors: NDArray[np.float64]) -> EmbeddingMap | Unknown:
    """Return the first two principal components of vectors ``(n, dim)``, each number scaled to unit variance.

    The result depends on the vectors only: there is no random start, and signs are fixed.

    Examples
    --------
    >>> mapped = embedding_map(np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.0]]))
    >>> mapped.places[:, 0].round(2).tolist(), [round(share, 2) for share in mapped.explained]
    ([1.9, 0.63, -0.63, -1.9], [1.0, 0.0])
    """
    rows = np.arange(len(vectors))
    if len(rows) > MOST:
        rows = np.linspace(0, len(rows) - 1, MOST).round().astype(np.int64)
    chosen = vectors[rows]
    spread = chosen.std(axis=0)
    varies = spread > 1e-9 * np.abs(chosen).max(initial=0)
    scaled = (chosen[:, varies] - chosen[:, varies].mean(axis=0)) / spread[varies]
    if len(rows) < 3 or not scaled.size:
        return Unknown("fewer than three antibodies have vectors that differ")
    from scipy.linalg import eigh

    with one_blas_thread():
        wide = scaled.shape[1] > len(scaled)
        gram = scaled @ scaled.T if wide else scaled.T @ scaled
        last = len(gram) - 1
        values, axes = eigh(gram, subset_by_index=[max(last - 1, 0), last])
        values, axes = np.maximum(values[::-1], 0), axes[:, ::-1]
        places = axes * np.sqrt(values) if wide else scaled @ axes
    if places.shape[1] == 1:
        places, values = np.hstack([places, np.zeros((len(places), 1))]), np.append(values, 0.0)
    places *= np.sign(places[np.abs(places).argmax(axis=0), np.arange(2)] + 0.0)
    places = _rounded(places)
    shares = values / (scaled**2).sum()
    return EmbeddingMap(rows, places, (float(shares[0]), float(shares[1])))


def _rounded(places: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(places).max(initial=0)
    digits = _DIGITS - 1 - int(np.floor(np.log10(largest))) if largest > 0 else 0
    return np.round(places, digits) + 0.0
