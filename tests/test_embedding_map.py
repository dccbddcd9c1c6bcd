"""The map of vectors: principal components that depend on the vectors only."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from antibody_esm.reports import embedding_map as maps
from antibody_esm.reports.embedding_map import MOST, EmbeddingMap, embedding_map
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.page import page
from antibody_esm.unknown import Unknown
from reporting import antibodies, cross_validated, held_out


def vectors(n: int, dim: int, seed: int = 0) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, dim)) @ np.diag(np.linspace(3, 1, dim)) @ generator.normal(size=(dim, dim)) + 5


def mapped(values: NDArray[np.float64]) -> EmbeddingMap:
    result = embedding_map(values)
    assert isinstance(result, EmbeddingMap)
    return result


@given(st.integers(4, 40), st.integers(2, 60), st.integers(0, 5))
def test_places_and_shares_are_those_of_scikit_learn_but_for_the_sign(n: int, dim: int, seed: int) -> None:
    values = vectors(n, dim, seed)
    found, pca = mapped(values), PCA(2, svd_solver="full")
    expected = pca.fit_transform(StandardScaler().fit_transform(values))
    np.testing.assert_allclose(np.abs(found.places), np.abs(expected), rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_allclose(found.explained, pca.explained_variance_ratio_, atol=1e-6)
    largest = found.places[np.abs(found.places).argmax(axis=0), [0, 1]]
    assert (largest > 0).all()


def test_scale_and_shift_of_a_number_change_nothing_nor_does_a_constant_one() -> None:
    values = vectors(30, 4)
    moved = np.hstack([values * [1, 10, 0.1, 3] + [0, 5, -2, 1], np.full((30, 1), 7.0)])
    np.testing.assert_allclose(mapped(moved).places, mapped(values).places, rtol=1e-4, atol=1e-4)


def test_of_very_many_antibodies_an_even_part_is_shown() -> None:
    found = mapped(vectors(MOST + 500, 3))
    assert len(found.rows) == MOST
    assert (found.rows[0], found.rows[-1]) == (0, MOST + 499)
    assert (np.diff(found.rows) > 0).all()


@pytest.mark.parametrize("values", [np.ones((9, 3)), np.ones((2, 3)) * [[1], [2]], np.empty((5, 0))])
def test_vectors_without_a_plane_have_no_map(values: NDArray[np.float64]) -> None:
    assert isinstance(embedding_map(values), Unknown)


def test_one_number_is_a_line() -> None:
    found = mapped(np.arange(5.0)[:, None])
    assert (found.places[:, 1] == 0).all()
    assert found.explained == (1.0, 0.0)


def test_a_cross_validation_has_a_map_and_a_test_does_not() -> None:
    for report in (cross_validated(), cross_validated(antibodies(continuous=True), "ridge")):
        ax = report.plot_map(Figure().subplots())
        shown = sum(np.shape(points.get_offsets())[0] for points in ax.collections)
        assert shown == len(report.data)
        assert "Map of the embeddings" in page(GridReport([report]))
        assert "% of the variance" in ax.get_xlabel()
    for report in (held_out(antibodies(50, seed=1)), replace(cross_validated(), again=None)):
        assert isinstance(report.embedding_map, Unknown)
        assert "Map of the embeddings" not in page(GridReport([report]))
        with pytest.raises(AttributeError, match="there is no map: this report was made without vectors"):
            report.plot_map()


def test_repr_and_print_compute_no_map_and_a_map_holds_no_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    report = replace(cross_validated())
    monkeypatch.setattr(maps, "embedding_map", None)
    assert repr(report)
    assert str(report)
    assert "embedding_map" not in report.__dict__
    found = mapped(vectors(30, 500))
    assert sum(array.nbytes for array in (found.rows, found.places)) == 30 * 3 * 8
