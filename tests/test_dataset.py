import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import Dataset, DatasetError, SequenceError
from antibody_esm.data.dataset import Provenance


def dataset(**changes: object) -> Dataset:
    return Dataset(**({"ids": ["a", "b", "c"], "heavy": ["EVQL", "QVQL", "AAAA"], "label": [0, 1, 1]} | changes))  # type: ignore[arg-type]


def test_sequences_are_in_normal_form() -> None:
    assert dataset(heavy=[" evql", "QVQL", "aaaa\n"]).sequences == ["EVQL", "QVQL", "AAAA"]


def test_bad_sequences_are_listed_by_row() -> None:
    with pytest.raises(SequenceError) as caught:
        dataset(heavy=["EVQL", "E-QL", ""])
    assert caught.value.rows == ((1, 1, "-"), (2, 0, ""))


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan])
def test_missing_labels_are_an_error_that_names_the_rows(missing: object) -> None:
    with pytest.raises(DatasetError, match=r"2 labels are missing: row 0 \(a\), row 2 \(c\)") as caught:
        dataset(label=[missing, 1, missing])
    assert (caught.value.row, caught.value.column) == (0, "label")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ["a", "b", "a"]}, "id 'a' in row 2 was there before"),
        ({"ids": ["a", "b"]}, "2 ids but 3 values of heavy"),
        ({"label": [0, 1]}, "3 ids but 2 values of label"),
        ({"label": [0, 1, "high"]}, "labels must be numbers"),
        ({"label": [0, 1, float("inf")]}, "label in row 2 is not finite"),
        ({"heavy": None}, "needs heavy or light chains"),
    ],
)
def test_what_is_no_data_set_is_an_error(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        dataset(**changes)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (None, "no labels"),
        ([0, 1, 2], r"needs the labels 0 and 1, these are 0, 1, 2"),
        ([1, 2, 2], "these are 1, 2"),
        ([0.2, 0.4, 1], "these are 0.2, 0.4, 1"),
        ([1, 1, 1], "both classes, every label here is 1"),
    ],
)
def test_a_classifier_refuses_labels_that_are_not_binary(label: object, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        dataset(label=label).binary_labels()


def test_numeric_labels_are_kept_as_they_are() -> None:
    data = dataset(label=[0.25, 3, -1e9])
    assert data.label is not None
    assert data.label.tolist() == [0.25, 3.0, -1e9]
    assert repr(data) == "Dataset(3 antibodies, numeric labels)"


def test_booleans_are_binary_labels() -> None:
    assert dataset(label=[True, False, True]).binary_labels().tolist() == [1, 0, 1]


def test_the_chosen_chain_is_what_is_embedded_and_must_be_complete() -> None:
    data = dataset(light=["DIQ", None, "EIV"])
    assert data.sequences == ["EVQL", "QVQL", "AAAA"]
    assert data.light == ("DIQ", None, "EIV")
    with pytest.raises(DatasetError, match=r"1 antibodies have no light chain: row 1 \(b\)"):
        dataset(light=["DIQ", None, "EIV"], chain="light").sequences  # noqa: B018
    with pytest.raises(DatasetError, match="no light chains"):
        dataset(chain="light").sequences  # noqa: B018


@pytest.mark.parametrize(
    "changes",
    [
        {"ids": ["a", "b", "d"]},
        {"heavy": ["EVQL", "QVQL", "AAAC"]},
        {"light": ["DIQ", None, "EIV"]},
        {"label": [0, 1, 0]},
        {"label": [0, 1, 1 + 1e-12]},
        {"groups": ["x", "x", "y"]},
        {"provenance": Provenance("elsewhere")},
        {"provenance": Provenance("given in Python", rule="another")},
    ],
)
def test_whatever_a_data_set_holds_changes_its_digest(changes: dict[str, object]) -> None:
    assert dataset().digest == dataset(heavy=["evql", "qvql", "AAAA "]).digest
    assert dataset(**changes).digest != dataset().digest


@given(st.lists(strategies.sequences(), min_size=1, max_size=6), st.data())
def test_a_subset_keeps_rows_together(sequences: list[str], data: st.DataObject) -> None:
    n = len(sequences)
    whole = Dataset(ids=[str(i) for i in range(n)], heavy=sequences, label=range(n), groups=[f"g{i}" for i in range(n)])
    rows = data.draw(st.lists(st.integers(0, n - 1), unique=True, min_size=1))
    part = whole.subset(rows)
    assert part.label is not None
    for i, row in enumerate(rows):
        assert (part.ids[i], part.sequences[i], part.label[i]) == (str(row), sequences[row], row)
    mask = np.isin(np.arange(n), rows)
    assert whole.subset(mask).ids == tuple(str(i) for i in sorted(rows))


def test_a_data_set_cannot_be_changed() -> None:
    data = dataset()
    with pytest.raises(AttributeError):
        data.ids = ["x"]  # type: ignore[misc]
    assert isinstance(data.label, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        data.label[0] = 1


def test_a_data_set_becomes_a_frame() -> None:
    frame = dataset(groups=["x", "x", "y"]).to_frame()
    assert list(frame) == ["id", "heavy", "label", "group"]
    assert len(frame) == 3


def test_provenance_prints_as_a_table() -> None:
    text = str(Provenance("a file", rule="0 or 1", counts={"rows read": 12}))
    assert text.splitlines() == ["source     a file", "rule       0 or 1", "rows read  12"]
