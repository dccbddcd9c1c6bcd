"""Liabilities: each rule where it applies and where it does not, antibodies with published sites, rejected rows."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import antibody_esm
from antibody_esm import Dataset, DatasetError, SequenceError, liabilities, load_dataset
from antibody_esm.design import LiabilityPanel, liability_columns, screen
from antibody_esm.design.panel import built_in_file
from antibody_esm.design.rules import LiabilitySearch
from antibody_esm.numbering import NANOBODY_SPECIES, number
from chains import HEAVY, LIGHT, LINKER, LYSOZYME, NANOBODY, mutants

OMALIZUMAB = (
    "EVQLVESGGGLVQPGGSLRLSCAVSGYSITSGYSWNWIRQAPGKGLEWVASITYDGSTNYNPSVKGRITISRDDSKNTFYLQMNSLRAEDTAVYYC"
    "ARGSHYFGHWHFAVWGQGTLVTVSS",
    "DIQLTQSPSSLSASVGDRVTITCRASQSVDYDGDSYMNWYQQKPGKAPKLLIYAASYLESGVPSRFSGSGSGTDFTLTISSLQPEDFATYYCQQSHEDPYTFGQGTKVEIK",
)
CETUXIMAB = (
    "QVQLKQSGPGLVQPSQSLSITCTVSGFSLTNYGVHWVRQSPGKGLEWLGVIWSGGNTDYNTPFTSRLSINKDNSKSQVFFKMNSLQSNDTAIYYCA"
    "RALTYYDYEFAYWGQGTLVTVSA"
)
ADALIMUMAB = (
    "EVQLVESGGGLVQPGRSLRLSCAASGFTFDDYAMHWVRQAPGKGLEWVSAITWNSGHIDYADSVEGRFTISRDNAKNSLYLQMNSLRAEDTAVYYC"
    "AKVSYLSTASSLDYWGQGTLVTVSS"
)
PANEL = LiabilityPanel.built_in()


def rows_of(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table[list(columns)].itertuples(index=False)]


def with_cdr(chain: str, old: str, new: str) -> str:
    assert chain.count(old) == 1
    return chain.replace(old, new)


# A motif in a CDR or framework of trastuzumab, and the same place with a residue that is no longer the motif.
MOTIFS = {
    "N-G": ("DGFYAMDY", "NGFYAMDY", "QGFYAMDY", "CDR3"),
    "N-S": ("DGFYAMDY", "NSFYAMDY", "NLFYAMDY", "CDR3"),
    "N-T": ("DGFYAMDY", "NTFYAMDY", "NVFYAMDY", "CDR3"),
    "N-N": ("DGFYAMDY", "NNFYAMDY", "NQFYAMDY", "CDR3"),
    "N-H": ("DGFYAMDY", "NHFYAMDY", "NRFYAMDY", "CDR3"),
    "N-A": ("DGFYAMDY", "NAFYAMDY", "NVFYAMDY", "CDR3"),
    "D-G": ("DGFYAMDY", "DGFYAMDY", "EGFYAMDY", "CDR3"),
    "D-S": ("DGFYAMDY", "DSFYAMDY", "DLFYAMDY", "CDR3"),
    "D-T": ("DGFYAMDY", "DTFYAMDY", "DVFYAMDY", "CDR3"),
    "D-D": ("DGFYAMDY", "DDFYAMDY", "DEFYAMDY", "CDR3"),
    "D-H": ("DGFYAMDY", "DHFYAMDY", "DRFYAMDY", "CDR3"),
    "M": ("DGFYAMDY", "DGFYAMDY", "DGFYALDY", "CDR3"),
    "W": ("SRWGGDG", "SRWGGDG", "SRFGGDG", "CDR3"),
    "N-{P}-[ST]": ("DGFYAMDY", "NGSYAMDY", "NPSYAMDY", "CDR3"),
    "<Q": ("EVQLVESG", "QVQLVESG", "AVQLVESG", "FR1"),
    "<E": ("EVQLVESG", "EVQLVESG", "DVQLVESG", "FR1"),
    "D-P": ("DGFYAMDY", "DPFYAMDY", "EPFYAMDY", "CDR3"),
    "K-[DE]": ("GFNIKDTY", "GFNIKDTY", "GFNIKSTY", "CDR1"),
    "[DE]-K": ("DGFYAMDY", "DKFYAMDY", "DRFYAMDY", "CDR3"),
    "R-G-D": ("DGFYAMDY", "RGDYAMDY", "RGEYAMDY", "CDR3"),
    "K-G-D": ("DGFYAMDY", "KGDYAMDY", "KGEYAMDY", "CDR3"),
    "L-D-V": ("DGFYAMDY", "DLDVAMDY", "DLEVAMDY", "CDR3"),
}


def motif_rules() -> list[Any]:
    return [rule for rule in PANEL.rules if rule.rule == "motif"]


def test_every_motif_of_the_panel_has_an_example_for_and_against() -> None:
    assert {rule.motif for rule in motif_rules()} == set(MOTIFS)
    assert {rule.rule for rule in PANEL.rules} == {"motif", "cysteines", "conserved", "length", "charge", "patch"}


@pytest.mark.parametrize("rule", motif_rules(), ids=lambda rule: rule.motif)
def test_a_motif_is_a_liability_where_it_stands_and_nowhere_else(rule: Any) -> None:
    old, present, absent, region = MOTIFS[rule.motif]
    alone = LiabilityPanel(name="one rule", rules=(rule,))
    yes, no = (liabilities(with_cdr(HEAVY, old, new), panel=alone) for new in (present, absent))
    more = len(yes) - len(no)
    assert more == 1, "the motif adds one liability to those elsewhere"
    here = yes[yes["region"] == region]
    assert set(here["kind"]) == {rule.kind}
    assert set(here["source"]) == {rule.source}
    group = "CDRs" if region.startswith("CDR") else "frameworks"
    assert set(here["severity"]) == {rule.severity.get(region) or rule.severity[group]}
    assert not len(no[(no["region"] == region) & (no["motif"].isin(here["motif"].tolist()[:1]))])


def test_trastuzumab_has_the_three_sites_that_degrade() -> None:
    # doi:10.1016/S0378-4347(00)00548-X: Asn 30 of the light chain, Asn 55 and Asp 102 of the heavy chain.
    table = liabilities([(HEAVY, LIGHT)])
    sites = rows_of(table[table["region"].str.startswith("CDR")], "chain", "motif", "kind", "position", "index")
    assert ("H", "NG", "deamidation", "62", 55) in sites
    assert ("H", "DG", "isomerisation", "110", 102) in sites
    assert ("L", "NT", "deamidation", "36", 30) in sites
    high = rows_of(table[table["severity"] == "high"], "chain", "index", "region")
    assert high == [("H", 55, "CDR2"), ("H", 102, "CDR3")]
    assert list(table.columns) == [
        *("id", "chain", "motif", "kind", "position", "index", "region", "severity", "germline", "source")
    ]


def test_omalizumab_has_two_asp_gly_sites_in_its_loops_one_of_which_isomerises() -> None:
    # doi:10.1021/bi951526c: two Asp-Gly in CDRs, of which that of CDR-L1 is labile. A motif alone cannot say so.
    table = liabilities([OMALIZUMAB])
    sites = table[(table["motif"] == "DG") & table["region"].str.startswith("CDR")]
    assert rows_of(sites, "chain", "index", "region", "severity") == [
        ("H", 55, "CDR2", "high"),
        ("L", 32, "CDR1", "high"),
    ]


def test_cetuximab_has_the_glycan_of_its_fab() -> None:
    # doi:10.1016/j.ab.2007.01.023: Asn 88 of the heavy chain, in framework 3; the mouse gene IGHV2-2 has it.
    table = liabilities(CETUXIMAB)
    sites = table[table["kind"] == "N-glycosylation"]
    assert rows_of(sites, "motif", "index", "region", "severity") == [("NDT", 88, "FR3", "high")]
    assert rows_of(sites, "germline") == [(True,)]


def test_adalimumab_has_asn_ser_in_cdr2() -> None:
    table = liabilities(ADALIMUMAB)
    sites = table[(table["kind"] == "deamidation") & (table["region"] == "CDR2")]
    assert rows_of(sites, "motif", "index", "severity", "germline") == [("NS", 54, "high", True)]  # IGHV3-9 has it


def test_germline_is_true_false_or_not_known() -> None:
    table = liabilities(HEAVY).set_index("index")["germline"]
    assert table[84] is np.True_ or table[84] is True  # N-S of framework 3
    assert not table[55]  # IGHV3-66 has YSGGST
    assert table[102] is pd.NA, "within CDR3"
    # Another residue in the place that any residue may have: the gene has a motif there all the same.
    panel = LiabilityPanel.model_validate_json(
        json.dumps({"name": "p", "rules": [rule_of("motif", motif="N-S-[LV]", severity={"frameworks": "low"})]})
    )
    mutant = HEAVY.replace("QMNSLRAED", "QMNSVRAED")
    assert rows_of(liabilities(mutant, panel=panel), "motif", "germline") == [("NSV", True)]


def test_cysteines_beyond_the_conserved_pair_are_free_if_odd_and_perhaps_paired_if_even() -> None:
    def cysteines(chain: str) -> list[tuple[Any, ...]]:
        table = liabilities(chain)
        return rows_of(table[table["kind"].str.contains("cysteine")], "kind", "position", "severity")

    assert cysteines(HEAVY) == cysteines(LIGHT) == []
    assert cysteines(with_cdr(HEAVY, "DGFYAMDY", "DGFYACDY")) == [("free cysteine", "115", "high")]
    assert cysteines(with_cdr(HEAVY, "DGFYAMDY", "DCFYACDY")) == [
        ("free cysteine", "111", "medium"),
        ("free cysteine", "115", "medium"),
    ]


def test_a_conserved_cysteine_that_is_missing_is_high_and_no_germline_has_it() -> None:
    table = liabilities(with_cdr(HEAVY, "LSCAAS", "LSSAAS"))
    sites = table[table["kind"] == "missing cysteine"]
    assert rows_of(sites, "motif", "position", "severity", "germline") == [("S", "23", "high", False)]
    assert "missing cysteine" not in set(liabilities(with_cdr(HEAVY, "LSCAAS", "LSXAAS"))["kind"])


def test_tryptophans_that_are_conserved_are_no_liability() -> None:
    positions = set(liabilities(HEAVY).query("motif == 'W'")["position"])
    assert positions == {"52", "107"}


def test_lengths_and_charges_of_loops_are_liabilities_beyond_the_limits() -> None:
    def kinds(loop: str) -> list[tuple[Any, ...]]:
        table = liabilities(with_cdr(HEAVY, "SRWGGDGFYAMDY", loop))
        return rows_of(table[table["kind"].str.startswith("CDR")], "kind", "motif", "index", "severity")

    assert kinds("SRWGGDGFYAMDY") == []
    assert kinds("ARGDYFDY") == []
    assert kinds("ARDYFDY") == [("CDR length", "CDR3 of 7 residues", 97, "medium")]
    assert kinds("AR" + "GYSSG" * 4 + "YFDY") == [("CDR length", "CDR3 of 26 residues", 97, "medium")]
    assert kinds("ARKRGGFYKRDY") == [("CDR charge", "net charge +4", 26, "medium")]
    assert kinds("AEEDGEFYEEDY") == [("CDR charge", "net charge -7", 26, "medium")]


def test_limits_of_lengths_and_charges_are_the_percentiles_that_the_panel_names() -> None:
    data = load_dataset("boughter_flu_cdrs").measurements  # the loops lie in the package
    folder = Path(antibody_esm.__file__).parent / "data" / "boughter_flu_cdrs"
    loops = pd.concat([pd.read_csv(folder / f"flu_{name}.csv") for name in ("mono", "poly")])
    assert (len(loops), data) == (358, {})
    for rule in PANEL.rules:
        if rule.rule not in ("length", "charge"):
            continue
        letter = rule.chains[0].lower()
        if rule.rule == "length":
            values, limits = loops[f"{letter}3"].str.len(), (rule.fewest, rule.most)
        else:
            text = loops[f"{letter}1"] + loops[f"{letter}2"] + loops[f"{letter}3"]
            values, limits = text.str.count("[KR]") - text.str.count("[DE]"), (rule.lowest, rule.highest)
        low, high = np.percentile(values, [1, 99])
        assert limits == (np.ceil(low), np.floor(high)), rule


def test_a_patch_is_a_run_of_hydrophobic_residues_in_a_loop() -> None:
    def patches(loop: str) -> list[tuple[Any, ...]]:
        table = liabilities(with_cdr(HEAVY, "SRWGGDGFYAMDY", loop))
        return rows_of(table[table["kind"] == "hydrophobic patch"], "motif", "index", "region")

    assert patches("SRWGGDGFYAMDY") == []
    assert patches("ARGVFLSYWDY") == []
    assert patches("ARGVFLIGYWDY") == [("VFLI", 100, "CDR3")]
    assert patches("ARVFLGIWVFDY") == [("VFLGIWVF", 99, "CDR3")]


def test_a_patch_of_the_germline_is_known_as_such() -> None:
    table = liabilities(NANOBODY, species=NANOBODY_SPECIES)
    assert rows_of(table[table["kind"] == "hydrophobic patch"], "motif", "region", "germline") == [
        ("IIFYV", "CDR1", False)
    ]


def test_only_variable_domains_are_searched_and_indices_are_of_the_whole_chain() -> None:
    constant = "ASTKGPSVFPLAPSSKSTSGGTAALGCLVKDYFPEPVTVSWNSGALTSGVHTFPAVLQSSGLYSLSSVVTVPSSSLGTQTYICNVNHKPSNTKVDK"
    leader = "MEFGLSWLFLVAILKGVQC"
    plain, longer = liabilities(HEAVY), liabilities(leader + HEAVY + constant)
    assert "pyroglutamate" not in set(longer["kind"])
    rest = plain[plain["kind"] != "pyroglutamate"]
    assert rows_of(longer, "motif", "kind", "position") == rows_of(rest, "motif", "kind", "position")
    assert (longer["index"].to_numpy() == rest["index"].to_numpy() + len(leader)).all()
    for _, row in longer.iterrows():
        assert (leader + HEAVY)[row["index"] - 1 :].startswith(row["motif"])


def test_every_form_of_input_gives_the_same_table(tmp_path: Path) -> None:
    data = Dataset(["a", "b"], [HEAVY, OMALIZUMAB[0]], [LIGHT, OMALIZUMAB[1]], chain="paired")
    frame = pd.DataFrame({"id": ["a", "b"], "heavy": data.heavy, "light": data.light})
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "t.fasta").write_text("".join(f">{row.id}\n{row.heavy}|{row.light}\n" for row in frame.itertuples()))
    expected = liabilities(data)
    assert set(expected["id"]) == {"a", "b"}
    assert set(expected["chain"]) == {"H", "L"}
    for other in (frame, tmp_path / "t.csv", str(tmp_path / "t.csv"), tmp_path / "t.fasta"):
        pd.testing.assert_frame_equal(liabilities(other), expected)
    pairs = liabilities([(HEAVY, LIGHT), "|".join(OMALIZUMAB)])
    pd.testing.assert_frame_equal(pairs.drop(columns="id"), expected.drop(columns="id"))
    assert set(pairs["id"]) == {"0", "1"}
    heavy = expected[expected["chain"] == "H"].reset_index(drop=True)
    for table in (liabilities(frame, chain="heavy"), liabilities(frame.drop(columns="light"))):
        pd.testing.assert_frame_equal(table, heavy)
    singles = liabilities([HEAVY, LIGHT.lower()])
    assert rows_of(singles.drop_duplicates("id"), "id", "chain") == [("0", "H"), ("1", "L")]
    named = frame.rename(columns={"heavy": "vh", "light": "vl", "id": "name"})
    pd.testing.assert_frame_equal(screen(named, id="name", heavy="vh", light="vl").table, expected)


def test_both_domains_of_one_chain_are_searched() -> None:
    table = liabilities(HEAVY + LINKER + LIGHT)
    assert set(table["chain"]) == {"H", "L"}
    light = table[(table["chain"] == "L") & (table["motif"] == "NT")]
    assert rows_of(light, "index") == [(len(HEAVY) + len(LINKER) + 30,)]


def test_chains_that_cannot_be_numbered_are_rejected_by_row_with_the_reason() -> None:
    frame = pd.DataFrame(
        {
            "id": list("abcdef"),
            "heavy": [HEAVY, LYSOZYME, "EV-QL", None, LIGHT, HEAVY + LINKER + HEAVY],
            "light": [LIGHT, LIGHT, LIGHT, None, HEAVY, LIGHT],
        }
    )
    done = screen(frame)
    assert done.antibodies == 1
    assert set(done.table["id"]) == {"a"}
    reasons = dict(zip(done.rejected["id"], done.rejected["reason"], strict=True))
    assert reasons == {
        "b": "no heavy variable domain",
        "c": "heavy chain, position 3: '-'",
        "d": "no chain",
        "e": "a light chain, where the heavy chain is read; are the columns swapped?",
        "f": "2 heavy variable domains in one sequence; give each in a row of its own",
    }
    with pytest.raises(DatasetError, match=r"5 of 6 antibodies cannot be searched: antibody 2 .*no heavy") as error:
        liabilities(frame)
    assert set(error.value.reasons) == {1, 2, 3, 4, 5}
    assert screen([LYSOZYME]).rejected["reason"].tolist() == ["no antibody variable domain is recognised"]
    assert screen(pd.DataFrame({"sequence": [HEAVY, None, "EV-QL"]})).rejected["reason"].tolist() == [
        "no chain",
        "position 3: '-'",
    ]


def test_a_chain_that_lacks_a_loop_is_rejected_and_does_not_seem_better() -> None:
    end = HEAVY.index("WGQG")
    done = screen([HEAVY[:60], HEAVY[:end], HEAVY[2:-3]])
    assert done.rejected["reason"].tolist() == ["heavy CDR3 missing", "heavy domain ends in CDR3"]
    assert set(done.table["id"]) == {"2"}, "the ends of a domain may be missing"


def test_the_joined_chains_of_a_column_are_searched() -> None:
    frame = pd.DataFrame({"sequence": [HEAVY + LINKER + LIGHT]})
    for chain in (None, "both"):
        assert set(liabilities(frame, chain=chain)["chain"]) == {"H", "L"}  # type: ignore[arg-type]


def test_columns_for_a_table_count_medium_and_high_sites_of_every_row() -> None:
    antibodies = [(HEAVY, LIGHT), (LYSOZYME, LIGHT), OMALIZUMAB]
    columns, table = liability_columns(antibodies), screen(antibodies).table
    severe = table[table["severity"].isin(["medium", "high"])]
    assert columns["liabilities"].isna().tolist() == [False, True, False]
    assert columns["liabilities"].dropna().tolist() == [(severe["id"] == name).sum() for name in ("0", "2")]
    assert columns["liability_sites"][0].startswith("high: NG at H62, DG at H110; medium: KD at H35")
    assert columns["liability_sites"][0].endswith("NT at L36")
    assert columns["liability_sites"][1] == "not searched: no heavy variable domain"
    assert len(liability_columns([])) == 0


def test_a_file_in_parts_is_searched_as_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chains = [*mutants(HEAVY, 6, 5), LYSOZYME, LIGHT]
    (tmp_path / "t.fasta").write_text("".join(f">a{i}\n{chain}\n" for i, chain in enumerate(chains)))
    whole, columns = screen(tmp_path / "t.fasta"), liability_columns(tmp_path / "t.fasta")
    assert (whole.antibodies, whole.rejected["row"].tolist()) == (7, [6])
    frames = [pd.DataFrame({"id": [f"a{i}"], "sequence": [chain]}) for i, chain in enumerate(chains)]
    monkeypatch.setattr("antibody_esm.data.antibody_tables.read_frames", lambda path: iter(frames))
    parts = screen(tmp_path / "t.fasta")
    pd.testing.assert_frame_equal(parts.table, whole.table)
    pd.testing.assert_frame_equal(parts.rejected, whole.rejected)
    assert (parts.antibodies, parts.rows) == (whole.antibodies, whole.rows)
    pd.testing.assert_frame_equal(liability_columns(tmp_path / "t.fasta"), columns)


def test_other_bad_inputs_are_the_usual_errors(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="position 3"):
        liabilities(["EV-QL"])
    with pytest.raises(DatasetError, match="no such file"):
        liabilities(tmp_path / "absent.csv")
    with pytest.raises(DatasetError, match="there is no column 'heavy'"):
        liabilities(pd.DataFrame({"mine": [HEAVY]}))
    with pytest.raises(ValueError, match="unknown species martian"):
        liabilities(HEAVY, species=("martian",))
    with pytest.raises(DatasetError, match="whole variable domains; these are H-CDR3"):
        liabilities(Dataset(["a"], ["SRWGGDGFYAMDY"], fragment="H-CDR3"))
    assert len(liabilities([])) == 0


def test_species_of_a_data_set_number_its_chains() -> None:
    data = Dataset(["a"], [NANOBODY], species=NANOBODY_SPECIES)
    pd.testing.assert_frame_equal(
        liabilities(data).drop(columns="id"), liabilities(NANOBODY, species=NANOBODY_SPECIES).drop(columns="id")
    )


def rule_of(kind: str, **fields: Any) -> dict[str, Any]:
    return {"rule": kind, "kind": "k", "source": "doi:10.1000/x", **fields}


def test_a_panel_of_a_user_is_read_from_json(tmp_path: Path) -> None:
    rules = [
        rule_of("motif", motif="G-D-G", severity={"CDR3": "high", "110": "none"}, at=2),
        rule_of("motif", motif="Y-A-M", severity={"CDRs": "low", "CDR3": "medium"}),
        rule_of("conserved", residues={"55": "R"}, severity={"FR2": "low"}),
    ]
    (tmp_path / "panel.json").write_text(json.dumps({"name": "mine", "rules": rules}))
    table = liabilities(HEAVY, panel=tmp_path / "panel.json")
    assert rows_of(table, "motif", "severity") == [("YAM", "medium")]
    pd.testing.assert_frame_equal(liabilities(HEAVY, panel=LiabilityPanel.read(tmp_path / "panel.json")), table)


@pytest.mark.parametrize(
    "fields",
    [
        {"motif": "(N+)+$"},
        {"motif": "N-G", "regex": "N+"},
        {"motif": "N-G", "severity": {"CDR4": "low"}},
        {"motif": "N-G", "severity": {"129": "low"}},
        {"motif": "N-G", "severity": {"CDR3": "terrible"}},
        {"motif": "N-G", "severity": {}},
        {"motif": "N-G", "at": 3},
        {"motif": "N-G", "chains": ["K"]},
        {"motif": "N-G", "source": "a friend"},
        {"motif": "N-G", "kind": ""},
        {"motif": "N-G", "rule": "regex"},
    ],
    ids=str,
)
def test_what_is_no_panel_is_refused(fields: dict[str, Any]) -> None:
    rule = rule_of("motif", severity={"CDRs": "low"}) | fields
    with pytest.raises(ValidationError):
        LiabilityPanel.model_validate_json(json.dumps({"name": "p", "rules": [rule]}))


def test_a_panel_without_rules_or_with_other_fields_or_too_large_is_refused(tmp_path: Path) -> None:
    for content in ({"name": "p", "rules": []}, {"name": "p", "rules": [], "code": 1}, [], {"format": 2}):
        with pytest.raises(ValidationError):
            LiabilityPanel.model_validate_json(json.dumps(content))
    (tmp_path / "large.json").write_text(" " * 1_000_001)
    with pytest.raises(ValueError, match="more than a megabyte"):
        LiabilityPanel.read(tmp_path / "large.json")


def test_the_panel_of_the_package_is_json_that_it_writes_itself() -> None:
    again = LiabilityPanel.model_validate_json(PANEL.model_dump_json())
    assert again == PANEL == LiabilityPanel.model_validate_json(built_in_file().read_bytes())
    assert all(rule.source.startswith(("doi:", "PMC")) for rule in PANEL.rules)


def test_ten_thousand_heavy_chains_take_less_than_thirty_seconds_of_two_cores() -> None:
    # Once numbered; 200 of them within the fiftieth part, so that a loaded machine passes too.
    chains = mutants(HEAVY, 200, 8)
    domains = [domains[0] for domains in number(chains)]
    search = LiabilitySearch(PANEL)
    start = time.process_time()
    rows = sum(len(search.liabilities(chain, domain)) for chain, domain in zip(chains, domains, strict=True))
    assert time.process_time() - start < 60 / 50
    assert rows > 1000
