"""Files of antibodies: good rows are scored, bad ones are kept apart with the reason, none is lost."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from antibody_esm import Dataset, DatasetError, DescriptorSpec, ExtractorSpec, Predictor, SplitSpec, Trainer
from antibody_esm.cli.app import app
from antibody_esm.design import liability_columns
from antibody_esm.evaluation.conformal import Uncertainty
from antibody_esm.score_tables import Columns, score_file, score_frame
from chains import HEAVY, LIGHT, mutants
from effort import examples

GENERATOR = np.random.default_rng(5)
NUMBERED = DescriptorSpec(descriptors=("net_charge", "composition"))


VH, VL = mutants(HEAVY, 40, 6), mutants(LIGHT, 40, 6)
LABEL = [(one.count("K") + one.count("R")) % 2 for one in VH]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Trainer(NUMBERED, "logreg").fit(Dataset([f"a{i}" for i in range(40)], VH, label=LABEL))


@pytest.fixture(scope="module")
def model(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return predictor.save(tmp_path_factory.mktemp("saved") / "model")


cells = st.one_of(
    st.sampled_from(VH[:5]),
    st.sampled_from(["", " ", "EVQ-LV", "EVQ1", "*", "EVQLV*", "evqlv", None, "Z", "EVQJ", "日本"]),
    st.text(max_size=5),
)


@given(st.lists(st.tuples(cells, st.one_of(st.none(), st.text(max_size=4))), max_size=12))
@examples(60)
def test_every_row_is_scored_or_rejected_exactly_once(predictor: Predictor, rows: list) -> None:
    frame = pd.DataFrame({"heavy": [one for one, _ in rows], "id": [name for _, name in rows]}, dtype=object)
    table, rejected, _ = score_frame(frame, predictor, first=100)
    assert sorted([*table["row"], *rejected["row"]]) == list(range(100, 100 + len(rows)))
    for row, name in zip([*table["row"], *rejected["row"]], [*table["id"], *rejected["id"]], strict=True):
        given_name = rows[row - 100][1]
        assert name == (given_name if given_name is not None and given_name.strip() else str(row))
    assert all(len(reason) > 5 for reason in rejected["reason"])
    good = [rows[row - 100][0] for row in table["row"]]
    if good:
        clean = ["".join(one.split()).removesuffix("*") for one in good]
        assert np.array_equal(table["probability"], predictor.predict_proba(clean)[:, 1])


@pytest.mark.parametrize("fragment", ["H-CDRs", "H-CDR3"])
def test_the_fragment_of_the_training_is_cut_from_whole_chains(fragment: str) -> None:
    data = Dataset([f"a{i}" for i in range(40)], VH, label=LABEL).cut(fragment)
    fitted = Trainer(NUMBERED, "logreg").fit(data)
    frame = pd.DataFrame({"heavy": [*VH, "EVQLVESGG", "GGGGS" * 5]})
    table, rejected, _ = score_frame(frame, fitted)
    assert np.array_equal(table["probability"], fitted.predict_proba(data)[:, 1])
    assert list(rejected["row"]) == [40, 41]
    assert rejected["reason"].str.contains("no heavy variable domain").all()
    only_bad, rejected, _ = score_frame(frame.iloc[40:], fitted)
    assert (len(only_bad), len(rejected)) == (0, 2)
    assert list(only_bad.columns) == list(table.columns)


@pytest.mark.parametrize("classifier", ["logreg", "ridge"])
def test_a_model_that_knows_how_sure_it_is_says_nothing_of_no_antibody(classifier: str) -> None:
    unlike = ["".join(GENERATOR.choice(list("ADEFGKLRSTVY"), 100)) for _ in range(60)]
    label = [0, 1] * 30 if classifier == "logreg" else list(range(60))
    fitted = Trainer(NUMBERED, classifier).fit(Dataset([f"a{i}" for i in range(60)], unlike, label=label), check=False)
    assert isinstance(fitted.uncertainty, Uncertainty)
    table, rejected, sequences = score_frame(pd.DataFrame({"heavy": ["EVQ1"]}), fitted)
    assert (len(table), len(rejected), sequences) == (0, 1, [])
    assert list(table.columns) == list(score_frame(pd.DataFrame({"heavy": unlike[:1]}), fitted).table.columns)


@pytest.mark.parametrize("chain", ["paired", "both", "light"])
def test_pairs_and_light_chains_are_taken_where_the_model_reads_them(chain: str, tiny: ExtractorSpec) -> None:
    data = Dataset([f"a{i}" for i in range(40)], VH, VL, label=LABEL, chain=chain)
    fitted = Trainer(tiny, "logreg").fit(data)
    frame = pd.DataFrame({"vh": VH, "vl": VL, "name": data.ids})
    table, rejected, _ = score_frame(frame, fitted, Columns("name", "vh", "vl"))
    assert not len(rejected)
    assert list(table["id"]) == list(data.ids)
    assert np.array_equal(table["probability"], fitted.predict_proba(data)[:, 1])
    with pytest.raises(
        DatasetError, match="the model reads the light chain, but there is no column 'light'; the columns are vh"
    ):
        score_frame(frame[["vh"]], fitted, Columns(heavy="vh"))


@pytest.mark.parametrize("column", ["heavy", "sequence"])
def test_a_table_is_predicted_as_its_sequences_are(column: str, predictor: Predictor) -> None:
    frame = pd.DataFrame({"id": list("xyz"), column: VH[:3]}, index=[7, 3, 5])
    assert np.array_equal(predictor.predict(frame), predictor.predict(VH[:3]))
    assert np.array_equal(predictor.predict_proba(frame), predictor.predict_proba(VH[:3]))
    assert np.array_equal(predictor.vectors(frame), predictor.vectors(VH[:3]))
    assert predictor.score_table(frame).equals(predictor.score_table(VH[:3]).assign(id=list("xyz")))
    whole = Dataset([f"a{i}" for i in range(40)], VH, label=LABEL)
    of_loops = Trainer(NUMBERED, "logreg").fit(whole.cut("H-CDRs"))
    loops = whole.subset(range(3)).cut("H-CDRs").sequences
    assert np.array_equal(of_loops.predict_proba(frame), of_loops.predict_proba(loops))


@pytest.mark.parametrize("do", ["predict", "predict_proba", "vectors", "score_table"])
def test_names_of_columns_are_never_read_as_sequences(do: str, predictor: Predictor) -> None:
    """HEAVY is made of amino acids, and a table gives the names of its columns where a list is expected."""
    with pytest.raises(DatasetError, match="there is no column 'heavy'; the columns are mine"):
        getattr(predictor, do)(pd.DataFrame({"mine": VH[:2]}))
    twice = pd.DataFrame([[VH[0], VH[1]]] * 2, columns=["heavy", "heavy"])
    with pytest.raises(DatasetError, match="there are 2 columns named 'heavy'"):
        getattr(predictor, do)(twice)
    with pytest.raises(DatasetError, match="there are 2 columns named 'heavy'"):
        score_frame(twice, predictor)


def test_what_is_too_long_for_the_model_is_rejected_and_the_rest_is_scored(tiny: ExtractorSpec) -> None:
    short = tiny.model_copy(update={"max_length": 130})
    fitted = Trainer(short, "logreg").fit(Dataset([str(i) for i in range(40)], VH, label=LABEL))
    table, rejected, _ = score_frame(pd.DataFrame({"heavy": [VH[0], VH[1] + "GS" * 60, VH[2]]}), fitted)
    assert list(table["row"]) == [0, 2]
    assert list(rejected["row"]) == [1]
    assert "240 residues, at most 130 are allowed" in rejected["reason"][0]


def test_a_file_is_scored_some_rows_at_a_time_with_its_row_numbers(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antibody_esm.data import files

    monkeypatch.setattr(files, "_ROWS_AT_ONCE", 7)
    path = tmp_path / "many.fasta.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(f">h{i} comment\n{'E-' if i == 9 else one}\n" for i, one in enumerate(VH))
    parts = list(score_file(path, predictor))
    assert [len(one.table) + len(one.rejected) for one in parts] == [7, 7, 7, 7, 7, 5]
    table = pd.concat([one.table for one in parts])
    assert list(table["row"]) == [i for i in range(40) if i != 9]
    assert list(table["id"]) == [f"h{i}" for i in range(40) if i != 9]
    (rejected,) = [one.rejected for one in parts if len(one.rejected)]
    assert rejected.to_dict("records") == [{"row": 9, "id": "h9", "reason": "heavy chain, position 2: '-'"}]


def _predict(*arguments: object) -> object:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_the_command_writes_what_the_model_says(
    suffix: str, predictor: Predictor, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"id": ["x", "y", "z"], "heavy": [VH[0], "EVQ1", VH[1][:-8]]}).to_csv("in.csv", index=False)
    ran = _predict("in.csv", "--model", model, "-o", f"out{suffix}", "--threshold", "0.3")
    assert ran.exit_code == 0, ran.output
    assert f"2 antibodies, 1 with a warning, written to out{suffix}" in ran.stdout
    assert f"1 row cannot be scored; out.rejected{suffix} lists it" in ran.stdout
    read = (
        pd.read_parquet
        if suffix == ".parquet"
        else lambda path: pd.read_csv(path, sep="," if suffix == ".csv" else "\t")
    )
    table, rejected = read(f"out{suffix}"), read(f"out.rejected{suffix}")
    assert list(table["id"]) == ["x", "z"]
    expected = predictor.score_table([VH[0], VH[1][:-8]], threshold=0.3)
    np.testing.assert_allclose(table["probability"], expected["probability"], rtol=1e-14)
    assert list(table["prediction"]) == list(expected["prediction"])
    assert list(rejected["reason"]) == ["heavy chain, position 4: '1'"]
    # A clean file leaves no rejected rows of an earlier one.
    pd.DataFrame({"heavy": VH[:2]}).to_csv("in.csv", index=False)
    assert _predict("in.csv", "--model", model, "-o", f"out{suffix}").exit_code == 0
    assert not (tmp_path / f"out.rejected{suffix}").exists()


def test_strict_stops_at_a_bad_row_and_writes_nothing(model: Path, tmp_path: Path) -> None:
    pd.DataFrame({"heavy": [VH[0], "EVQ1"]}).to_csv(tmp_path / "in.csv", index=False)
    ran = _predict(tmp_path / "in.csv", "--model", model, "-o", tmp_path / "out.csv", "--strict")
    assert ran.exit_code == 1
    assert "line 3 (id 1): heavy chain, position 4: '1'" in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv", "-o", "out.csv"], "there is no such file"),
        (["in.csv", "-o", "out.xlsx"], "must end in .csv, .tsv or .parquet"),
        (["in.csv", "-o", "out.csv", "--assay", "spr"], "unknown assay 'spr'"),
        (["in.csv", "-o", "out.csv", "--heavy", "vh"], "there is no column 'vh'; the columns are heavy"),
        (["in.csv", "-o", "out.csv", "--id", "name"], "there is no column 'name'"),
        (["in.csv", "-o", "out.csv", "--id", VH[0]], "is a cell of the column 'heavy': give the name of a column"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_no_file(
    arguments: list[str], message: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"heavy": VH[:2]}).to_csv("in.csv", index=False)
    ran = _predict(*arguments, "--model", model)
    assert ran.exit_code == 1
    assert message in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != "") == ["in.csv"]


def test_a_regressor_has_values_and_intervals_in_its_file(tmp_path: Path) -> None:
    value = [one.count("K") + GENERATOR.normal() for one in VH]
    data = Dataset([str(i) for i in range(40)], VH, label=value, groups=[str(i % 10) for i in range(40)])
    Trainer(NUMBERED, "ridge", SplitSpec(by="group")).fit(data, scores=False).save(tmp_path / "m")
    pd.DataFrame({"heavy": VH[:3]}).to_csv(tmp_path / "in.csv", index=False)
    ran = _predict(tmp_path / "in.csv", "--model", tmp_path / "m", "-o", tmp_path / "out.csv")
    assert ran.exit_code == 0, ran.output
    table = pd.read_csv(tmp_path / "out.csv")
    assert {"prediction", "low", "high"} <= set(table.columns)
    assert "probability" not in table
    assert ((table["low"] < table["prediction"]) & (table["prediction"] < table["high"])).all()


def test_liabilities_are_columns_on_request(predictor: Predictor, model: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b", "c"], "heavy": [HEAVY, "EV-QL", VH[0]]})
    plain, scores = score_frame(frame, predictor), score_frame(frame, predictor, liabilities=True)
    pd.testing.assert_frame_equal(scores.table.drop(columns=["liabilities", "liability_sites"]), plain.table)
    expected = liability_columns([HEAVY, VH[0]])
    pd.testing.assert_frame_equal(scores.table[["liabilities", "liability_sites"]], expected)
    assert scores.table["liability_sites"][0].startswith("high: NG at H62, DG at H110; medium: ")
    frame.to_csv(tmp_path / "t.csv", index=False)
    words = ["predict", str(tmp_path / "t.csv"), "-m", str(model), "-o", str(tmp_path / "out.csv"), "--liabilities"]
    assert CliRunner().invoke(app, [*words, "-s", str(tmp_path / "store")]).exit_code == 0
    assert pd.read_csv(tmp_path / "out.csv")["liabilities"].tolist() == expected["liabilities"].tolist()


def test_liabilities_of_loops_alone_and_of_unchecked_texts_are_not_known(predictor: Predictor) -> None:
    frame = pd.DataFrame({"heavy": ["ARDYYYGSGSYFDY", HEAVY]})
    table = score_frame(frame, predictor, check=False, liabilities=True).table
    assert table["liabilities"].isna().tolist() == [True, False]
    assert table["liability_sites"][0] == "not searched: no heavy variable domain"


def test_a_table_without_any_good_row_has_the_columns_of_liabilities(predictor: Predictor) -> None:
    table = score_frame(pd.DataFrame({"heavy": ["EV-QL"]}), predictor, liabilities=True).table
    assert len(table) == 0
    assert table["liabilities"].dtype == "Int64"
