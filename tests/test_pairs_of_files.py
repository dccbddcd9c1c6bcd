"""Tables with heavy and light columns are read as pairs by models of two chains, and no chain is lost in silence."""

import logging
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from antibody_esm import ChainSpec, DatasetError, EnsembleSpec, ExtractorSpec, SequenceError, embed, embed_stream
from antibody_esm.cli import app
from antibody_esm.data.tables import SequenceColumn, read_sequences
from antibody_esm.specs import AnyExtractorSpec
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT, NANOBODY

SAPIENS = ChainSpec(heavy="sapiens_vh", light="sapiens_vl")
PAIRS = [(HEAVY, LIGHT), (NANOBODY, LIGHT)]


@pytest.fixture
def tiny(tmp_path: Path) -> ExtractorSpec:
    return ExtractorSpec(model=str(tiny_checkpoint("bert", tmp_path / "tiny", layers=1, dim=16)))


def table(path: Path, rows: list[tuple[str, ...]], header: str = "id,heavy,light") -> Path:
    lines = [f"a{i}," + ",".join(row) for i, row in enumerate(rows)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def vectors(path: Path, spec: AnyExtractorSpec, **named: str) -> np.ndarray:
    return np.vstack([block.vectors for block in embed_stream(path, spec, at_once=1, **named)])  # type: ignore[arg-type]


def reading_pairs(tiny: ExtractorSpec) -> dict[str, AnyExtractorSpec]:
    return {
        "one model a chain": SAPIENS,
        "a member of an ensemble": EnsembleSpec(members=(tiny, SAPIENS), combine="concat"),
        "joined": tiny.model_copy(update={"pairs": "joined"}),
        "a joined member": EnsembleSpec(members=(tiny, tiny.model_copy(update={"pairs": "joined"})), combine="concat"),
    }


@pytest.mark.parametrize("name", ["one model a chain", "a member of an ensemble", "joined", "a joined member"])
@pytest.mark.parametrize("header", ["id,heavy,light", "name,VH,vl_seq"])
def test_both_columns_are_read_as_pairs(name: str, header: str, tiny: ExtractorSpec, tmp_path: Path) -> None:
    spec = reading_pairs(tiny)[name]
    path = table(tmp_path / "p.csv", PAIRS, header)  # type: ignore[arg-type]
    assert np.array_equal(vectors(path, spec), np.vstack([embed([pair], spec) for pair in PAIRS]))
    ids = [name for block in embed_stream(path, spec) for name in block.ids]
    assert ids == ["a0", "a1"]
    column = header.split(",")[2]
    assert np.allclose(vectors(path, spec, column=column), embed([LIGHT, LIGHT], spec), atol=1e-5), "a named column"


def test_models_of_single_chains_read_the_first_column_and_log_it(
    tiny: ExtractorSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = table(tmp_path / "p.csv", PAIRS)  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO, "antibody_esm.tables"):
        assert np.array_equal(vectors(path, tiny), np.vstack([embed([heavy], tiny) for heavy, _ in PAIRS]))
    assert "sequences are read from the column 'heavy', not from 'light'; column= names one" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "antibody_esm.tables"):
        vectors(path, tiny, column="light")
        vectors(table(tmp_path / "one.csv", [(HEAVY,)], "id,heavy"), tiny)
    assert not caplog.text, "nothing was chosen"


@pytest.mark.parametrize("member", [False, True])
def test_swapped_and_missing_chains_of_a_table_are_refused_by_row_before_any_computation(
    member: bool, tiny: ExtractorSpec, tmp_path: Path
) -> None:
    spec = EnsembleSpec(members=(tiny, SAPIENS), combine="concat") if member else SAPIENS
    store = tmp_path / "store"
    rows = [*PAIRS, (LIGHT, HEAVY)]
    with pytest.raises(SequenceError, match=r"a light chain, where the heavy chain is read") as error:
        list(embed_stream(table(tmp_path / "p.csv", rows), spec, store, at_once=1))  # type: ignore[arg-type]
    assert {row.index for row in error.value.rows} == {2}
    with pytest.raises(SequenceError, match="no sequence in the light chain") as error:
        list(embed_stream(table(tmp_path / "q.csv", [*PAIRS, (NANOBODY, "")]), spec, store))
    assert error.value.index == 2
    assert not store.exists() or not any(store.iterdir()), "nothing was computed"


@pytest.mark.parametrize(
    ("header", "row", "other"),
    [("id,heavy", LIGHT, "light"), ("id,light", HEAVY, "heavy"), ("id,VH", LIGHT.lower(), "light")],
)
def test_a_chain_in_the_column_of_the_other_kind_reaches_no_model(
    header: str, row: str, other: str, tmp_path: Path
) -> None:
    good = LIGHT if "light" in header else HEAVY
    path = table(tmp_path / "p.csv", [(good,), (row,)], header)
    for column in (None, header.split(",")[1]):
        with pytest.raises(SequenceError, match=f"a {other} chain in the column") as error:
            list(embed_stream(path, SAPIENS, column=column))
        assert [bad.index for bad in error.value.rows] == [1]
    mixed = table(tmp_path / "m.csv", [(HEAVY,), (LIGHT,)], "id,sequence")
    assert np.array_equal(vectors(mixed, SAPIENS), embed([HEAVY, LIGHT], SAPIENS)), "a column of either kind"


def test_two_columns_that_may_hold_the_light_chain_are_an_error_with_both(tmp_path: Path) -> None:
    path = table(tmp_path / "p.csv", [(HEAVY, LIGHT, LIGHT)], "id,heavy,VL,VK")
    with pytest.raises(DatasetError, match="'VL' and 'VK' may each hold the light chains"):
        list(embed_stream(path, SAPIENS))
    assert vectors(path, SAPIENS, column="VK").shape == (1, 128)
    assert list(read_sequences(path, SequenceColumn())) == [("a0", HEAVY)]


def test_the_command_writes_pairs_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "p.csv", PAIRS)  # type: ignore[arg-type]
    done = CliRunner().invoke(app.app, ["embed", "p.csv", "--language-model", "sapiens", "-o", "out.npz"])
    assert done.exit_code == 0, done.output
    assert "2 x 256" in done.stdout
    assert "pairs are read, from the columns 'heavy' and 'light'" in " ".join(done.stderr.split())
    with np.load(tmp_path / "out.npz", allow_pickle=False) as saved:
        assert saved["id"].tolist() == ["a0", "a1"]
        assert saved["sequence"].tolist() == ["|".join(pair) for pair in PAIRS]


def test_a_pair_with_both_domains_in_one_chain_is_refused_by_row() -> None:
    both = HEAVY + "GGGGS" * 3 + LIGHT
    for pair, name in (((both, LIGHT), "heavy"), ((HEAVY, both), "light")):
        with pytest.raises(SequenceError, match=f"domain in one chain, where the {name} chain is read") as error:
            embed([(HEAVY, LIGHT), pair], SAPIENS)
        assert [row.index for row in error.value.rows] == [1]
