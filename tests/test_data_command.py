import csv
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from antibody_esm.cli.app import app
from chains import HEAVY, LIGHT, LINKER, LYSOZYME
from test_domain import B07


def run(*arguments: object, fails: int = 0) -> Result:
    done = CliRunner().invoke(app, ["data", *map(str, arguments)], terminal_width=80)
    assert done.exit_code == fails, done.output
    return done


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_another_scheme_has_its_own_regions_and_positions_or_a_reason(tmp_path: Path) -> None:
    fasta, out = tmp_path / "in.fasta", tmp_path / "out.csv"
    fasta.write_text(f">heavy\n{HEAVY}\n>scFv\n{HEAVY}{LINKER}{LIGHT}\n>B07\n{B07}\n")
    run("number", fasta, "-o", out, "--scheme", "kabat", "--species", "human", "--species", "alpaca")
    rows = rows_of(out)
    assert [row["cdr2"] for row in rows] == ["RIYPTNGYTRYADSVKG", "RIYPTNGYTRYADSVKG", "SASFLYS", ""]
    assert {row["scheme"] for row in rows} == {"kabat"}
    assert " 52 52A 53 " in rows[0]["positions"]
    assert rows[3]["problems"].startswith("no kabat positions: immunum")
    run("number", fasta, "-o", out, "--engines", "both")
    rows = rows_of(out)
    assert [row["engine"] for row in rows] == ["immunum", "anarcism", "anarcism", "anarcism"]
    assert [row["cdr2"] for row in rows[:3]] == ["IYPTNGYT", "IYPTNGYT", "SAS"]
    assert "'eu' is not one of" in run("number", fasta, "-o", out, "--scheme", "eu", fails=2).stderr


def test_every_sequence_is_numbered_and_the_bad_ones_are_said_by_row(tmp_path: Path) -> None:
    fasta, out = tmp_path / "in.fasta", tmp_path / "out.csv"
    fasta.write_text(
        f">heavy\n{HEAVY[:60]}\n{HEAVY[60:]}\n>bad\nEV-QL\n>scFv\n{HEAVY}{LINKER}{LIGHT}\n>none\n{LYSOZYME}\n"
    )
    done = run("number", fasta, "-o", out)
    assert done.stdout.startswith("2 of 4 sequences numbered")
    assert done.stderr.splitlines() == [
        "line 4 (id bad): position 3: '-'",
        "line 8 (id none): no variable domain of an antibody",
    ]
    rows = rows_of(out)
    assert [(row["id"], row["row"], row["domain"], row["chain"]) for row in rows] == [
        ("heavy", "0", "1", "H"),
        ("bad", "1", "", ""),
        ("scFv", "2", "1", "H"),
        ("scFv", "2", "2", "K"),
        ("none", "3", "", ""),
    ]
    assert (rows[0]["cdr3"], rows[0]["v_gene"], rows[0]["sequence"]) == ("SRWGGDGFYAMDY", "IGHV3-66*01", HEAVY)
    assert "".join(rows[0][f"{name}"] for name in ("fr1", "cdr1", "fr2", "cdr2", "fr3", "cdr3", "fr4")) == HEAVY
    assert rows[1]["problems"] == "position 3: '-'"
    assert len(rows[0]["positions"].split()) == len(HEAVY)


def test_doubts_and_remarks_stand_in_the_row_of_the_domain(tmp_path: Path) -> None:
    fasta, out = tmp_path / "in.fasta", tmp_path / "out.csv"
    fasta.write_text(f">a\n{HEAVY}\n>b\n{HEAVY.replace('YWGQGT', 'YRGQGT')}\n>c\n{LIGHT}\n")
    run("number", fasta, "-o", out)
    graft = "CDR2 has 8 residues, the germline IGHV3-66*01 has 7"
    assert [(row["problems"], row["remarks"]) for row in rows_of(out)] == [
        ("", graft),
        ("R at position 118, where W or F is conserved", graft),
        ("", ""),
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.parquet"])
def test_a_table_is_numbered_by_its_column(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"id": ["x", "y"], "mine": [HEAVY, LIGHT]})
    path = tmp_path / name
    if name.endswith("parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    run("number", path, "--sequence", "mine", "-o", tmp_path / "out.csv")
    assert [row["chain"] for row in rows_of(tmp_path / "out.csv")] == ["H", "K"]
    assert (
        "no column with sequences; name a column. The columns are: id, mine"
        in run("number", path, "-o", tmp_path / "out.csv", fails=1).stderr
    )


def test_an_audit_of_two_tables(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(f"vh,sticky\n{HEAVY},0\n{HEAVY},1\n{LIGHT},1\n")
    test.write_text(f"vh,sticky\n{HEAVY},0\n")
    columns = ("--heavy", "vh", "--label", "sticky")
    done = run("audit", train, "--against", test, *columns, "-o", tmp_path / "out.csv")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert "exact duplicates: 1\n" in done.stdout
    assert "contradictory labels: 0, 1\n" in done.stdout
    found = {row["check"]: row for row in rows_of(tmp_path / "out.csv")}
    assert found["exact duplicates"]["rows"] == "1"
    assert found["contradictory labels"]["count"] == "1"
    assert found["sequences of both sets"]["rows"] == "0 1"
    assert found["wrong chain, heavy"]["rows"] == "2"
    assert "near-duplicates at 99%" in run("audit", train, *columns, "--duplicate-identity", "0.99").stdout
    assert "no column 'heavy'" in run("audit", train, "--heavy", "heavy", fails=1).stderr
    assert "domain" not in run("audit", train, *columns, "--no-numbering").stdout


def test_an_audit_reads_the_chain_that_is_named(tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_text(f"name,vh,vl,label\na,{HEAVY},{LIGHT},0\nb,{HEAVY[:-3]},{LIGHT},1\nc,{HEAVY[:-5]},{LIGHT},1\n")
    light = run("audit", train, "--chain", "light", "--no-numbering").stdout
    assert "exact duplicates: b, c\n" in light
    assert "exact duplicates: " not in run("audit", train, "--chain", "heavy", "--no-numbering").stdout


def test_an_audit_checks_every_chain_of_the_table_unless_one_is_named(tmp_path: Path) -> None:
    default, usual = tmp_path / "default.csv", tmp_path / "usual.csv"
    rows = f"a,{HEAVY},{LIGHT},0\nb,{HEAVY[:-3]},{HEAVY},1\nc,{HEAVY[:-5]},,1\nd,{HEAVY[:-4]},X{LIGHT},0\n"
    default.write_text(f"id,heavy,light,label\n{rows}")
    usual.write_text(f"id,heavy,VL,label\n{rows}")
    for table, named in ((default, ()), (default, ("--light", "light")), (usual, ()), (usual, ("--light", "VL"))):
        done = run("audit", table, *named, "-o", tmp_path / "out.csv").stdout
        assert "\nwrong chain, light: b\n" in done
        checks = {row["check"]: row["rows"] for row in rows_of(tmp_path / "out.csv")}
        assert checks["unknown residues (X), light"] == "3"
        assert checks["wrong chain, heavy"] == checks["unusual lengths, light"] == ""
    heavy = run("audit", usual, "--chain", "heavy").stdout
    assert "light" not in heavy
    assert "wrong chain, heavy" in heavy


def test_an_audit_reads_the_labels_that_are_there_and_counts_the_others(tmp_path: Path) -> None:
    table, out = tmp_path / "lab.csv", tmp_path / "out.csv"
    rows = f"{HEAVY},0\n{HEAVY},1\n{HEAVY},\n{LIGHT},n/a\n{LIGHT},1\n"
    for column, named in (("poly", ("--label", "poly")), ("label", ()), ("polyreactivity", ())):
        table.write_text(f"heavy,{column}\n{rows}")
        done = run("audit", table, *named, "--no-numbering", "-o", out)
        assert "are not read" not in done.stderr
        assert "no label                      2 rows: checks of labels leave them out\n" in done.stdout
        checks = {row["check"]: row for row in rows_of(out)}
        assert checks["no label"]["rows"] == "2 3"
        assert checks["contradictory labels"]["rows"] == "0 1", "a label that is missing contradicts none"
        assert checks["positives"]["detail"] == "67% of all"
    table.write_text(f"heavy,poly\n{HEAVY},1\n{LIGHT},1\n{HEAVY[1:]},\n")
    assert "a classifier cannot be trained" in run("audit", table, "--label", "poly", "--no-numbering").stdout
    assert "no label" not in run("audit", table, "--no-numbering").stdout, "no column of labels is named"


def test_an_audit_of_public_sets(published: Path) -> None:
    assert "46 rows: 34% of all" in run("audit", "jain", "--against", "shehata", "--no-numbering").stdout


def test_nothing_that_is_there_is_written_over_by_accident(tmp_path: Path) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "out.csv"
    content = f"heavy,label\n{HEAVY},0\n{LIGHT},1\n"
    table.write_text(content)
    out.write_text("mine")
    for command in (("number", table, "-o", table), ("audit", table, "-o", table)):
        assert "would be overwritten" in run(*command, fails=1).stderr
    assert table.read_text() == content
    run("number", table, "--species", "martian", "-o", out, fails=1)
    assert out.read_text() == "mine"


def test_nothing_to_number_is_an_error_and_what_is_too_long_is_said(tmp_path: Path) -> None:
    fasta, out = tmp_path / "in.fasta", tmp_path / "out.csv"
    fasta.write_text("")
    assert "there are no sequences" in run("number", fasta, "-o", out, fails=1).stderr
    fasta.write_text(f">long\n{HEAVY}{'A' * 10_001}\n>good\n{HEAVY}\n")
    assert "line 1 (id long): too long to be an antibody" in run("number", fasta, "-o", out).stderr
    fasta.write_text(">none\nAAAA\n")
    assert run("number", fasta, "-o", out, fails=1).stdout.startswith("0 of 1 sequences")
