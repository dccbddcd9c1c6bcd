"""Habits of notebooks: cards, rows, names of columns, and the nearest name for one that is not there."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import antibody_esm
from antibody_esm import (
    Dataset,
    EmbeddingStore,
    ExtractorSpec,
    Predictor,
    RuntimeSpec,
    SplitSpec,
    Trainer,
    TrainSpec,
    embed,
    load_dataset,
    presets,
)
from antibody_esm.errors import DatasetError
from antibody_esm.explain import mutational_scan, residue_contributions
from antibody_esm.spelling import did_you_mean
from reporting import CHARGES, antibodies, cross_validated
from test_repr import calls, is_allowed

NASTY = "<script>alert('a & b')</script>"


def set_of(n: int = 12) -> Dataset:
    data = antibodies(40, seed=5).subset(range(n))
    return Dataset(
        data.ids,
        data.heavy,
        label=[float(row % 2) for row in range(n)],
        groups=[f"g{i % 3}" for i in range(n)],
        measurements={"HIC": np.linspace(0, 1, n)},
        columns={"isotype": ["IgG1" if i % 2 else None for i in range(n)], "pH": np.arange(n, dtype=float)},
    )


DATA = set_of()


def trained() -> Predictor:
    return Trainer(CHARGES).fit(antibodies(), uncertainty=False)


def nasty_set() -> Dataset:
    nasty = {NASTY: [0.5]}
    return Dataset([NASTY], ["EVQLV" * 300], measurements=nasty, targets=(NASTY,), groups=[NASTY])


CARDS: dict[str, Callable[[], Any]] = {
    "Dataset": lambda: antibodies(2_000, seed=3),
    "Dataset of hostile names": nasty_set,
    "Dataset of nothing": lambda: DATA[:0],
    "Trainer": lambda: Trainer(CHARGES, "xgboost", SplitSpec(by="group"), store=f"nowhere/{NASTY}"),
    "Predictor": trained,
    "EmbeddingStore": lambda: EmbeddingStore(f"nowhere/{NASTY}"),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_small_and_escaped_and_computes_nothing(name: str) -> None:
    made = CARDS[name]()
    before = dict(getattr(made, "__dict__", {}))
    text, functions, files = calls(made._repr_html_)
    words = ("notebook.py", "pipeline_card.py", "data/summary.py", "data/reading.py:__str__", "model_scores.py:ready")
    assert not {f for f in functions if not is_allowed(f) and not f.startswith(words) and not f.endswith("_repr_html_")}
    assert files == []
    assert getattr(made, "__dict__", {}).keys() == before.keys()
    assert len(text) < 10_000
    assert "<script" not in text
    assert text.count("<table") == text.count("</table>")


@pytest.mark.parametrize("name", CARDS)
def test_a_card_has_the_colours_of_the_page(name: str) -> None:
    text = CARDS[name]()._repr_html_()
    # Text inherits; a fixed colour would be unreadable on a light or on a dark page.
    assert "#" not in text.replace("&#", "")
    assert "color:inherit" in text or "<table" not in text
    assert "background:none" in text or "<table" not in text


rows_of_data = st.one_of(
    st.integers(-len(DATA), len(DATA) - 1),
    st.slices(len(DATA)),
    st.lists(st.booleans(), min_size=len(DATA), max_size=len(DATA)),
    st.lists(st.integers(-len(DATA), len(DATA) - 1), max_size=8, unique_by=lambda row: row % len(DATA)),
)


@given(rows=rows_of_data, kind=st.sampled_from([list, np.array, pd.Series]))
def test_rows_are_those_of_numpy(rows: Any, kind: Callable[[Any], Any]) -> None:
    passed = rows if isinstance(rows, int | slice) or not rows else kind(rows)
    of_numpy = rows if isinstance(rows, int | slice) else np.array(rows, type(rows[0]) if rows else int)
    expected: Any = np.arange(len(DATA))[of_numpy]
    got: Any = DATA[passed]
    if isinstance(rows, int):
        row = DATA.to_frame().iloc[expected]
        assert (got.id, got.heavy, got.label, got.group) == (row["id"], row["heavy"], row["label"], row["groups"])
        assert (got.text, got.measurements) == (DATA.sequences[expected], {"HIC": row["HIC"]})
        assert got.columns == {name: values[int(expected)] for name, values in DATA.columns.items()}
        return
    assert got.ids == tuple(DATA.ids[row] for row in expected)
    assert got.digest == DATA.subset(expected.tolist()).digest


def test_a_series_is_in_the_order_of_the_rows_or_of_the_ids_or_refused() -> None:
    mask, values = pd.Series(np.arange(len(DATA)) < 4), pd.Series(np.arange(len(DATA), dtype=float))
    for index in (mask.index, pd.Index(DATA.ids)):
        assert DATA[mask.set_axis(index)].ids == DATA.subset(mask.set_axis(index)).ids == DATA.ids[:4]
        assert np.array_equal(np.asarray(DATA.with_label("x", values.set_axis(index)).label), values)
    for index in (mask.index[::-1], pd.Index(DATA.ids[::-1]), mask.index + 1):
        with pytest.raises(DatasetError, match="neither 0, 1, 2 ... nor the ids"):
            DATA[mask.set_axis(index)]
        with pytest.raises(DatasetError, match="neither 0, 1, 2 ... nor the ids"):
            DATA.subset(mask.set_axis(index))
        with pytest.raises(DatasetError, match="neither 0, 1, 2 ... nor the ids"):
            DATA.with_label("x", values.set_axis(index))
    assert DATA[pd.Series([3, 1], index=[7, 8])].ids == (DATA.ids[3], DATA.ids[1])


def test_columns_of_different_indices_are_no_data_set() -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "VH": ["EVQLV", "QVQLQ"], "y": [0.0, 1.0]}, index=[5, 3])
    assert Dataset(frame["id"], frame["VH"], label=frame["y"]).ids == ("a", "b")  # type: ignore[arg-type]  # a Series
    with pytest.raises(DatasetError, match="label has another index than ids"):
        Dataset(frame["id"], frame["VH"], label=frame["y"][::-1])  # type: ignore[arg-type]  # a Series
    with pytest.raises(DatasetError, match="HIC has another index than ids"):
        Dataset(frame["id"], frame["VH"], measurements={"HIC": frame["y"].sort_index()})  # type: ignore[arg-type,dict-item]


def test_iteration_length_and_head_agree() -> None:
    assert [each.id for each in DATA] == list(DATA.ids)
    assert len(list(DATA)) == len(DATA)
    assert DATA.head(3).ids == DATA.ids[:3] == DATA[:3].ids
    assert DATA.head().digest == DATA.subset(range(5)).digest
    assert len(DATA.head(100)) == len(DATA)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("a1", TypeError, "to_frame\\(\\) selects by names"),
        (True, TypeError, "a number, a slice, a mask"),
        (1.0, TypeError, "a number, a slice, a mask"),
        (None, TypeError, "a number, a slice, a mask"),
        ([0.5], TypeError, "numbers or a mask"),
        (["a1"], TypeError, "numbers or a mask"),
        ([True, False], IndexError, "a mask of 2 values does not fit 12 antibodies"),
        (12, IndexError, "there is no row 12; the data set has 12 antibodies"),
        (-13, IndexError, "there is no row -13"),
    ],
)
def test_rows_that_are_not_there_are_refused_in_a_line(rows: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DATA[rows]


def test_a_pair_is_the_text_of_both_chains_and_a_missing_chain_is_refused() -> None:
    pairs = Dataset(["a", "b"], ["EVQ", "QVQ"], ["DIQ", None], chain="paired")
    assert pairs[0].text == "EVQ|DIQ"
    with pytest.raises(DatasetError, match="antibody b has no light chain"):
        pairs[1].text  # noqa: B018
    assert Dataset(["a"], ["EVQ"], ["DIQ"], chain="both")[0].text == "EVQDIQ"
    assert Dataset(["a"], ["EVQ"], ["DIQ"], chain="light")[0].text == "DIQ"


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: Trainer("ESM2-8M"), "esm2_8m"),
        (lambda: Trainer("esm2_t6_8M_UR50D"), "facebook/esm2_t6_8M_UR50D"),
        (lambda: Trainer("descriptors", "logref"), "logreg"),
        (lambda: SplitSpec(by="idenity"), "identity"),
        (lambda: SplitSpec(fold=5), "folds"),
        (lambda: RuntimeSpec(worker=2), "workers"),
        (lambda: ExtractorSpec(model="m", pooling="maen"), "mean"),
        (lambda: TrainSpec.compose(["split.by=idenity"]), "identity"),
        (lambda: TrainSpec.compose(["model=esm2_8"]), "esm2_8m"),
        (lambda: TrainSpec.compose(["split.fold=5"]), "split.folds"),
        (lambda: load_dataset("boughtr"), "boughter"),
        (lambda: load_dataset("boughter_flu_cdrs").cut("HCDR3"), "H-CDR3"),
        (lambda: load_dataset("boughter_flu_cdrs", part="all cdrs"), "All-CDRs"),
        (lambda: load_dataset(pd.DataFrame({"heavy": ["EVQ"], "HIC (min)": [1]}), label="HIC min"), "HIC (min)"),
        (lambda: load_dataset(pd.DataFrame({"heavy": ["EVQ"], "label": [1]}), layout="aiir"), "airr"),
        (lambda: DATA.measurement("hic"), "HIC"),
        (lambda: trained().predict(pd.DataFrame({"v_h": ["EVQ"]}), heavy="vh"), "v_h"),
    ],
)
def test_a_misspelled_name_is_answered_by_the_nearest_one(call: Callable[[], Any], meant: str) -> None:
    with pytest.raises((ValueError, ValidationError), match="did you mean") as caught:
        call()
    assert f"did you mean {meant!r}?" in str(caught.value) or f"did you mean {meant}?" in str(caught.value)


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=5))
def test_only_a_name_that_is_there_is_meant(name: str, names: list[str]) -> None:
    text = did_you_mean(name, names)
    assert text == "" or any(text == f"; did you mean {other!r}?" for other in names)
    assert did_you_mean(name, []) == ""


@given(st.sampled_from(sorted(presets.EXTRACTORS)), st.data())
def test_one_letter_more_or_less_is_understood(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 1))
    short = name[:place] + name[place + 1 :]
    if len(name) > 4 and short not in presets.EXTRACTORS:
        assert did_you_mean(short, presets.EXTRACTORS)


def test_a_name_of_the_hub_is_its_preset_or_a_model_with_defaults() -> None:
    for name, spec in presets.EXTRACTORS.items():
        if isinstance(spec, ExtractorSpec) and "/" in spec.model:
            named = presets.extractor(spec.model)
            assert isinstance(named, ExtractorSpec)
            assert named.model == spec.model, name
    assert presets.extractor("facebook/esm2_t6_8M_UR50D") == presets.EXTRACTORS["esm2_8m"]
    assert presets.extractor("me/mine") == ExtractorSpec(model="me/mine")
    assert TrainSpec.compose(["model=me/mine"]).extractor == ExtractorSpec(model="me/mine")
    assert TrainSpec.compose(["model=ollieturnbull/p-IgGen"]).extractor == presets.EXTRACTORS["p_iggen"]


@pytest.mark.parametrize("name", ["./mine", "/mine", "mine/", "a/b/c", "../mine", "a b/c"])
def test_a_path_is_not_a_name_of_the_hub(name: str) -> None:
    with pytest.raises(ValueError, match="unknown extractor"):
        presets.extractor(name)


def test_columns_are_named_for_one_prediction() -> None:
    model, sequences = trained(), antibodies(6, seed=9).sequences
    frame = pd.DataFrame({"first": sequences, "second": sequences[::-1], "name": list("abcdef")})
    plain = model.predict_proba(sequences)
    assert (model.predict_proba(frame, heavy="first") == plain).all()
    assert (model.predict_proba(frame, heavy="second") == plain[::-1]).all()
    assert (model.predict(frame, heavy="first") == model.predict(sequences)).all()
    table = model.score_table(frame, heavy="second", id="name")
    assert table["id"].tolist() == list("abcdef")
    assert (table["probability"] == plain[::-1, 1]).all()
    with pytest.raises(TypeError, match="heavy= names a column of a DataFrame, but the antibodies are a list"):
        model.predict(sequences, heavy="first")
    with pytest.raises(TypeError, match="the antibodies are a Dataset"):
        model.predict(antibodies(), light="first")


def test_a_predictor_explains_and_scans_as_the_functions_do() -> None:
    model, text = trained(), antibodies(6, seed=9)[0].text
    explained = model.explain(text)
    assert (explained.contributions == residue_contributions(model, text).contributions).all()
    scan = model.scan(text, positions=[0, 2], protect=[2], plausibility=False)
    other = mutational_scan(model, text, [0, 2], protect=[2], plausibility=False)
    pd.testing.assert_frame_equal(scan.to_frame(), other.to_frame())
    with pytest.raises(ValueError, match="no sum over residues"):
        model.explain(text, method="exact")


def plots() -> list[tuple[type, str]]:
    """Return the public methods that draw, of every class of the package."""
    classes: dict[str, type] = {}
    for module in pkgutil.walk_packages(antibody_esm.__path__, "antibody_esm."):
        if ".cli" not in module.name and "scoring" not in module.name and "data.sources" not in module.name:
            kinds = vars(importlib.import_module(module.name)).values()
            classes |= {kind.__qualname__: kind for kind in kinds if isinstance(kind, type)}
    ours = [kind for kind in classes.values() if kind.__module__.startswith("antibody_esm.")]
    return [(kind, name) for kind in ours for name in vars(kind) if name.startswith("plot")]


def test_every_plot_takes_axes_and_returns_axes() -> None:
    drawn = plots()
    assert len(drawn) >= 18
    for kind, name in drawn:
        signature = inspect.signature(getattr(kind, name))
        assert "ax" in signature.parameters, f"{kind.__name__}.{name}"
        assert signature.parameters["ax"].default is None
        assert signature.return_annotation in ("Axes", '"Axes"'), f"{kind.__name__}.{name}"


def test_a_plot_draws_on_the_axes_that_it_is_passed() -> None:
    import matplotlib.pyplot as plt

    report, model = cross_validated(), trained()
    text = antibodies()[0].text
    objects: list[tuple[Any, str]] = [
        *((report, name) for _, name in plots() if hasattr(type(report), name) and name not in ("plot_values", "plot")),
        (model.explain(text), "plot"),
        (model.scan(text, [0, 1], plausibility=False), "plot"),
    ]
    for made, name in objects:
        if name in ("plot_predicted", "plot_residuals", "plot_families", "plot_map"):
            continue  # of values, of groups and of vectors, which this report does not have
        figure, ax = plt.subplots()
        before = set(plt.get_fignums())
        assert getattr(made, name)(ax) is ax, name
        assert set(plt.get_fignums()) == before, f"{name} opens a second figure"
        plt.close(figure)
        assert type(getattr(made, name)()).__name__.startswith("Axes"), name
        plt.close("all")


def test_rows_of_a_data_set_are_read_as_their_texts() -> None:
    model, data = trained(), antibodies(8, seed=9)
    assert np.array_equal(model.predict_proba(list(data)), model.predict_proba(data))
    assert np.array_equal(model.predict_proba([data[3], data.sequences[4]]), model.predict_proba(data[[3, 4]]))
    assert np.array_equal(model.explain(data[0]).contributions, model.explain(data[0].text).contributions)
    assert len(model.scan(data[0], [0], plausibility=False).to_frame()) == 19
    with pytest.raises(TypeError, match="one row of a data set; write \\[row\\]"):
        model.predict(data[0])  # type: ignore[arg-type]  # a mistake
    assert np.array_equal(embed(data, CHARGES), embed(data.sequences, CHARGES))
    pairs = Dataset(["a"], ["EVQLV"], ["DIQMT"], chain="paired")
    assert np.array_equal(embed(pairs, CHARGES), embed([("EVQLV", "DIQMT")], CHARGES))
