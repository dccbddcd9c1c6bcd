"""Doors to the numbers of a model: each function gives what the model of a cell says there, by name."""

import asyncio
import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer import Typer
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    ChainSpec,
    DescriptorSpec,
    Panel,
    Predictor,
    TrainSpec,
)
from antibody_esm.cli import app, train
from antibody_esm.cli.serve_jobs import JSON
from antibody_esm.cli.serve_jobs import answer as answer_of
from antibody_esm.cli.serve_requests import Call
from antibody_esm.design import propose
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.explain import mutational_scan, occlusion, residue_contributions
from antibody_esm.explain.picture import fragment as picture
from antibody_esm.profiles import profile_file, profile_html
from antibody_esm.reports import reproduction
from antibody_esm.reports.report import Report
from antibody_esm.reports.verdicts import sentence
from antibody_esm.score_tables import Scores, score_file
from antibody_esm.sequences import BETWEEN
from bench import (
    ASKED,
    CLASSIFIERS,
    CLOSE,
    COLUMN,
    COLUMNS,
    COMPONENTS,
    DECISIONS,
    FINE_TUNINGS,
    FRAGMENTS,
    LOOPS,
    RUNTIME,
    SINGLE,
    SPLITS,
    TRAINED,
    Bench,
    Numbers,
    Rounded,
    number_of,
    numbers_of_list,
)
from crossing import ROUTES, Cell, array
from effort import STRESS

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
STRENGTH = 3 if STRESS else 2
"""Settings of which all combinations occur."""
CELLS = array(STRENGTH)


def of_a_list(bench: Bench, cell: Cell) -> Numbers:
    """Whole chains, or pairs, as people write them; of single chains a Series too."""
    predictor, antibodies = bench.predictor(cell), bench.antibodies(cell)
    if cell.route != "tables" or cell.columns == "with":
        return {"number": numbers_of_list(bench, cell, predictor)}
    if cell.chain in ("heavy", "light"):
        assert number_of(predictor, pd.Series(antibodies)).tolist() == number_of(predictor, antibodies).tolist()
    return _everything(predictor, antibodies)


def of_a_frame(bench: Bench, cell: Cell) -> Numbers:
    predictor, frame = bench.predictor(cell), bench.frame(cell)
    return _everything(predictor, frame) if cell.route == "tables" else {"number": number_of(predictor, frame)}


def of_a_file(bench: Bench, cell: Cell) -> Numbers:
    """A CSV file, as `score_file` reads it; and a FASTA file, in which pairs are written heavy|light."""
    predictor = bench.predictor(cell)
    table = scored(score_file(bench.file(cell), predictor))
    if cell.route == "tables" and cell.columns == "without":
        fasta = scored(score_file(bench.fasta(cell), predictor))
        np.testing.assert_allclose(fasta["number"], table["number"], **CLOSE)
    return table if cell.route == "tables" else {"number": table["number"]}


def of_a_saved_model(bench: Bench, cell: Cell) -> Numbers:
    predictor = Predictor.load(bench.saved(cell), store=bench.store, runtime=RUNTIME)
    if cell.route != "tables":
        return {"number": number_of(predictor, bench.asked(cell))}
    listed, framed = numbers_of_list(bench, cell, predictor), number_of(predictor, bench.frame(cell))
    np.testing.assert_allclose(listed, framed, **CLOSE)
    return _everything(predictor, bench.asked(cell))


def of_a_panel(bench: Bench, cell: Cell) -> Numbers:
    """A saved panel with the model of one label: the block of its columns is the table of the model."""
    folder = Panel({cell.task: bench.predictor(cell)}).save(bench.folder / "panels" / str(cell))
    panel = Panel.load(folder, store=bench.store, runtime=RUNTIME)
    (profile,) = profile_file(bench.file(cell), panel)
    assert profile_html(profile.table, panel, "antibodies")
    plain = profile.table.rename(columns=lambda name: str(name).removeprefix(f"{cell.task} "))
    return scored([profile._replace(table=plain)])


def of_another_assay(bench: Bench, cell: Cell) -> Numbers:
    """A model that was recalibrated, saved and loaded: without its scaling it says what it said before."""
    with warnings.catch_warnings():  # loops of light chains are shared by antibodies
        warnings.filterwarnings("ignore", ".*of the recalibration is a training antibody", UserWarning)
        again = bench.predictor(cell).recalibrate(bench.asked(cell))
    folder = again.save(bench.folder / "recalibrated" / str(cell))
    loaded = Predictor.load(folder, store=bench.store, runtime=RUNTIME)
    facts = loaded.recalibration
    assert facts is not None
    assert facts.antibodies == len(ASKED)
    assert set(loaded.score_table(bench.asked(cell))["recalibrated"]) == {str(facts)}
    number = number_of(loaded, bench.asked(cell))
    if cell.task == "numbers":
        return {"number": (number - facts.intercept) / facts.slope}
    before = (np.log(number) - np.log1p(-number) - facts.intercept) / facts.slope
    undone, right = 1 / (1 + np.exp(-before)), number_of(bench.predictor(cell), bench.asked(cell))
    # Votes may all agree; log-odds are finite, so a scaling takes 0 and 1 as 1e-12 from them.
    agreed = (right == 0) | (right == 1)
    return {"number": np.where(agreed & (np.abs(undone - right) <= 1e-9), right, undone)}


def of_the_server(bench: Bench, cell: Cell) -> Numbers:
    """What the server says of a table as text, and of its rows as JSON."""
    predictor = bench.predictor(cell)
    table = _answer(predictor, Call("score", "text/csv", bench.file(cell).read_bytes(), {}))
    rows = bench.frame(cell).astype(object).replace(np.nan, None).to_dict("records")
    listed = _answer(predictor, Call("score", JSON, json.dumps({"antibodies": rows}).encode(), {}))
    assert listed["rejected"] == table["rejected"] == []
    number = [[row[COLUMN[cell.task]] for row in answer["antibodies"]] for answer in (table, listed)]
    np.testing.assert_allclose(*number, **CLOSE)
    return of_table(pd.DataFrame(table["antibodies"]).drop(columns="row"))


def of_explanations_of_the_server(bench: Bench, cell: Cell) -> Numbers:
    """What the server says of the first antibody: its score, and its mutants."""
    first = bench.frame(cell).iloc[[0]].astype(object).replace(np.nan, None).to_dict("records")[0]
    place = {} if cell.fragment in LOOPS else {"positions": "105"}
    explained, scan = (
        _answer(bench.predictor(cell), Call(endpoint, JSON, json.dumps({"antibody": first} | options).encode(), {}))
        for endpoint, options in (("explain", {}), ("scan", place | {"plausibility": False}))
    )
    assert explained["score"] == pytest.approx(scan["score"], rel=1e-6, abs=1e-6)
    assert len(explained["residues"]) == len(explained["sequence"].replace(BETWEEN, ""))
    assert len(scan["mutants"]) >= 19
    return {"read": explained["sequence"], "score": explained["score"], "first": scan["prediction"]}


def _answer(predictor: Predictor, call: Call) -> dict[str, Any]:
    answer = answer_of(predictor, call, verbose=True)
    assert answer.status == 200, answer.body
    answered: dict[str, Any] = json.loads(answer.body)
    return answered


def of_contributions(bench: Bench, cell: Cell) -> Numbers:
    explained = residue_contributions(bench.of_first(cell), bench.antibodies(cell)[0])
    if explained.intercept is not None:
        assert explained.intercept + explained.contributions.sum() == pytest.approx(explained.score, abs=1e-4)
    assert len(explained.to_frame()) == len(explained.contributions) == len(explained.sequence.replace(BETWEEN, ""))
    return {"read": explained.sequence, "score": explained.score}


def of_occlusion(bench: Bench, cell: Cell) -> Numbers:
    explained = occlusion(bench.of_first(cell), bench.antibodies(cell)[0])
    return {"read": explained.sequence, "score": explained.score}


def of_a_scan(bench: Bench, cell: Cell) -> Numbers:
    predictor, antibody = bench.of_first(cell), bench.antibodies(cell)[0]
    explained = mutational_scan(predictor, antibody, [3], plausibility=cell.route == "explanations")
    assert len(explained.table) == 19
    if cell.route == "explanations" and cell.extractor == "controlled":
        assert "they are causal" in explained.absent["plausibility"]
    elif cell.route == "explanations" and cell.extractor != "descriptors":
        assert "plausibility" in explained.table, explained.absent
    return {"read": explained.sequence, "score": explained.score, "first": explained.prediction}


def of_proposals(bench: Bench, cell: Cell) -> Numbers:
    """Variants of the first antibody at one place, each with the number that a list of it has."""
    predictor, antibody = bench.of_first(cell), bench.antibodies(cell)[0]
    proposals = propose(predictor, antibody, 2, 1, positions=[3], candidates=19, higher_is_better=False)
    table = proposals.to_frame()
    if len(table):
        variants = table["sequence"] if "sequence" in table else list(zip(table["heavy"], table["light"], strict=True))
        column = "probability" if "probability" in table else "prediction"
        np.testing.assert_allclose(table[column], number_of(predictor, list(variants)), **CLOSE)
    return {"first": proposals.scores["parent"]}


def of_the_page(bench: Bench, cell: Cell) -> Numbers:
    """What the web page does where sequences are pasted, a file is chosen, a row is clicked and mutants are tried."""
    import gradio as gr

    from antibody_esm.cli.web import page

    predictor, first = bench.predictor(cell), bench.antibodies(cell)[0]

    async def made() -> Any:
        return page(predictor, bench.folder)

    blocks = asyncio.run(made())  # outside of a loop, Gradio would make some and leave them open
    functions = {function.fn.__name__: function.fn for function in blocks.fns.values() if function.fn is not None}
    pasted = functions["score"]("\n".join(bench.antibodies(cell, BETWEEN)), None)
    chosen = functions["score"]("", str(bench.file(cell)))
    scores, columns = chosen[7], chosen[9]
    assert scores is not None, chosen[0]
    if cell.columns == "with":
        assert "reads the columns isotype, ph" in pasted[0]
    else:
        assert pasted[7] is not None, pasted[0]
        np.testing.assert_allclose(scored([pasted[7]])["number"], scored([scores])["number"], **CLOSE)
    event = gr.EventData(None, {"row": str(scores.table["row"].iloc[0]), "scan": False})
    (why,) = functions["act"](scores, columns, False, "", event)
    assert picture(residue_contributions(bench.of_first(cell), first)) in why[1]
    scanned = functions["scan"](why[-1], "" if cell.fragment in LOOPS else "105")
    assert "Mutations tried" in scanned[0]
    return scored([scores])


def of_commands(bench: Bench, cell: Cell) -> Numbers:
    """``antibody-esm predict``, ``evaluate``, ``explain`` and ``scan`` with a saved model."""
    model, file, (first, *_) = bench.saved(cell), bench.file(cell), bench.antibodies(cell, BETWEEN)
    folder = bench.folder / "commands" / str(cell)
    folder.mkdir(parents=True)
    options = ["--model", model, "--store", bench.folder / "store", "--workers", 1]
    run(app.app, "predict", file, *options, "--output", folder / "scores.csv")
    assert not (folder / "scores.rejected.csv").exists()
    run(app.app, "evaluate", file, *options, "--label", cell.task, "--output", folder / "rows.csv")
    columns = [f"--column={name}={value}" for name, value in bench.columns(cell)[0].items()]
    explained = run(app.app, "explain", first, *options, *columns)
    where = [] if cell.fragment in LOOPS else ["--positions", "105"]
    where += ["--output", folder / "scan.csv", "--no-plausibility"]
    scanned = run(app.app, "scan", first, *options, *columns, *where)
    assert len(pd.read_csv(folder / "scan.csv")) >= 19
    rows, right = pd.read_csv(folder / "rows.csv"), bench.right(cell)
    np.testing.assert_allclose(rows[COLUMN[cell.task]], right["number"], **CLOSE)
    for shown in (explained, scanned):
        assert f"{right['score']:+.3f}" in shown, shown[:300]
    table = pd.read_csv(folder / "scores.csv", keep_default_na=True, dtype={"id": str, "conformal_set": str})
    return of_table(table.fillna({"warning": "", "conformal_set": ""}).drop(columns="row"))


def of_training_by_command(bench: Bench, cell: Cell) -> Numbers:
    """``antibody-train``, and the model that it saves."""
    table, output = bench.folder / "antibodies.csv", bench.folder / "trained" / str(cell)
    bench.table.iloc[list(TRAINED)].to_csv(table, index=False)
    reading = [] if cell.fragment == "none" else [f"data.fragment={FRAGMENTS[cell.chain, cell.fragment]}"]
    if cell.fragment == "none" or cell.chain == "paired":
        reading.append(f"data.chain={cell.chain}")
    if cell.columns == "with":
        reading.append(f"data.columns=[{','.join(COLUMNS)}]")
    extractor = bench.extractor(cell)
    specs: dict[str, Any] = {
        "extractor": extractor,
        "classifier": CLASSIFIERS[cell.classifier],
        "split": SPLITS[cell.split],
        "decision": DECISIONS[cell.decision],
    }
    if isinstance(extractor, ChainSpec):
        del specs["extractor"]
        specs |= {"extractor.heavy": extractor.heavy, "extractor.light": extractor.light}
    overrides = [
        f"{branch}.{name}={_override(value)}"
        for branch, spec in specs.items()
        for name, value in spec.model_dump(mode="json", exclude_defaults=True, exclude={"kind", "heads"}).items()
    ]
    # Names of classifiers standardize descriptors, specs do not: here what the spec has is written out, as in a report.
    of_spec = TrainSpec(extractor=DescriptorSpec(), classifier=CLASSIFIERS[cell.classifier])
    overrides += [
        word for word in reproduction.overrides(of_spec) or [] if ".heads=" in word or ".standardize=" in word
    ]
    tune = bench.tune(cell)
    if tune is not None:
        overrides += [f"tune.grid={_override(tune.model_dump(mode='json')['grid'])}", f"tune.folds={tune.folds}"]
    overrides += [f"pca={COMPONENTS}"] if cell.tune == "pca" else []
    finetune = FINE_TUNINGS[cell.finetune]
    if finetune is not None:
        fields = finetune.model_dump(mode="json", exclude_defaults=True).items()
        overrides += [f"finetune={cell.finetune}", *(f"finetune.{name}={_override(value)}" for name, value in fields)]
    named = {DescriptorSpec: "descriptors", ChainSpec: "sapiens"}
    model = [f"model={named[type(extractor)]}"] if type(extractor) in named else []
    data = [f"data={table}", f"data.label={cell.task}", *reading, f"classifier={cell.classifier}"]
    written = [f"store={bench.folder / 'store'}", f"output={output}", "runtime.workers=1"]
    run(train.app, *data, *model, *overrides, *written)
    rows = pd.read_csv(output / "out_of_fold.csv")
    metrics = json.loads((output / "metrics.json").read_text())
    metric = "spearman" if cell.task == "numbers" else "roc_auc"
    assert (output / "report.html").stat().st_size > 0
    predictor = Predictor.load(output / "model", store=bench.store, runtime=RUNTIME)
    return {
        "number": number_of(predictor, bench.asked(cell)),
        "prediction": predictor.predict(bench.asked(cell)),
        "out of fold": rows[COLUMN[cell.task]],
        "folds": metrics["scores"][metric]["mean"],
    }


def of_text(bench: Bench, cell: Cell) -> Numbers:
    reports = _reports(bench, cell)
    printed = [str(report) for report in reports]
    assert all(report._repr_html_() for report in reports)
    for report, text in zip(reports, printed, strict=True):
        assert sentence(report) == " ".join(text.split("\n\n")[1].split()), "a report opens with its verdict"
    title = METRIC[bench.report(cell).metric].title
    folds, test = (re.search(rf"^{title} +(-?\d?\.\d{{3}})", text, re.M) for text in printed)
    assert folds, printed[0]
    assert test, printed[1]
    return {"folds": Rounded(folds[1]), "test": Rounded(test[1])}


def of_html(bench: Bench, cell: Cell) -> Numbers:
    """The page of a test; `of_training_by_command` writes that of a cross-validation."""
    page = bench.tested(cell).to_html(bench.folder / "report.html").read_text(encoding="utf-8")
    test = re.search(r"<p class='hero'><strong>(.*?)</strong>", page)
    assert test, page[:500]
    assert page.index("class='verdict ") < page.index("<nav") < page.index(test[0]), page[:500]
    return {"test": Rounded(test[1].replace("\N{MINUS SIGN}", "-"))}


def of_json(bench: Bench, cell: Cell) -> Numbers:
    for report in _reports(bench, cell):
        rows, worst = report.predictions, report.to_dict()["worst_errors"]
        assert {row["id"] for row in worst} <= set(rows["id"])
        assert len(worst) <= 10
    folds, test = (
        json.loads(report.to_json(bench.folder / "report.json").read_text())["scores"][report.metric]
        for report in _reports(bench, cell)
    )
    return {"folds": folds["mean"], "test": test["score"]}


def of_csv(bench: Bench, cell: Cell) -> Numbers:
    both = bench.report(cell), bench.tested(cell)
    folds, test = (pd.read_csv(report.to_csv(bench.folder / "report.csv")) for report in both)
    column = COLUMN[cell.task]
    return {"out of fold": folds[column], "number": test[column], "prediction": test["prediction"]}


def of_a_labelled_frame(bench: Bench, cell: Cell) -> Numbers:
    """A test of a table with labels, which is read as its data set would be."""
    rows = bench.predictor(cell).evaluate(bench.frame(cell), cell.task).predictions
    return {"number": rows[COLUMN[cell.task]], "prediction": rows["prediction"]}


def of_a_benchmark(bench: Bench, cell: Cell) -> Numbers:
    """The grid of one pipeline, which cuts the fragment itself; as text, JSON and CSV too."""
    grid = Benchmark.from_specs(
        [bench.trainer(cell).spec],
        bench.whole(cell.chain, cell.task, TRAINED, cell.columns),
        [bench.whole(cell.chain, cell.task, ASKED, cell.columns)],
        [FRAGMENTS.get((cell.chain, cell.fragment))],
        store=bench.store,
        runtime=RUNTIME,
    ).run()
    folds, test = grid.reports
    assert str(grid)
    written = json.loads(grid.to_json(bench.folder / "grid.json").read_text())["reports"]
    assert [report["antibodies"] for report in written] == [len(TRAINED), len(ASKED)]
    assert len(pd.read_csv(grid.to_csv(bench.folder / "grid.csv"))) > len(grid.reports)
    column = COLUMN[cell.task]
    return {
        "out of fold": folds.predictions[column],
        "folds": np.nanmean(folds.scores[folds.metric]),
        "number": test.predictions[column],
        "prediction": test.predictions["prediction"],
        "test": test.scores[test.metric][0],
    }


DOORS: dict[str, Callable[[Bench, Cell], Numbers]] = {
    "list": of_a_list,
    "frame": of_a_frame,
    "file": of_a_file,
    "saved": of_a_saved_model,
    "panel": of_a_panel,
    "server": of_the_server,
    "server explanations": of_explanations_of_the_server,
    "other assay": of_another_assay,
    "web": of_the_page,
    "command": of_commands,
    "train": of_training_by_command,
    "text": of_text,
    "page": of_html,
    "json": of_json,
    "csv": of_csv,
    "labelled frame": of_a_labelled_frame,
    "benchmark": of_a_benchmark,
    "contributions": of_contributions,
    "occlusion": of_occlusion,
    "scan": of_a_scan,
    "proposals": of_proposals,
}
"""By the names that `crossing.ROUTES` has for them."""
EVERYWHERE = ("list", "frame", "file")
"""Doors that are tried in each cell, whatever its route."""
FURTHER = ("saved", "contributions", "scan")
"""Doors that the larger array tries in each cell too."""


def doors_of(cell: Cell) -> tuple[str, ...]:
    """Return the doors that are tried in a cell, each once."""
    further = FURTHER if STRESS else ()
    if cell.extractor == "region":  # of which every hidden residue would be numbered again
        further = tuple(door for door in further if door != "contributions")
    return tuple(dict.fromkeys((*ROUTES[cell.route], *EVERYWHERE, *further)))


def numbers_at(door: str, bench: Bench, cell: Cell) -> Numbers:
    """Return what the model of a cell says at a door."""
    return DOORS[door](bench, cell)


def run(command: Typer, *arguments: object) -> str:
    """Run a command in this process, and return what it printed."""
    done = CliRunner().invoke(command, [str(argument) for argument in arguments], terminal_width=80)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def _everything(predictor: Predictor, antibodies: Any) -> Numbers:
    """Return all that a model says in Python."""
    return {
        "number": number_of(predictor, antibodies),
        "prediction": predictor.predict(antibodies),
        "table": predictor.score_table(antibodies),
    }


def scored(scores: Iterable[Scores]) -> Numbers:
    """Return what stands in the tables of a file; no row may be rejected."""
    every = list(scores)
    for batch in every:
        assert batch.rejected.empty, batch.rejected["reason"].iloc[0]
    table = pd.concat([batch.table for batch in every], ignore_index=True).drop(columns="row")
    return of_table(table)


def of_table(table: pd.DataFrame) -> dict[str, Any]:
    number = table["probability"] if "probability" in table else table["prediction"]
    return {"number": number, "prediction": table["prediction"], "table": table, "first": number.iloc[0]}


def _reports(bench: Bench, cell: Cell) -> tuple[Report, Report]:
    """Return both reports of a cell, with every baseline that its antibodies can have."""
    both = bench.report(cell), bench.tested(cell)
    of_domains = {"germline", "germline_distance", "positions"}
    for report in both:  # loops have no germline gene and no numbered residue
        assert set(report.baselines.absent) <= (of_domains if cell.fragment in LOOPS else set())
        assert ("random_weights" in report.baselines.found) == (cell.extractor != "descriptors")
        assert ("frozen" in report.baselines.found) == (cell.finetune != "none")
    return both


def _override(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_override, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_override(inner)}' for key, inner in value.items())}}}"
    if value is None:
        return "null"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_/.][\w./-]*", value) is None:
        return f'"{value}"'
    return str(value)


def differences(numbers: Numbers, right: Numbers) -> Iterator[str]:
    """Give where numbers, texts and tables are not what they should be."""
    for name, value in numbers.items():
        expected = right[name]
        if not isinstance(value, pd.DataFrame):
            parts = {name: (value, expected)}
        elif list(value) != list(expected):
            yield f"{name}: columns {list(value)} instead of {list(expected)}"
            continue
        else:  # a list has no ids, and its rows are numbered
            parts = {f"{name}, {part}": (value[part], expected[part]) for part in expected if part != "id"}
        for part, (actual, desired) in parts.items():
            if not _alike(actual, desired, SINGLE if part == "score" else CLOSE):
                yield f"{part}: {np.ravel(actual)[:4]} instead of {np.ravel(desired)[:4]}"


def _alike(actual: Any, desired: Any, close: dict[str, float]) -> bool:
    if isinstance(actual, Rounded):
        return abs(float(actual) - desired) <= 0.00051
    first, second = np.asarray(actual), np.asarray(desired)
    if first.shape != second.shape:
        return False
    if second.dtype.kind in "fiub":
        return np.allclose(first.astype(float), second.astype(float), **close, equal_nan=True)
    return bool((first == second).all())
