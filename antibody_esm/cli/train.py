"""``antibody-train``: cross-validate, fit and save a classifier or regressor."""

import csv
import io
import json
import logging
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from antibody_esm import choices
from antibody_esm.card_files import leave_readmes
from antibody_esm.cli import errors
from antibody_esm.cli.arguments import check_folder
from antibody_esm.cli.errors import Kept, complain, optional, reported, show
from antibody_esm.cli.option_names import in_options
from antibody_esm.cli.options import PrintedConfiguration
from antibody_esm.cli.program import Program
from antibody_esm.cli.run_folder import OF_A_FAILURE, files_of_run, folder_of, keep_failure
from antibody_esm.errors import RECOVERABLE, AntibodyESMError, in_one_line
from antibody_esm.files import csv_text, write
from antibody_esm.folders import replacing_folder
from antibody_esm.plugins import names_for_help

if TYPE_CHECKING:
    from antibody_esm.predictor import Predictor
    from antibody_esm.reports.grid import GridReport
    from antibody_esm.reports.report import Report
    from antibody_esm.specs.training import Run
    from antibody_esm.trainer import Trainer

logger = logging.getLogger("antibody_esm")


def _wrapped(names: Iterable[str]) -> str:
    lines = textwrap.fill(", ".join(names), 60).replace("\n", "\n" + 15 * " ")
    if "[" not in lines:
        return lines
    from rich.markup import escape  # names of plugins are no markup

    return escape(lines)


_HELP = f"""Cross-validate and save a classifier of antibodies.

Without OVERRIDES: influenza antibodies of Boughter et al. 2020, AntiBERTy, logistic regression. Each run writes
a folder with its configuration, log, metrics, out-of-fold predictions and the model.

OVERRIDES are key=value:

\b
  model=       {_wrapped((*choices.MODELS, *names_for_help("extractor")))}
  classifier=  {_wrapped((*choices.CLASSIFIERS, *names_for_help("classifier")))}
  data=        name of a data set, or path of a table
  data.*       columns: data.id=, data.heavy=, data.light=, data.groups=,
               data.fold= (predefined folds for split.by=fold), data.label=
               or several labels: 'data.label=[HIC,Tm2]', whose low or high
               values are better: 'data.higher_is_better={{HIC:false}}'
               usual names are recognised. data.layout=, data.sheet=
               chain and part: data.chain=heavy, light, paired or both,
               data.fragment=; data.part= declares sequences that are cut
               already; data.species= for numbering; data.labels=;
               'data.columns=\\[isotype,ph]' are read beside the sequences
               (use_columns=false leaves them out);
               data.drop=true leaves out rows that lack a chain, a part
               or a number of data.columns; rows with an empty label
               are always left out, any other text is an error;
               data.check=false also trains on sequences without a
               recognised antibody chain
  extractor.*  classifier.*  split.*  decision.*  runtime.*  pca=
               fields of the specs; --cfg job shows all
  finetune=    lora or head: each fold fine-tunes the language model;
               finetune.rank= and other fields; extra \\[finetune]
  tune.*       fields that are chosen inside the training folds:
               'tune.grid={{classifier.C:[0.01,1],extractor.layer:[6,8]}}',
               tune.trials= or tune.minutes= for a budget
  random_seeds=  0 to 3 baselines with random weights of the language
               model, 1 by default; each takes an embedding's time, once
  store=       folder of embeddings, embeddings/ by default
  output=      folder of results, outputs/<date>/<time> by default
  curve=true   adds the learning curve: scores by the number of antibodies

Examples
--------
antibody-train model=esm2_8m classifier=xgboost classifier.n_estimators=200
antibody-train data=mine.csv data.heavy=vh data.label=psr split.folds=5
antibody-train data=boughter data.fragment=H-CDRs
antibody-train data=mine.csv 'data.label=[HIC,Tm2]' classifier=ridge
antibody-train --multirun model=esm2_8m,antiberty classifier=logreg,xgboost
"""

app = Program()


@app.command(text=_HELP)
def train(
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, see above.", show_default=False)] = None,
    cfg: PrintedConfiguration = None,
    multirun: Annotated[
        bool, typer.Option("--multirun", "-m", help="Run every combination of values given with commas.")
    ] = False,
) -> None:
    """Run the command; `_HELP` is its help text, because it names the presets."""
    words = overrides or []
    with reported() as kept:
        from antibody_esm.overrides import refused, sweep
        from antibody_esm.specs.training import Run

        with refused():
            jobs = sweep(words) if multirun else [words]
            runs = [Run.compose(job) for job in jobs]  # all runs are checked before the first begins
        if cfg:
            print("---\n".join(_yaml(run.to_dict()) for run in runs), end="")  # noqa: T201
            return
        root = folder_of(runs[0], "multirun" if multirun else "outputs")
        folders = [root / str(number) for number in range(len(runs))] if multirun else [root]
        for job_run, folder in zip(runs, folders, strict=True):
            check_folder(folder, files_of_run(job_run, folder), [job_run.data.source, job_run.data.labels])
        if not (_run_all(runs, jobs, root, kept) if multirun else _run_one(runs[0], jobs[0], root, kept)):
            raise typer.Exit(1)


def _run_all(runs: "list[Run]", jobs: list[list[str]], root: Path, kept: Kept) -> bool:
    """Run all combinations; return True if every run succeeded."""
    results: list[dict[str, Any]] = []
    reports: list[Report] = []
    for number, (run, job) in enumerate(zip(runs, jobs, strict=True)):
        show(f"\n[{number + 1}/{len(runs)}] {' '.join(job)}", needed=False)
        done = _run_one(run, job, root / str(number), kept)
        reports += () if done is None else done.reports
        means = _means({} if done is None else done.metrics)
        results.append({"run": number, "overrides": " ".join(job), "failed": done is None, **means})
        _write_summary(root / "summary.csv", results)
    if len(reports) > 1:
        _compare(reports, root / "report.html")
    show(f"\nAll runs: {root / 'summary.csv'}", needed=False)
    return not any(result["failed"] for result in results)


def _compare(reports: "list[Report]", path: Path) -> None:
    """Print the comparison of the pipelines of all runs, and write it as a page."""
    from antibody_esm.reports.grid import GridReport

    with optional(path):
        grid = GridReport(reports)
        show(f"\nAll runs side by side\n\n{grid}", needed=False)
        grid.to_html(path)


def _means(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the mean of each metric over the folds; those of several labels begin with the label."""
    means = {name: row["mean"] for name, row in metrics.get("scores", {}).items()}
    for label, single in metrics.get("targets", {}).items():
        means |= {f"{label} {name}": value for name, value in _means(single).items()}
    return means


def _write_summary(path: Path, results: list[dict[str, Any]]) -> None:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(dict.fromkeys(name for result in results for name in result)))
    writer.writeheader()
    writer.writerows(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, file.getvalue().encode())


class _Done(NamedTuple):
    """Result of a run."""

    metrics: dict[str, Any]
    text: str
    """Text for the user."""
    reports: "tuple[Report, ...]"
    """Report of each label."""


def _run_one(run: "Run", overrides: list[str], folder: Path, kept: Kept) -> _Done | None:
    """Run, replace the folder, and return the result; None if the run failed, which is printed."""
    results = files_of_run(run, folder)
    earlier = any((folder / name).exists() for name in set(results) - set(OF_A_FAILURE))
    unchanged = f", and the earlier results in {folder} are unchanged" if earlier else ""
    kept.become(lambda: _stored(run) + unchanged)
    failure: AntibodyESMError | OSError | None = None
    log = folder
    try:
        with replacing_folder(folder, results) as new:
            write(new / "config.yaml", _yaml(run.to_dict()).encode())
            write(new / "overrides.yaml", _yaml(overrides).encode())
            try:
                done = _written(run, overrides, new, folder)
            except (AntibodyESMError, OSError) as error:
                failure = error
                if earlier:
                    log = keep_failure(new, folder)
                    raise
    except (AntibodyESMError, OSError) as error:
        if error is not failure:
            raise
    if failure is not None:
        aside = f"; the earlier results in {folder} are unchanged, the log is in {log}" if earlier else ""
        complain(f"error: {in_options(str(failure))}{aside}")
        return None
    kept.become(f"the results are in {folder}")
    show(f"{done.text} Results: {folder}", needed=False)
    return done


def _stored(run: "Run") -> str:
    """Return a note on the folders that hold vectors and results of tuning now."""
    if run.store is None:
        return "no vectors are kept (store=null)"
    from antibody_esm.same_vectors import tuning_folder

    store = Path(run.store).expanduser()
    tuning = tuning_folder(store)
    notes = [f"finished vectors are in {run.store}"] if store.exists() else []
    if run.train.tune is not None and tuning.is_dir():
        notes.append(f"finished results of tuning are in {tuning}; the same command continues from there")
    if run.train.finetune is not None and (adapters := tuning.with_suffix(".adapters")).is_dir():
        notes.append(f"finished adapters are in {adapters}; the same command continues from there")
    return ", ".join(notes) or "no vectors were stored"


def _written(run: "Run", overrides: list[str], new: Path, folder: Path) -> _Done:
    """Cross-validate, fit, and write results to a new folder."""
    from antibody_esm.data.assays import without_side
    from antibody_esm.data.public import load_dataset
    from antibody_esm.panel import Panel
    from antibody_esm.reports.grid import GridReport
    from antibody_esm.reports.records import predictions
    from antibody_esm.trainer import Trainer

    with _log_to(new / "train.log"):
        try:
            logger.info("overrides: %s", " ".join(overrides) or "none")
            data = load_dataset(**run.data.model_dump(exclude={"check"}))
            logger.info("data: %s, %s, digest %s", run.data.source, data, data.digest)
            by_default = not any(text.startswith("split.") for text in overrides)
            options: dict[str, Any] = {"runtime": run.runtime, "random_seeds": run.random_seeds}
            trainer = Trainer.from_spec(run.train, store=run.store, default_split=by_default, **options)
            if data.targets:
                reports: Report | GridReport = Panel.cross_validate(trainer, data, check=run.data.check)
                model: Panel | Predictor = Panel.fit(trainer, data, check=run.data.check)
            else:
                reports = trainer.cross_validate(data, check=run.data.check)
                model = trainer.fit(data, check=run.data.check)
            if run.curve:
                reports = _with_curves(reports, trainer, run.data.check)
        except (AntibodyESMError, OSError) as error:
            logger.error("%s", error)
            raise
        between = [] if data.ungraded is None or data.columns else data.ungraded.sequences
        needed, computed = trainer.extractor.needed([*data.sequences, *between]), trainer.source.computed
        if run.train.finetune is None:
            logger.info("embeddings: %d needed, %d from the store, %d computed", needed, needed - computed, computed)
        rows = predictions(reports) if isinstance(reports, GridReport) else reports.out_of_fold
        write(new / "out_of_fold.csv", csv_text(rows).encode())
        saved = model.write(new / "model") + leave_readmes(new / "model", folder / "model")
        scores, text = _complete(reports)
        metrics = scores | _facts(run, data.digest, needed, computed)
        for label in data.targets:
            part = data.target(label)
            metrics["targets"][label] |= _facts(run, part.digest, trainer.extractor.needed(part.sequences), 0)
        write(new / "metrics.json", json.dumps(metrics, indent=2, allow_nan=False).encode())
        with optional(folder / "report.html"):
            reports.to_html(new / "report.html")
        logger.info("%s", text)
        logger.info("saved to %s", folder)
    what = "The models are saved:" if data.targets else "The model is saved"
    labels = {name: data.target(name).higher_is_better for name in data.targets}
    if run.train.is_regression and not labels:
        labels = {data.label_name or "label": data.higher_is_better}
    if note := without_side(labels):
        logger.info("%s", note)
        text = f"{text}\n\n{note}"
    vectors = f"{needed} needed, {computed} computed" if run.train.finetune is None else "those of each adapter"
    text = f"{text}\n\n{what} {saved}.\nEmbeddings: {vectors}."
    return _Done(metrics, text, reports.reports if isinstance(reports, GridReport) else (reports,))


def _with_curves(reports: "Report | GridReport", trainer: "Trainer", check: bool) -> "Report | GridReport":
    """Return reports with the learning curve of each label, or the reason why there is none, which is a warning."""
    from antibody_esm.reports.grid import GridReport
    from antibody_esm.unknown import Unknown

    def shown(report: "Report", name: str) -> "Report":
        try:
            return report.with_curve(trainer.learning_curve(report.data, check=check))
        except RECOVERABLE as error:  # the run is complete without it
            reason = in_one_line(error)
            logger.warning("there is no learning curve%s: %s", name, reason)
            return report.with_curve(Unknown(reason))

    if not isinstance(reports, GridReport):
        return shown(reports, "")
    return GridReport([shown(report, f" of {report.data.label_name}") for report in reports.reports])


def _facts(run: "Run", digest: str, needed: int, computed: int) -> dict[str, Any]:
    """Return the facts of a run that stand beside its scores."""
    facts: dict[str, Any] = {"fingerprint": run.train.fingerprint, "data_digest": digest}
    if run.train.finetune is not None:  # each adapter has vectors of its own
        return facts
    return facts | {"embeddings": {"needed": needed, "computed": computed}}


def _complete(reports: "Report | GridReport") -> tuple[dict[str, Any], str]:
    """Return all metrics of a report and its text; if that fails, warn and return only the scores.

    Metrics of several labels are those of each, ``targets``, and the verdicts corrected for all of them.
    """
    from antibody_esm.reports.grid import GridReport
    from antibody_esm.reports.records import verdict_rows
    from antibody_esm.reports.verdicts import of_grid

    each = reports.reports if isinstance(reports, GridReport) else (reports,)
    try:
        metrics = [report.to_dict() for report in each]
        if isinstance(reports, GridReport):
            facts = {"verdict": of_grid(reports), "verdicts": verdict_rows(reports)}
            return {"targets": _by_label(each, metrics)} | facts, str(reports)
        return metrics[0], str(reports)
    except RECOVERABLE as error:
        logger.warning("metrics.json holds only scores: %s", in_one_line(error))
        text = "\n".join(f"{report.title}\n{report.counts}" for report in each)
        summaries = [dict(report.summary) for report in each]
        return {"targets": _by_label(each, summaries)} if isinstance(reports, GridReport) else summaries[0], text


def _by_label(reports: "Sequence[Report]", metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return {str(report.data.label_name): values for report, values in zip(reports, metrics, strict=True)}


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Log this package's messages, and all warnings, to a file during a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logger, logging.getLogger("py.warnings")]
    level = logger.level
    logger.setLevel(logging.INFO)
    for logged in loggers:
        logged.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        for logged in loggers:
            logged.removeHandler(handler)
        handler.close()


def _yaml(value: Any) -> str:
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def main() -> None:
    """Run ``antibody-train``."""
    errors.run(app)


if __name__ == "__main__":
    main()
