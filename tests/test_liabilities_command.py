"""``antibody-esm liabilities``: a table of liabilities, and of the rows that cannot be searched."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from antibody_esm import liabilities
from antibody_esm.cli.app import app
from chains import HEAVY, LIGHT, LYSOZYME, NANOBODY


def run(*arguments: object, fails: int = 0) -> Result:
    done = CliRunner().invoke(app, ["liabilities", *map(str, arguments)], terminal_width=80)
    assert done.exit_code == fails, done.output
    return done


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_the_table_is_that_of_the_function_and_bad_rows_are_apart(tmp_path: Path, suffix: str) -> None:
    fasta, out = tmp_path / "in.fasta", tmp_path / f"out.{suffix}"
    fasta.write_text(f">heavy\n{HEAVY}\n>none\n{LYSOZYME}\n>light\n{LIGHT}\n")
    done = run(fasta, "-o", out)
    assert done.stdout.splitlines() == [
        f"2 antibodies, 16 liabilities, 2 of them high, written to {out}",
        f"1 row cannot be searched; it and the reason are in {tmp_path / f'out.rejected.{suffix}'}",
    ]

    def read(path: Path) -> pd.DataFrame:
        return pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path, sep="\t" if suffix == "tsv" else ",")

    table, expected = read(out), liabilities([HEAVY, LIGHT])
    assert list(table.columns) == list(expected.columns)
    assert table["motif"].tolist() == expected["motif"].tolist()
    assert table["index"].tolist() == expected["index"].tolist()
    assert set(table["id"]) == {"heavy", "light"}
    rejected = read(tmp_path / f"out.rejected.{suffix}")
    assert rejected[["row", "id", "reason"]].to_numpy().tolist() == [
        [1, "none", "no antibody variable domain is recognised"]
    ]
    fasta.write_text(f">heavy\n{HEAVY}\n")
    run(fasta, "-o", out)
    assert not (tmp_path / f"out.rejected.{suffix}").exists(), "of an earlier run"


def test_columns_chain_species_and_panel_are_options(tmp_path: Path) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "out.csv"
    pd.DataFrame({"name": ["a"], "vh": [NANOBODY], "vl": [LIGHT]}).to_csv(table, index=False)
    rule = {"rule": "motif", "kind": "mine", "motif": "W", "severity": {"FR2": "low"}, "source": "doi:10.1000/x"}
    (tmp_path / "panel.json").write_text(json.dumps({"name": "p", "rules": [rule]}))
    columns = ("--id", "name", "--heavy", "vh", "--light", "vl")
    run(table, "-o", out, *columns, "--panel", tmp_path / "panel.json", "--species", "human", "--species", "alpaca")
    assert set(pd.read_csv(out)["chain"]) == {"H", "L"}
    assert set(pd.read_csv(out)["kind"]) == {"mine"}
    run(table, "-o", out, *columns, "--chain", "light")
    assert set(pd.read_csv(out)["chain"]) == {"L"}
    assert set(pd.read_csv(out)["id"]) == {"a"}


def test_what_is_wrong_ends_with_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    fasta, out, panel = tmp_path / "in.fasta", tmp_path / "out.csv", tmp_path / "panel.json"
    fasta.write_text(f">heavy\n{HEAVY}\n>none\n{LYSOZYME}\n")
    assert "line 3 (id none): no antibody variable domain" in run(fasta, "-o", out, "--strict", fails=1).stderr
    panel.write_text('{"name": "p", "rules": [], "more": 1}')
    assert "more: Extra inputs are not permitted" in run(fasta, "-o", out, "--panel", panel, fails=1).stderr
    assert "no such file" in run(tmp_path / "absent.csv", "-o", out, fails=1).stderr
    assert "must end in .csv, .tsv or .parquet" in run(fasta, "-o", tmp_path / "out.xlsx", fails=1).stderr
    assert "unknown species martian" in run(fasta, "-o", out, "--species", "martian", fails=1).stderr
    assert not out.exists()


def test_a_file_that_is_read_is_not_written_over(tmp_path: Path) -> None:
    table, panel = tmp_path / "t.csv", tmp_path / "p.csv"
    table.write_text(f"heavy\n{HEAVY}\n")
    panel.write_text("{}")
    for arguments in ((table, "-o", table), (table, "-o", panel, "--panel", panel)):
        assert "would be overwritten" in run(*arguments, fails=1).stderr
    assert table.read_text() == f"heavy\n{HEAVY}\n"


def test_antibodies_without_any_that_can_be_searched_end_with_1_and_the_reasons(tmp_path: Path) -> None:
    fasta, out = tmp_path / "in.fasta", tmp_path / "out.csv"
    fasta.write_text(f">none\n{LYSOZYME}\n")
    assert run(fasta, "-o", out, fails=1).stdout.startswith("0 antibodies, 0 liabilities")
    assert (tmp_path / "out.rejected.csv").exists()


def test_parts_of_a_file_without_liabilities_or_bad_rows_fit_the_others_in_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [pd.DataFrame({"sequence": [chain]}) for chain in (LYSOZYME, HEAVY, LYSOZYME, LIGHT)]
    monkeypatch.setattr("antibody_esm.data.antibody_tables.read_frames", lambda path: iter(frames))
    fasta, out = tmp_path / "in.fasta", tmp_path / "out.parquet"
    fasta.write_text("")
    run(fasta, "-o", out)
    pd.testing.assert_frame_equal(
        pd.read_parquet(out).drop(columns="id"), liabilities([HEAVY, LIGHT]).drop(columns="id"), check_dtype=False
    )
    assert pd.read_parquet(tmp_path / "out.rejected.parquet")["row"].tolist() == [0, 2]
