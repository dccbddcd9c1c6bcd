"""One reading of a table at every door: a file, a DataFrame, sequences and labels."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import (
    ChainSpec,
    ColumnSpec,
    Dataset,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    Predictor,
    SplitSpec,
    Trainer,
    load_dataset,
)
from antibody_esm.cli.option_names import in_options
from antibody_esm.data.training_data import training_data
from antibody_esm.errors import DatasetError
from antibody_esm.sequences import Antibody
from chains import HEAVY, LIGHT, NANOBODY, mutants
from strategies import sequences

FIRST = DescriptorSpec(descriptors=("length", "net_charge"))
SECOND = DescriptorSpec(descriptors=("hydrophobicity",))
PLAIN: dict[str, Any] = {"split": SplitSpec(folds=3)}
HEAVIES, LIGHTS = mutants(HEAVY, 24, 3), mutants(LIGHT, 24, 4)
CLASSES = [float(row % 2) for row in range(24)]
VALUES = [float(text.count("K") - text.count("E")) + row / 10 for row, text in enumerate(HEAVIES)]


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(1, 6))

    def column(cells: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(cells, min_size=n, max_size=n))

    names = st.sampled_from(["heavy", "VH", "heavy_sequence"])
    frame = {draw(names): column(sequences(20, 30) | st.sampled_from(["", "EV-L", None]))}
    if draw(st.booleans()):
        frame["id"] = draw(st.sampled_from([[f"m{row}" for row in range(n)], ["twice"] * n]))
    if draw(st.booleans()):
        frame["light"] = column(sequences(20, 30) | st.none())
    frame[draw(st.sampled_from(["label", "polyreactive", "y"]))] = column(
        st.sampled_from([0, 1, 2.5, None, "NA", "true", "high"])
    )
    if draw(st.booleans()):
        frame["HIC"] = column(st.floats(-1e6, 1e6) | st.none())
    if draw(st.booleans()):
        frame["groups"] = column(st.sampled_from(["x", "y"]))
    return pd.DataFrame(frame)


def outcome(read: Callable[[], Dataset]) -> Any:
    """Return what was read, or the error without the place of the file and its lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = read()
        except DatasetError as error:
            return error.rows, error.column, str(error).count("\n")
    return data.content_digest, data.provenance.counts, data.provenance.dropped, data.provenance.columns


@given(frame=tables())
def test_a_data_frame_is_read_as_the_file_of_its_table(frame: pd.DataFrame, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    frame.to_csv(path, index=False)
    of_file = outcome(lambda: load_dataset(path))
    assert outcome(lambda: training_data(frame)) == of_file
    shuffled = frame.set_axis(np.arange(len(frame))[::-1] * 7)  # an index is no column
    assert outcome(lambda: training_data(shuffled)) == of_file


def test_the_messages_of_refused_rows_are_those_of_a_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b", "c"], "heavy": [HEAVY, "EV-L", None], "label": [0, 1, 1]})
    frame.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(DatasetError) as of_file:
        load_dataset(tmp_path / "table.csv")
    with pytest.raises(DatasetError) as of_frame:
        Trainer(FIRST).fit(frame)
    text = str(of_file.value).removeprefix(f"{tmp_path / 'table.csv'}: ")
    assert str(of_frame.value) == text.replace("line 3 (", "row 2 (index 1, ").replace("line 4 (", "row 3 (index 2, ")


@given(
    labels=st.lists(st.sampled_from([0, 1, None, float("nan"), True]), min_size=4, max_size=4),
    kind=st.sampled_from([list, tuple, iter, lambda cells: np.array(cells, object), pd.Series]),
)
def test_sequences_and_labels_are_the_table_of_them(labels: list[Any], kind: Callable[[Any], Any]) -> None:
    chains = HEAVIES[:4]
    table = pd.DataFrame({"sequence": chains, "label": pd.Series(labels, dtype=object)})
    got, expected = outcome(lambda: training_data(kind(chains), kind(labels))), outcome(lambda: load_dataset(table))
    assert got[:3] == expected[:3]


@pytest.mark.parametrize("of_pair", [tuple, list, lambda pair: Antibody(*pair), np.array, "|".join])
def test_pairs_are_read_as_pairs(of_pair: Callable[[Any], Any]) -> None:
    pairs = [of_pair(pair) for pair in zip(HEAVIES, LIGHTS, strict=True)]
    data = training_data(pairs, CLASSES)
    table = load_dataset(pd.DataFrame({"heavy": HEAVIES, "light": LIGHTS, "label": CLASSES}), chain="paired")
    assert (data.chain, data.content_digest) == ("paired", table.content_digest)
    assert data.provenance.source == "given in Python"


def test_a_light_chain_that_is_missing_among_pairs_is_refused_by_row() -> None:
    with pytest.raises(DatasetError, match="no light chain") as caught:
        training_data([(HEAVY, LIGHT), HEAVY, (HEAVY, None)], [0, 1, 1])  # type: ignore[list-item]  # a mistake
    assert caught.value.rows == (1, 2)
    hint = "drop=True (data.drop=true) leaves out the rows without a light chain"
    assert hint in str(caught.value)
    assert in_options(hint, ("--model", "--drop")) == "--drop leaves out the rows without a light chain"
    assert in_options(hint, ("--overrides",)) == hint
    with pytest.raises(DatasetError, match="antibody 2 .* is no pair"):
        training_data([(HEAVY, LIGHT), (HEAVY, LIGHT, LIGHT)], [0, 1])  # type: ignore[list-item]  # a mistake


@pytest.mark.parametrize(
    ("data", "labels", "error", "message"),
    [
        (HEAVIES, None, DatasetError, "sequences need labels: pass \\(sequences, labels\\)"),
        (HEAVIES, [0, 1], DatasetError, "24 sequences but 2 labels"),
        (HEAVIES, "label", DatasetError, "names a column of a DataFrame"),
        (HEAVIES, ["specific"] * 24, DatasetError, "labels must be numbers"),
        (np.ones((3, 4)), [0, 1, 1], TypeError, "not vectors; fit a scikit-learn classifier on the vectors of embed"),
        ("table.csv", None, DatasetError, "got 'table.csv'; load_dataset reads a table"),
        (Path("table.csv"), None, DatasetError, "load_dataset reads a table"),
        (None, None, DatasetError, "got a NoneType; load_dataset"),
        ({"heavy": HEAVIES}, CLASSES, TypeError, "not a dict; pandas.DataFrame"),
        (pd.DataFrame({"VH": HEAVIES}), None, DatasetError, "there is no column 'label'"),
        (pd.DataFrame({"VH": HEAVIES}), [0, 1], DatasetError, "24 rows but 2 labels"),
        (pd.DataFrame({"VH": HEAVIES, "label": CLASSES}), CLASSES, DatasetError, "leave one of them out"),
        (pd.DataFrame({"VH": HEAVIES}), pd.Series(CLASSES)[::-1], DatasetError, "another index than the table"),
        (pd.DataFrame({"VH": HEAVIES, "HIC": CLASSES}), "hic", DatasetError, "did you mean 'HIC'"),
        (Dataset(["a"], [HEAVY], label=[1]), [0], DatasetError, "which has its own; leave them out"),
        (list(Dataset(["a"], [HEAVY], label=[1])), [0], TypeError, "select them with data\\[mask\\]"),
    ],
)
def test_what_cannot_be_read_is_answered_by_what_to_call(
    data: Any, labels: Any, error: type[Exception], message: str
) -> None:
    for method in ("fit", "cross_validate", "same_vectors", "learning_curve"):
        with pytest.raises(error, match=message):
            getattr(Trainer(FIRST), method)(data, labels)


def test_labels_are_taken_in_the_order_of_the_rows_and_never_by_name() -> None:
    frame = pd.DataFrame({"VH": HEAVIES}, index=[f"r{row}" for row in range(24)])
    expected = training_data(frame, CLASSES)
    assert training_data(frame, pd.Series(CLASSES, frame.index)).content_digest == expected.content_digest
    part = frame.sample(frac=0.5, random_state=1)
    labels = pd.Series(CLASSES, frame.index)[part.index]
    assert training_data(part, labels).label.tolist() == [CLASSES[int(name[1:])] for name in part.index]  # type: ignore[union-attr]
    assert "label" not in frame.columns, "the caller's table is not changed"


@pytest.mark.parametrize("kind", [pd.Series, lambda rows: pd.DataFrame({"VH": rows})])
def test_labels_of_another_index_are_refused_beside_sequences_and_tables(kind: Callable[[Any], Any]) -> None:
    data, labels = kind(HEAVIES), pd.Series(CLASSES)
    assert training_data(data, labels).label.tolist() == CLASSES  # type: ignore[union-attr]
    with pytest.raises(DatasetError, match="another index than the (table|sequences)"):
        training_data(data, labels[::-1])
    with pytest.raises(DatasetError, match="another index"):
        training_data(data[::-1], labels)
    assert training_data(data[::-1], labels[::-1]).label.tolist() == CLASSES[::-1]  # type: ignore[union-attr]
    assert training_data(HEAVIES, labels[::-1]).label.tolist() == CLASSES[::-1]  # type: ignore[union-attr]


@pytest.mark.parametrize("labels", [dict(enumerate(CLASSES)), set(range(24)), pd.DataFrame([CLASSES])])
def test_labels_in_no_order_are_refused(labels: Any) -> None:
    for data in (HEAVIES, pd.DataFrame({"VH": HEAVIES})):
        with pytest.raises(DatasetError, match="a list of labels in the order of the"):
            training_data(data, labels)


SETTINGS: dict[str, tuple[Any, str, Any, dict[str, Any]]] = {
    "classes": (FIRST, "logreg", HEAVIES, {}),
    "values": (FIRST, "ridge", HEAVIES, {}),
    "pairs": (FIRST, "logreg", list(zip(HEAVIES, LIGHTS, strict=True)), {}),
    "an ensemble": (EnsembleSpec(members=(FIRST, SECOND), combine="concat"), "logreg", HEAVIES, {}),
    "a decision by identity": (FIRST, "logreg", HEAVIES, {"split": SplitSpec(by="identity", folds=3, identity=0.999)}),
    "tuned": (FIRST, "logreg", HEAVIES, {"tune": {"classifier.C": [0.1, 1.0]}}),
    "nanobodies": (FIRST, "logreg", mutants(NANOBODY, 24, 9), {}),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_door_gives_the_bits_of_a_file(name: str, tmp_path: Path) -> None:
    extractor, classifier, antibodies, options = SETTINGS[name]
    labels = VALUES if classifier == "ridge" else CLASSES
    pairs = isinstance(antibodies[0], tuple)
    columns = dict(zip(("heavy", "light"), zip(*antibodies, strict=True), strict=True)) if pairs else {"VH": antibodies}
    frame = pd.DataFrame({**columns, "label": labels})
    frame.to_csv(tmp_path / "table.csv", index=False)
    of_file = load_dataset(tmp_path / "table.csv", chain="paired" if pairs else None)
    trainer = Trainer(extractor, classifier, **(PLAIN | options))
    check: dict[str, Any] = {"check": False}
    expected = trainer.fit(of_file, uncertainty=False, **check)
    scores = trainer.cross_validate(of_file, **check).scores
    tables: list[tuple[Any, Any]] = [(antibodies, labels), (of_file, None)]
    tables += [] if pairs else [(frame, None), (frame.drop(columns="label"), labels), (frame, "label")]
    for data, values in tables:
        again = Trainer(extractor, classifier, **(PLAIN | options))
        model = again.fit(data, values, uncertainty=False, **check)
        assert np.array_equal(model.predict(antibodies, **check), expected.predict(antibodies, **check))
        assert (model.spec, model.reading) == (expected.spec, expected.reading)
        of_fold = again.cross_validate(data, values, **check).scores
        assert all(np.array_equal(of_fold[metric], scores[metric], equal_nan=True) for metric in scores)
        assert repr(again.evaluate(data, values, **check)) == repr(trainer.evaluate(of_file, **check))


def test_a_language_model_of_a_folder_and_one_a_chain_read_a_data_frame(
    tiny: ExtractorSpec, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    frame = pd.DataFrame({"VH": HEAVIES, "VL": LIGHTS, "polyreactive": CLASSES})
    model = Trainer(Path(tiny.model), **PLAIN).fit(frame, uncertainty=False)
    assert model.predict(frame[["VH"]]).shape == (24,)
    chained = ChainSpec(heavy=tiny, light=ExtractorSpec(model=str(checkpoints["bert"])))
    pairs = list(zip(HEAVIES, LIGHTS, strict=True))
    paired = Trainer(chained, **PLAIN).fit(pairs, CLASSES, uncertainty=False)
    assert np.array_equal(paired.predict_proba(frame, heavy="VH", light="VL"), paired.predict_proba(pairs))
    of_table, of_lists = paired.evaluate(frame), paired.evaluate(pairs, CLASSES)
    assert repr(of_table) == repr(of_lists)
    paired.save(tmp_path / "model")
    assert Predictor.load(tmp_path / "model").predict(frame).shape == (24,)


def test_columns_that_a_spec_names_are_read_from_a_data_frame() -> None:
    isotypes = ["IgG1", "IgG4"] * 12
    frame = pd.DataFrame({"VH": HEAVIES, "isotype": isotypes, "label": [0, 1, 1] * 8})
    spec = EnsembleSpec(members=(FIRST, ColumnSpec(name="isotype")), combine="concat")
    model = Trainer(spec, **PLAIN).fit(frame, uncertainty=False)
    assert model.reading.columns.names == ("isotype",)
    assert model.predict(frame).shape == (24,)
    assert model.evaluate(frame) is not None


def test_vectors_need_no_labels() -> None:
    frame = pd.DataFrame({"VH": HEAVIES})
    of_frame, of_list = Trainer(FIRST).embed(frame), Trainer(FIRST).embed(HEAVIES)
    assert np.array_equal(of_frame, of_list)
    assert Trainer(FIRST).embed(pd.DataFrame({"heavy": HEAVIES, "light": LIGHTS})).shape == of_list.shape
    assert Trainer(FIRST).embed(list(zip(HEAVIES, LIGHTS, strict=True))).shape == (24, 4)


def test_one_of_several_labels_is_named() -> None:
    frame = pd.DataFrame({"VH": HEAVIES, "HIC": VALUES, "PSR": [*VALUES[:20], None, None, None, None]})
    data = load_dataset(frame, label=["HIC", "PSR"])
    trainer = Trainer(FIRST, "ridge", **PLAIN)
    assert trainer.fit(data, "PSR", uncertainty=False).data.antibodies == 20
    assert trainer.fit(frame, "PSR", uncertainty=False).data.antibodies == 20
    assert trainer.fit(frame, "HIC", uncertainty=False).data.label == "HIC"
    with pytest.raises(DatasetError, match="several labels"):
        trainer.fit(data)
