import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, embed
from antibody_esm.cli.app import app

SEQUENCES = ["EVQL", "QVQL", "AAAA"]


@pytest.fixture
def root(tiny: ExtractorSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    embed(SEQUENCES, tiny, "embeddings")
    embed(SEQUENCES[:2], tiny.model_copy(update={"pooling": "max"}), "embeddings")
    return tmp_path


def run(*arguments: str, fails: int = 0) -> Result:
    done = CliRunner().invoke(app, ["store", *arguments], terminal_width=80)
    assert done.exit_code == fails, done.output
    assert all(len(line) <= 80 or "/" in line for line in done.stdout.splitlines())
    return done


def prefixes(root: Path) -> dict[str, str]:
    return {one.spec.pooling: one.fingerprint[:8] for one in EmbeddingStore(root / "embeddings").stats().specs}


def test_stats_and_verify(root: Path) -> None:
    assert "2 specs, 5 rows" in run("stats").output
    assert "every row is what was written" in run("verify").output
    said = run("verify", "--recompute", "2").output
    assert said.count("2 rows computed again") == 2
    assert said.count("0.0e+00") == 2
    (segment,) = (root / "embeddings").glob(f"{prefixes(root)['max']}*/*.joblib")
    segment.write_bytes(segment.read_bytes()[:-100])
    done = run("verify", fails=1)
    assert "damaged rows will be computed again" in done.stdout
    assert "warning: " in done.stderr


def test_explain_takes_fingerprints_and_overrides(root: Path, tiny: ExtractorSpec) -> None:
    names = prefixes(root)
    assert run("explain", names["mean"], names["max"]).output == "pooling mean -> max\n"
    assert run("explain", names["mean"], names["mean"]).output == "no difference\n"
    assert run("explain", names["mean"]).output == "the store has 3 rows of this spec\n"
    wanted = f"extractor.model={tiny.model} extractor.layer=1"
    assert run("explain", wanted).output == "layer 2 -> 1\n"
    assert run("explain", "model=antiberty", "model=antiberty extractor.storage=int8").output == (
        "storage float32 -> int8\n"
    )
    assert run("explain", wanted, "--store", "none").output == "the store is empty\n"
    assert "0 specs" in run("explain", "zzzz", fails=2).stderr
    assert "error: " in run("explain", "model=unknown", fails=2).stderr


def test_gc_removes_only_with_delete(root: Path) -> None:
    names = prefixes(root)
    said = run("gc", "--keep", names["mean"]).output
    assert "1 item, " in said
    assert "nothing was removed; add --delete to remove" in said
    assert "2 specs" in run("stats").output
    assert "removed" in run("gc", "--keep", names["mean"], "--delete").output
    assert "1 specs, 3 rows" in run("stats").output
    assert "0 items, " in run("gc", "--older-than", "1", "--delete").output
    assert "1 item, " in run("gc", "--older-than", "0", "--delete").output
    assert "0 specs" in run("stats").output


def test_rows_move_from_store_to_store(root: Path, tiny: ExtractorSpec) -> None:
    assert "name the spec to export" in run("export", "rows.parquet", fails=1).stderr
    assert run("export", "rows.parquet", "--spec", prefixes(root)["mean"]).output == "3 rows written to rows.parquet\n"
    assert re.match(r" +3 rows added: .*layer 2, mean\n", run("import", "rows.parquet", "-s", "other").output)
    assert run("merge", "embeddings", "--store", "other").output.count("rows added") == 2
    assert EmbeddingStore("other").stats().rows == 5
    assert np.array_equal(EmbeddingStore("other").gather(tiny, SEQUENCES), Extractor(tiny).embed(SEQUENCES))
    (root / "rows.parquet").write_bytes(b"PAR1")
    assert "not rows of an embedding store" in run("import", "rows.parquet", fails=1).stderr


@pytest.mark.parametrize("command", ["stats", "verify", "gc"])
def test_a_store_that_is_not_there_is_an_error_and_is_not_made(root: Path, command: str) -> None:
    assert "is not a folder" in run(command, "--store", "none", fails=2).stderr
    assert not (root / "none").exists()


def test_the_console_script_is_installed() -> None:
    assert shutil.which("antibody-esm", path=Path(sys.executable).parent)
