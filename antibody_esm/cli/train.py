"""``antibody-train``: cross-validate and save a classifier from the shell."""

import csv
import json
import logging
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
import yaml
from pydantic import ValidationError

from antibody_esm import presets
from antibody_esm.cli.compose import Run, compose, say_invalid, sweep
from antibody_esm.cli.told import optional
from antibody_esm.errors import RECOVERABLE, AntibodyESMError, in_one_line

if TYPE_CHECKING:
    from antibody_esm.reports.report import Report

logger = logging.getLogger("antibody_esm")


def _wrapped(names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(names), 60).replace("\n", "\n" + 15 * " ")


_HELP = f"""Cross-validate and save a classifier of antibodies.

Without OVERRIDES: influenza antibodies of Boughter et al. 2020, AntiBERTy, logistic regression. Each run writes
a folder with its configuration, log, metrics, out-of-fold predictions and the model.

OVERRIDES are key=value:

\b
  model=       {_wrapped(presets.EXTRACTORS)}
  classifier=  {_wrapped(presets.ESTIMATORS)}
  data=        name of a data set, or path of a table
  data.*       its columns: data.id=, data.heavy=, data.light=, data.label=
               its chain and part: data.chain=heavy, light, paired or both,
               data.fragment=; data.part= is the part that its sequences
               are already; data.species= numbers them; data.labels=;
               data.check=false trains on sequences in which no antibody
               chain is recognised
  extractor.*  classifier.*  split.*  decision.*  runtime.*
               fields of the specs; --cfg job shows all
  store=       folder of embeddings, embeddings/ by default
  output=      folder of results, outputs/<date>/<time> by default

\b
Examples:
  antibody-train model=esm2_8m classifier=xgboost classifier.n_estimators=200
  antibody-train data=mine.csv data.heavy=vh data.label=psr split.folds=5
  antibody-train data=boughter data.fragment=H-CDRs
  antibody-train --multirun model=esm2_8m,antiberty classifier=logreg,xgboost
"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(help=_HELP)
def train(
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, see above.", show_default=False)] = None,
    cfg: Annotated[
        Literal["job"] | None, typer.Option(help="Print the effective configuration, and run nothing.")
    ] = None,
    multirun: Annotated[
        bool, typer.Option("--multirun", "-m", help="Run every combination of values given with commas.")
    ] = False,
) -> None:
    """Run the command; the help text is given above, where presets can be named in it."""
    given = overrides or []
    try:
        jobs = sweep(given) if multirun else [given]
        runs = [compose(job) for job in jobs]  # all of them, before any begins
    except ValidationError as error:
        say_invalid(error)
        raise typer.Exit(2) from error
    if cfg:
        print("---\n".join(_yaml(run.to_dict()) for run in runs), end="")  # noqa: T201
        return
    failed = _run_all(runs, jobs) if multirun else _run_one(runs[0], jobs[0], _output(runs[0])) is None
    if failed:
        raise typer.Exit(1)


def _run_all(runs: list[Run], jobs: list[list[str]]) -> bool:
    root = Path(runs[0].output) if runs[0].output else _fresh("multirun")
    results = []
    for number, (run, job) in enumerate(zip(runs, jobs, strict=True)):
        print(f"\n[{number + 1}/{len(runs)}] {' '.join(job)}")  # noqa: T201
        metrics = _run_one(run, job, root / str(number))
        means = {name: row["mean"] for name, row in metrics["scores"].items()} if metrics else {}
        results.append({"run": number, "overrides": " ".join(job), "failed": metrics is None, **means})
    root.mkdir(parents=True, exist_ok=True)
    with (root / "summary.csv").open("w", newline="") as file:
        columns = dict.fromkeys(name for result in results for name in result)
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(results)
    print(f"\nAll runs: {root / 'summary.csv'}")  # noqa: T201
    return any(result["failed"] for result in results)


def _run_one(run: Run, overrides: list[str], folder: Path) -> dict[str, Any] | None:
    """Run, write the folder, and return the metrics; None if it failed, which has been said."""
    from antibody_esm.data.sources import load_dataset
    from antibody_esm.trainer import Trainer

    folder.mkdir(parents=True, exist_ok=True)
    results = (
        "metrics.json",
        "out_of_fold.csv",
        "report.html",
        "train.log",
        "model/manifest.json",
        "model/classifier.skops",
        "model/training.npz",
    )
    for earlier in results:  # a run that fails must not seem to have found them; the ledger of test sets stays
        (folder / earlier).unlink(missing_ok=True)
    with suppress(OSError):
        (folder / "model").rmdir()
    (folder / "config.yaml").write_text(_yaml(run.to_dict()), encoding="utf-8")
    (folder / "overrides.yaml").write_text(_yaml(overrides), encoding="utf-8")
    with _log_to(folder / "train.log"):
        try:
            logger.info("overrides: %s", " ".join(overrides) or "none")
            data = load_dataset(**run.data.model_dump(exclude={"check"}))
            logger.info("data: %s, %s, digest %s", run.data.source, data, data.digest)
            trainer = Trainer.from_spec(run.train, store=run.store, runtime=run.runtime)
            report = trainer.cross_validate(data, check=run.data.check)
            predictor = trainer.fit(data, check=run.data.check)
        except (AntibodyESMError, OSError) as error:
            logger.error("%s", error)
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
            return None
        needed, computed = trainer.extractor.needed(data.sequences), trainer.extractor.computed
        logger.info("embeddings: %d needed, %d from the store, %d computed", needed, needed - computed, computed)
        report.out_of_fold.to_csv(folder / "out_of_fold.csv", index=False)
        predictor.save(folder / "model")
        scores, text = _complete(report)
        metrics = scores | {
            "fingerprint": run.train.fingerprint,
            "data_digest": data.digest,
            "embeddings": {"needed": needed, "computed": computed},
        }
        (folder / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False), encoding="utf-8")
        with optional(folder / "report.html"):
            report.to_html(folder / "report.html")
        logger.info("%s", text)
        logger.info("saved to %s", folder)
    print(f"{text}\n\nEmbeddings: {needed} needed, {computed} computed. Results: {folder}")  # noqa: T201
    return metrics


def _complete(report: "Report") -> tuple[dict[str, Any], str]:
    """Return all metrics of a report and its text; the scores alone, with a warning, if anything else fails."""
    try:
        return report.to_dict(), str(report)
    except RECOVERABLE as error:
        logger.warning("there are only scores: %s", in_one_line(error))
        print(f"warning: metrics.json holds only scores: {in_one_line(error)}", file=sys.stderr)  # noqa: T201
        return report.summary(), f"{report.title}\n{report.counts}"


def _output(run: Run) -> Path:
    return Path(run.output) if run.output else _fresh("outputs")


def _fresh(kind: str) -> Path:
    now = datetime.now().astimezone()
    return Path(kind) / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}"


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Send this package's messages, and all warnings, to a file for the time of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logger, logging.getLogger("py.warnings")]
    level = logger.level
    logger.setLevel(logging.INFO)
    for one in loggers:
        one.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        for one in loggers:
            one.removeHandler(handler)
        handler.close()


def _yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def main() -> None:
    """Run ``antibody-train``."""
    app()


if __name__ == "__main__":
    main()
