"""``antibody-esm explain`` and ``antibody-esm scan``, on a model that was saved."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib import image, pyplot
from typer.testing import CliRunner, Result

from antibody_esm import ExtractorSpec
from antibody_esm.cli.app import app
from antibody_esm.explain import mutational_scan
from chains import HEAVY, LIGHT
from explaining import trained


@pytest.fixture(scope="module")
def model(checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(ExtractorSpec(model=str(checkpoints["esmc"])), "logreg").save(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pyplot.switch_backend("agg")


def run(*arguments: object, fails: int = 0) -> Result:
    done = CliRunner().invoke(app, [*map(str, arguments)], terminal_width=80)
    assert done.exit_code == fails, done.output
    assert max(map(len, done.stdout.splitlines()), default=0) <= 80
    return done


def test_a_scan_is_printed_and_written(model: Path) -> None:
    done = run(
        *("scan", HEAVY, "--model", model, "--positions", "CDR3", "--protect", "107", "--top", 3),
        *("-o", "out.csv", "--plot", "map.png"),
    )
    table = pd.read_csv("out.csv")
    assert len(table) == 19 * 12
    assert list(table["change"]) == sorted(table["change"])
    assert all(mutation in done.stdout for mutation in table["mutation"][:3])
    assert table["mutation"][3] not in done.stdout
    assert image.imread("map.png").shape[2] == 4
    assert "228 mutants written to out.csv" in done.stdout
    assert Path("embeddings").is_dir()


def test_a_scan_of_a_file_has_a_row_a_mutant_of_each(model: Path) -> None:
    Path("two.fasta").write_text(f">one\n{HEAVY}\n>two\n{LIGHT}\n")
    done = run("scan", "two.fasta", "--model", model, "--positions", "CDR3", "-o", "out.csv", "--no-plausibility")
    table = pd.read_csv("out.csv")
    assert table.groupby("id").size().to_dict() == {"one": 19 * 13, "two": 19 * 9}
    assert "plausibility: not computed, as plausibility=False" in done.stdout
    failed = run("scan", "two.fasta", "--model", model, "--plot", "map.png", fails=1)
    assert "a heat map shows one antibody, but two.fasta holds 2: pass the sequence itself" in failed.stderr


def test_contributions_are_printed_and_written_as_page_and_figure(model: Path) -> None:
    done = run("explain", HEAVY, "--model", model, "-o", "page.html", "--plot", "bars.png")
    assert "CDR3 105-117   SRWGGDGFYAMDY" in done.stdout
    assert "\x1b[" not in done.stdout, "no colours where nobody looks"
    assert "CDR3 105-117" in Path("page.html").read_text(encoding="utf-8")
    assert image.imread("bars.png").shape[2] == 4
    occluded = run("explain", HEAVY[:20], "--model", model, "--method", "occlusion")
    assert "its fall when each residue is hidden" in occluded.stdout
    assert "hiding a whole region has another effect" in occluded.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("scan", "nothing.fasta"), "nothing.fasta: there is no such file"),
        (("scan", HEAVY, "--positions", "CDR9"), "'CDR9' names no residues"),
        (("scan", HEAVY, "-o", "out.xlsx"), "must end in .csv"),
        (("explain", HEAVY, "-o", "out.txt"), "must end in .html"),
        (("explain", "EV*"), "'*'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(model: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments, "--model", model, fails=1)
    assert said in done.stderr
    assert done.stderr.startswith("error: ")


def test_the_command_finds_what_the_function_does(model: Path) -> None:
    run("scan", HEAVY, "--model", model, "--positions", "107", "-o", "out.csv")
    from antibody_esm import Predictor

    expected = mutational_scan(Predictor.load(model, store="embeddings"), HEAVY, "107").to_frame()
    found = pd.read_csv("out.csv", keep_default_na=False).drop(columns="id").astype(expected.dtypes)
    pd.testing.assert_frame_equal(found, expected)


def test_a_sequence_longer_than_a_name_of_a_file_is_a_sequence(model: Path) -> None:
    constant = "ASTKGPSVFPLAPSSKSTSGGTAALGCLVKDYFPEPVTVSWNSGALTSGVHTFPAVLQSSGLYSLSSVVTVPSSSLGTQTYICNVNHKPSNTKVDKKVEPKSC"
    done = run("explain", HEAVY + constant + constant, "--model", model)
    assert "CDR3" in done.stdout


def test_liabilities_are_marked_on_request(model: Path) -> None:
    done = run(
        "scan", HEAVY, "-m", model, "--positions", "62,63", "--liabilities", "--no-plausibility", "-o", "out.csv"
    )
    table = pd.read_csv("out.csv", keep_default_na=False)
    assert set(table.loc[table["position"] == 63, "clears"]) >= {"NG at H62"}
    assert "high liability: NG at H62 (deamidation)" in done.stdout
    done = run("explain", HEAVY, "-m", model, "--liabilities", "-o", "page.html", "--plot", "bars.png")
    assert "high liability: NG at H62 (deamidation), DG at H110 (isomerisation)" in done.stdout
    assert "high liability: NG at H62" in Path("page.html").read_text(encoding="utf-8")
    assert "liability" not in run("explain", HEAVY, "-m", model).stdout
