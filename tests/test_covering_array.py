"""One model gives the same numbers at every door, whatever its settings: a covering array of them, on real antibodies.

`crossing` has the settings and the reasons that keep two of them apart, `bench` makes a model of each cell, and `doors`
has the ways to its numbers; those of a data set are the right ones.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    Dataset,
    DatasetError,
    ExtractorSpec,
    Predictor,
    SequenceError,
    Trainer,
    load_dataset,
)
from antibody_esm.cli import app, train
from antibody_esm.explain import mutational_scan, residue_contributions
from antibody_esm.numbering import NANOBODY_SPECIES
from antibody_esm.score_tables import score_file
from bench import COLUMN, DESCRIPTORS, RUNTIME, TRAINED, Bench, Numbers, number_of
from crossing import ROUTES, Cell, conflict, meetings, valid_meetings
from doors import CELLS, DOORS, STRENGTH, differences, doors_of, numbers_at, of_table, run, scored

RABBITS = [
    "QSVEESGGRLVTPGTPLTLTCTVSGFSLSSYAMGWVRQAPGKGLEYIGIINTGGSAYYASWAKGRFTISKTSTTVDLKITSPTTEDTATYFC"
    "ARGGYDDYGDYVYFNLWGPGTLVTVSS",
    "QSLEESGGDLVKPGASLTLTCTASGFSFSSSYYMCWVRQAPGKGLEWIACIYAGSSGSTYYASWAKGRFTISKTSSTTVTLQMTSLTAADTATYFC"
    "ARDLGYSGSSYNLWGPGTLVTVSS",
]
"""Whole heavy domains of rabbits, which have no residue at IMGT position 2."""

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",  # Gaussian processes of so few antibodies
    *(f"ignore::{kind}" for kind in ("DeprecationWarning", "FutureWarning")),  # Gradio's own
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Forty antibodies are too few for threads, which would wait for each other most of the time."""
    with threadpool_limits(limits=1):
        yield


def test_every_two_settings_that_can_meet_do() -> None:
    met = set().union(*(meetings(cell._asdict(), STRENGTH) for cell in CELLS))
    assert met == valid_meetings(STRENGTH)
    assert not any(conflict(cell._asdict()) for cell in CELLS)
    assert {door for way in ROUTES.values() for door in way} == set(DOORS)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_model_gives_the_same_numbers_at_every_door(bench: Bench, cell: Cell) -> None:
    wrong = []
    for door in doors_of(cell):
        try:
            numbers = numbers_at(door, bench, cell)
            wrong += [f"{door}: {difference}" for difference in differences(numbers, bench.right(cell))]
        except Exception as error:  # noqa: BLE001  so that the other doors are tried too
            wrong.append(f"{door}: {type(error).__name__}: {error}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


REFUSED: dict[str, tuple[dict[str, str], type[Exception], str]] = {
    "no region of loops": ({"extractor": "region", "fragment": "loops"}, SequenceError, "no cdrs by IMGT numbering"),
    "no joined chains by a model of each": (
        {"extractor": "chains", "chain": "both"},
        DatasetError,
        "does not read joined chains",
    ),
    "no classes in numbers": ({"classifier": "logreg", "task": "numbers"}, DatasetError, "needs the labels 0 and 1"),
    "no linear SVM of few antibodies": (
        {"classifier": "linear_svm", "decision": "sigmoid", "tune": "grid", "route": "reports"},
        DatasetError,
        "linear_svm needs at least 2 antibodies of each class",
    ),
    "no adapter of descriptors": (
        {"extractor": "descriptors", "finetune": "lora"},
        ValidationError,
        "finetune needs one language model",
    ),
    "no choice around a fine-tuning": (
        {"finetune": "lora", "tune": "grid"},
        ValidationError,
        "finetune and tune exclude each other",
    ),
    "no decision of numbers": (
        {"classifier": "ridge", "task": "numbers", "decision": "sigmoid"},
        ValidationError,
        "a regressor has no probabilities",
    ),
}
"""Settings that `conflict` keeps apart and people can combine all the same, and the error in which they end."""


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_cannot_meet_are_refused_with_the_reason(bench: Bench, name: str) -> None:
    settings, error, reason = REFUSED[name]
    cell = Cell(
        **{"chain": "heavy", "fragment": "none", "task": "classes", "extractor": "model", "classifier": "logreg"}
        | {
            "split": "antibody",
            "decision": "none",
            "tune": "none",
            "finetune": "none",
            "storage": "float32",
            "pairs": "apart",
            "columns": "without",
        }
        | {"route": "tables"}
        | settings
    )
    assert conflict(cell._asdict())
    # A report of few antibodies fits on fewer than the model itself does.
    for verb in (bench.report,) if cell.route == "reports" else (bench.report, bench.predictor):
        with pytest.raises(error, match=reason):
            verb(cell)


COMMANDED = {
    "storage of descriptors": (["model=descriptors", "extractor.storage=int8"], "unknown key"),
    "pairs of descriptors": (["model=descriptors", "extractor.pairs=joined"], "unknown key"),
    "members of a model": (["model=descriptors", "extractor.members=[descriptors]"], "unknown key"),
    "another chain's fragment": (["data.chain=heavy", "data.fragment=L-CDR1"], "chain"),
}
"""Overrides that cannot be combined, and what the command says of them."""


@pytest.mark.parametrize("name", COMMANDED)
def test_a_command_says_in_a_line_which_settings_cannot_meet(bench: Bench, name: str) -> None:
    overrides, reason = COMMANDED[name]
    table = bench.folder / "antibodies.csv"
    bench.table.iloc[list(TRAINED)].to_csv(table, index=False)
    model = [] if "model=descriptors" in overrides else [f"extractor.model={bench.checkpoints['esm']}"]
    arguments = [f"data={table}", "data.label=classes", *model, *overrides, f"output={bench.folder / 'refused'}"]
    done = CliRunner().invoke(train.app, arguments)
    assert isinstance(done.exception, SystemExit)
    assert done.exit_code in (1, 2)
    assert done.stderr.startswith("error: ")
    assert reason in done.stderr
    assert "Traceback" not in done.output


NANOBODIES = {
    ("H-CDRs", "model", "numbers"): "ridge",
    ("H-CDRs", "descriptors", "classes"): "logreg",
    ("H-CDR2", "ensemble", "numbers"): "svr",
    ("VHH", "region", "classes"): "linear_svm",
    ("H-FWRs", "model", "classes"): "gaussian_process",
    ("H-CDR3", "chains", "classes"): "knn",
    (None, "region", "numbers"): "elastic_net",
}
"""Fragment, extractor and task of models of nanobodies, whose numbering takes alpaca's profiles too."""


@pytest.mark.parametrize("settings", NANOBODIES, ids=lambda settings: "-".join(map(str, settings)))
def test_nanobodies_have_the_numbers_of_their_training_rows_at_every_door(
    bench: Bench, settings: tuple[str | None, str, str], tmp_path: Path
) -> None:
    fragment, extractor, task = settings
    cell = Cell(
        "heavy",
        "none",
        task,
        extractor,
        NANOBODIES[settings],
        *("antibody", "none", "none", "none", "float32", "apart", "without", ""),
    )
    labels = "psr" if task == "numbers" else "moderate"
    whole, data = load_dataset("harvey", labels=labels), load_dataset("harvey", labels=labels, fragment=fragment)
    trainer = bench.trainer(cell)
    predictor, right = trainer.fit(data, uncertainty=False), {}
    right["number"] = number_of(predictor, data)
    right["out of fold"] = trainer.cross_validate(data).predictions[COLUMN[task]]
    assert whole.heavy is not None
    frame = pd.DataFrame({"id": whole.ids, "heavy": whole.heavy, "label": whole.label})
    frame.to_csv(file := tmp_path / "nanobodies.csv", index=False)
    loaded = Predictor.load(predictor.save(tmp_path / "model"), store=bench.store, runtime=RUNTIME)
    b07 = data.ids.index("B07")

    def of_command() -> Any:
        options = [
            "--model",
            tmp_path / "model",
            "--store",
            bench.folder / "store",
            "--output",
            tmp_path / "scores.csv",
        ]
        run(app.app, "predict", file, *options)
        return of_table(pd.read_csv(tmp_path / "scores.csv"))["number"]

    def of_evaluation() -> Any:
        options = ["--model", tmp_path / "model", "--store", bench.folder / "store", "--output", tmp_path / "rows.csv"]
        run(app.app, "evaluate", file, *options)
        return pd.read_csv(tmp_path / "rows.csv")[COLUMN[task]]

    def of_grid() -> Any:
        spec = trainer.spec
        grid = Benchmark(
            [spec.extractor], [spec.classifier], whole, [], [fragment], split=spec.split, store=bench.store
        )
        return grid.run().reports[0].predictions[COLUMN[task]]

    doors: dict[str, Callable[[], Numbers]] = {
        "list": lambda: {"number": number_of(predictor, list(whole.heavy or ()))},
        "frame": lambda: {"number": number_of(predictor, frame)},
        "file": lambda: {"number": scored(score_file(file, predictor))["number"]},
        "saved": lambda: {"number": number_of(loaded, frame)},
        "command": lambda: {"number": of_command()},
        "evaluate": lambda: {"number": of_evaluation()},
        "benchmark": lambda: {"out of fold": of_grid()},
        "scan": lambda: {"first": mutational_scan(predictor, frame["heavy"][b07], [3], plausibility=False).prediction},
        "contributions": lambda: {"read": residue_contributions(predictor, frame["heavy"][b07]).sequence},
    }
    right |= {"first": right["number"][b07], "read": data.sequences[b07]}
    wrong = []
    for door, numbers in doors.items():
        try:
            wrong += [f"{door}: {difference}" for difference in differences(numbers(), right)]
        except Exception as error:  # noqa: BLE001  so that the other doors are tried too
            wrong.append(f"{door}: {type(error).__name__}: {error}")
    recognised = predictor.score_table(frame)["warning"].str.contains("is a training antibody")
    wrong += [f"{name} is not recognised as a training antibody" for name in frame["id"][~recognised]]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("loop", ["CDR1", "CDR2", "CDR3"])
def test_a_region_of_a_nanobody_is_its_fragment(bench: Bench, loop: str) -> None:
    whole = load_dataset("harvey", labels="moderate")
    extractor = ExtractorSpec(model=str(bench.checkpoints["esm"]), region=loop.lower())
    predictor = Trainer(extractor, "logreg", store=bench.store, runtime=RUNTIME).fit(whole, uncertainty=False)
    rows = [whole.ids.index(name) for name in ("B07", "A12'")]
    for nanobody in whole.subset(rows).heavy or ():
        exact = residue_contributions(predictor, nanobody, method="exact")
        region = "".join(residue for residue, share in zip(exact.sequence, exact.contributions, strict=True) if share)
        (cut,) = Dataset(["a"], [nanobody]).cut(f"H-{loop}", species=NANOBODY_SPECIES).sequences
        assert region == cut


def test_a_model_of_rabbits_scores_its_own_training_chains(bench: Bench, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["r1", "r2"], "heavy": RABBITS, "label": [0.0, 1.0]})
    data = load_dataset(frame).cut("VH", species=("rabbit",))
    predictor = Trainer(DESCRIPTORS, "ridge", store=bench.store).fit(data, uncertainty=False)
    frame.to_csv(tmp_path / "rabbits.csv", index=False)
    right = {"number": number_of(predictor, data)}
    loaded = Predictor.load(predictor.save(tmp_path / "model"))
    for antibodies in (RABBITS, frame):
        assert not list(differences({"number": number_of(predictor, antibodies)}, right))
        assert not list(differences({"number": number_of(loaded, antibodies)}, right))
    assert not list(differences({"number": scored(score_file(tmp_path / "rabbits.csv", loaded))["number"]}, right))
