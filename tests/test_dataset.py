import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from antibody_esm import Dataset, DatasetError, SequenceError, load_dataset
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
    with pytest.raises(
        DatasetError, match=r"2 labels are missing: row 1 \(index 0, id a\), row 3 \(index 2, id c\)"
    ) as caught:
        dataset(label=[missing, 1, missing])
    assert (caught.value.row, caught.value.column) == (0, "label")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ["a", "b", "a"]}, "id of row 3 .index 2, id a. occurs in an earlier row"),
        ({"ids": ["a", "b"]}, "2 ids but 3 values of heavy"),
        ({"label": [0, 1]}, "3 ids but 2 values of label"),
        ({"label": [0, 1, "high"]}, "labels must be numbers"),
        ({"label": [0, 1, float("inf")]}, "label in row 3 .index 2, id c. is not finite"),
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
        ([0, 1, 2], r"needs the labels 0 and 1; the labels are 0, 1, 2"),
        ([1, 2, 2], "the labels are 1, 2"),
        ([0.2, 0.4, 1], "the labels are 0.2, 0.4, 1"),
        ([1, 1, 1], "both classes; every label is 1"),
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
    with pytest.raises(DatasetError, match=r"1 antibodies have no light chain: row 2 \(index 1, id b\)"):
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
    assert list(frame) == ["id", "heavy", "label", "groups"]
    assert len(frame) == 3


def test_provenance_prints_as_a_table() -> None:
    text = str(Provenance("a file", rule="0 or 1", counts={"rows read": 12}))
    assert text.splitlines() == ["source     a file", "rule       0 or 1", "rows read  12"]


def test_a_frame_comes_back_with_its_groups_and_ids_of_an_index_are_kept() -> None:
    data = Dataset(ids=["a", "b"], heavy=["EV", "QV"], label=[0, 1], groups=["p", "q"], measurements={"psr": [1, 2]})
    assert load_dataset(data.to_frame()).groups == ("p", "q")
    indexed = load_dataset(data.to_frame().set_index("id"))
    assert indexed.ids == ("a", "b")


def test_what_cannot_be_a_chain_or_a_measurement_is_refused() -> None:
    for chain in ("bogus", "ids", ""):
        with pytest.raises(DatasetError, match="chain must be one of heavy, light, both"):
            Dataset(ids=["a"], heavy=["EV"], chain=chain)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="cannot be named 'label'"):
        Dataset(ids=["a"], heavy=["EV"], measurements={"label": [1.0]})


def test_provenance_is_shared_with_nobody() -> None:
    one, other = Dataset(ids=["a"], heavy=["EV"]), Dataset(ids=["a"], heavy=["EV"])
    counts = {"rows": 1}
    mine = Provenance("mine", counts=counts)
    counts["rows"] = 2
    assert mine.counts == {"rows": 1}
    assert one.digest == other.digest


def test_nothing_or_a_generator_of_rows_is_a_subset() -> None:
    data = Dataset(ids=["a", "b"], heavy=["EV", "QV"])
    assert len(data.subset([])) == 0
    assert data.subset(i for i in (1,)).ids == ("b",)
    assert data.subset(np.array([False, True])).ids == ("b",)


def test_both_chains_are_joined() -> None:
    data = Dataset(ids=["a", "b"], heavy=["EV", "QV"], light=["DI", None], chain="both")
    assert data.subset([0]).sequences == ["EVDI"]
    with pytest.raises(DatasetError, match="1 antibodies have no light chain"):
        data.sequences  # noqa: B018
