import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from typer.testing import CliRunner, Result

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec
from antibody_esm.cli.app import app
from antibody_esm.plm.model import Model
from chains import HEAVY, LIGHT

SEQUENCES = [HEAVY, LIGHT, HEAVY]


@pytest.fixture
def fasta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.fasta"
    path.write_text("".join(f">chain{i}\n{sequence}\n" for i, sequence in enumerate(SEQUENCES)))
    return path


def run(*arguments: object, fails: int = 0) -> Result:
    done = CliRunner().invoke(app, ["embed", *map(str, arguments)], terminal_width=80)
    assert done.exit_code == fails, done.output
    return done


def read(path: Path) -> tuple[list[str], list[str], dict[str, np.ndarray]]:
    """What another program finds in the file."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        views = {name: np.stack(table[name]) for name in table.columns if name not in ("id", "sequence")}
        return list(table["id"]), list(table["sequence"]), views
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as found:
            return found["id"].tolist(), found["sequence"].tolist(), {n: found[n] for n in found.files[2:]}
    if path.suffix == ".safetensors":
        with safe_open(path, framework="numpy") as found:
            named = found.metadata()
            views = {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118  not a mapping
            return json.loads(named["id"]), json.loads(named["sequence"]), views
    with h5py.File(path) as found:
        texts = [[one.decode() for one in found[name]] for name in ("id", "sequence")]
        return texts[0], texts[1], {name: found[name][:] for name in found if name not in ("id", "sequence")}


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".safetensors", ".h5", ".hdf5"])
def test_vectors_are_those_of_each_spec_in_every_kind_of_file(fasta: Path, tiny: ExtractorSpec, suffix: str) -> None:
    out = fasta.with_name(f"out{suffix}")
    done = run(
        fasta, "--language-model", tiny.model, "--layers", "1,2", "--pooling", "mean", "--region", "cdr3", "-o", out
    )
    assert f"layer1_mean_cdr3 3 x 32, layer2_mean_cdr3 3 x 32, written to {out}" in done.stdout
    ids, sequences, views = read(out)
    assert ids == ["chain0", "chain1", "chain2"]
    assert sequences == SEQUENCES
    assert set(views) == {"layer1_mean_cdr3", "layer2_mean_cdr3"}
    for layer in (1, 2):
        spec = tiny.model_copy(update={"layer": layer, "region": "cdr3"})
        assert np.array_equal(views[f"layer{layer}_mean_cdr3"], Extractor(spec).embed(SEQUENCES))
    assert not list(fasta.parent.glob("*.tmp"))


def test_a_second_run_computes_nothing_and_one_sequence_more_one(
    fasta: Path, tiny: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(fasta, "--language-model", tiny.model, "-o", "out.npz")
    passes: list[int] = []
    whole = Model._forward

    def counted(self: Model, sequences: list[str], *further: object) -> None:
        passes.append(len(sequences))
        whole(self, sequences, *further)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "_forward", counted)
    run(fasta, "--language-model", tiny.model, "-o", "again.npz")
    assert passes == []
    assert set(read(Path("again.npz"))[2]) == {"last_mean"}
    fasta.write_text(fasta.read_text() + f">more\n{LIGHT[1:].lower()}\n")
    run(fasta, "--language-model", tiny.model, "-o", "more.npz")
    assert passes == [1]
    assert read(Path("more.npz"))[1][-1] == LIGHT[1:]
    assert EmbeddingStore("embeddings").stats().rows == 3


def test_what_is_wrong_is_said_before_anything_is_computed_or_written(fasta: Path, tiny: ExtractorSpec) -> None:
    model = ("--language-model", tiny.model)
    for arguments, message in (
        ((fasta, *model, "-o", "out.csv"), "must end in one of .parquet, .npz, .safetensors, .h5, .hdf5"),
        ((fasta, *model, "-o", "out.npz", "--pooling", "sum"), "unknown 'sum'; choose from mean, max, std, cls"),
        ((fasta, *model, "-o", "out.npz", "--region", "cdr4"), "unknown 'cdr4'"),
        ((fasta, *model, "-o", "out.npz", "--layers", "last"), "invalid literal"),
        ((fasta, "--language-model", "esm3", "-o", "out.npz"), "unknown extractor 'esm3'; choose one of"),
        ((fasta, "--language-model", "no/where", "-o", "out.npz"), "neither on disk nor can it be downloaded"),
        ((fasta.with_name("none.fasta"), *model, "-o", "out.npz"), "no such file"),
    ):
        assert message in run(*arguments, fails=1).stderr
    fasta.write_text(">a\nEV-L\n>b\nEVQL\n>c\nEV*L\n")
    said = run(fasta, *model, "-o", "out.npz", fails=1).stderr
    assert "line 1 (id a), position 3: '-'" in said
    assert "line 5 (id c), position 3: '*'" in said
    fasta.write_text("")
    assert "there are no sequences" in run(fasta, *model, "-o", "out.npz", fails=1).stderr
    assert not Path("out.npz").exists()
    assert not Path("embeddings").exists()
