"""``antibody-benchmark``: a grid of language models and classifiers."""

import textwrap
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antibody_esm import choices
from antibody_esm.cli import errors
from antibody_esm.cli.arguments import check_folder
from antibody_esm.cli.errors import complain, reported, show
from antibody_esm.cli.options import PrintedConfiguration, Scheduler
from antibody_esm.cli.program import Program
from antibody_esm.cluster import connected
from antibody_esm.specs.training import Run

if TYPE_CHECKING:
    from antibody_esm.data.dataset import Dataset
    from antibody_esm.specs.training import Run


def _wrapped(names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(names), 60).replace("\n", "\n" + 15 * " ")


_HELP = f"""Compare language models and classifiers by cross-validation, on test sets, and with baselines.

Without OVERRIDES: AntiBERTy and logistic regression on the antibodies of Boughter et al. 2020. Each result is computed
once. The output folder holds a page (report.html), tables and JSON. If a run was stopped, the same command continues
it; if it was complete, nothing is computed.

OVERRIDES are key=value, or key=value,value for the grid:

\b
  model=       {_wrapped(choices.MODELS)}
  classifier=  {_wrapped(choices.CLASSIFIERS)}
  fragment=    VH, H-CDRs, H-CDR3 and so on; the data as they are by default
  test=        test sets: names of data sets, or paths of tables
  data=        training set: name of a data set, or path of a table
  data.*       columns of tables: data.id=, data.heavy=, data.light=,
               data.label=, data.groups=, data.fold=, data.layout=, data.sheet=,
               data.part=, data.species=, data.columns=, or several
               labels, which all test sets have: 'data.label=[HIC,Tm2]';
               labels of the training set: data.labels=; chain:
               data.chain=heavy, light, paired or both; data.drop=true
               leaves out rows of it that lack a chain, a part or a
               number of data.columns
  test.*       columns of test sets that have others than the training set:
               test.heavy= and so on; one for all, or one for each
  extractor.*  classifier.*  split.*  decision.*  runtime.*  pca=
               fields of the specs; --cfg grid shows all
  finetune=    lora or head: language models are fine-tuned on the training
               rows of each fold; finetune.rank= and other fields
  tune.*       fields that are chosen inside the training folds:
               'tune.grid={{classifier.C:[0.01,1],extractor.layer:[6,8]}}'
  random_seeds=  0 to 3 baselines with random weights of each language
               model, 1 by default; each takes an embedding's time, once
  store=       folder of embeddings, embeddings/ by default
  output=      folder of results, benchmark/ by default

Examples
--------
antibody-benchmark model=antiberty,esm2_8m classifier=logreg,knn test=jain
antibody-benchmark fragment=VH,H-CDRs split.by=identity test=jain,shehata
antibody-benchmark data=mine.csv data.heavy=vh data.label=psr model=esm2_8m
"""

app = Program()

_OUTPUT = "benchmark"
_OF_TESTS = ("id", "heavy", "light", "label", "groups", "layout", "sheet")
_COLUMNS = (*_OF_TESTS, "chain", "part", "species", "columns", "higher_is_better")
_OF_TRAINING = ("labels", "fold")


@app.command(text=_HELP)
def benchmark(
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, see above.", show_default=False)] = None,
    scheduler: Scheduler = None,
    cfg: PrintedConfiguration = None,
) -> None:
    """Run the command; `_HELP` is its help text, because it names the presets."""
    with reported() as kept:
        from antibody_esm.overrides import refused

        with refused():
            runs, fragments, tests, of_tests = _grid(overrides or [])
        if cfg:
            import yaml

            shared = {"fragment": fragments, "test": tests}
            texts = [yaml.safe_dump(run.to_dict() | shared, sort_keys=False) for run in runs]
            print("---\n".join(texts), end="")  # noqa: T201
            return
        kept.become(f"finished results are in {runs[0].output or _OUTPUT}; the same command continues from there")
        by_default = not any(text.startswith("split.") for text in overrides or [])
        with connected(scheduler):
            raise typer.Exit(_run(runs, fragments, tests, of_tests, by_default))


def _run(
    runs: "list[Run]",
    fragments: list[str | None],
    tests: list[str],
    of_tests: list[dict[str, str | None]],
    by_default: bool,
) -> int:
    from antibody_esm.benchmark import WRITTEN, Benchmark

    run, began = runs[0], time.monotonic()
    output = run.output or _OUTPUT
    check_folder(Path(output), WRITTEN, [run.data.source, run.data.labels, *tests])
    columns, of_training = (
        {name: value for name in names if (value := getattr(run.data, name)) is not None}
        for names in (_COLUMNS, _OF_TRAINING)
    )
    of_training |= {"drop": True} if run.data.drop else {}
    mappings = [{name: value for name, value in (columns | own).items() if value is not None} for own in of_tests]
    grid = Benchmark.from_specs(
        [run.train for run in runs],
        _source(run.data.source, columns | of_training),
        [_source(test, mapping) for test, mapping in zip(tests, mappings, strict=True)],
        fragments,
        store=run.store,
        output=output,
        runtime=run.runtime,
        check=run.data.check,
        by_default=by_default,
        random_seeds=run.random_seeds,
    )
    text = grid.finished()
    if text is None:
        text = str(grid.run(complain))
    computed = f"{grid.computed} results computed" if grid.computed else "nothing was computed"
    show(f"{text}\n\n{computed}, {time.monotonic() - began:.1f} s; {output}/report.html")
    for name, reason in grid.missing.items():
        complain(f"warning: {output}/{name} is missing: {reason}")
    for pipeline, error in grid.failed.items():
        complain(f"error: {pipeline}: {error}")
    return 1 if grid.failed else 0


def _grid(overrides: list[str]) -> "tuple[list[Run], list[str | None], list[str], list[dict[str, str | None]]]":
    """Return a run for each pipeline, the fragments, the test sets, and the columns that are named for each of these.

    A column that is null is recognised, whatever that of the training set.
    """
    from antibody_esm.overrides import invalid, sweep, values_of
    from antibody_esm.specs.training import Run

    of_tests = [f"test.{name}" for name in _OF_TESTS]
    lists: dict[str, list[str | None]] = {name: [] for name in ("fragment", "test", *of_tests)}
    rest = []
    for text in overrides:
        key = text.partition("=")[0]
        if key in lists:
            lists[key] += values_of(text)
        else:
            rest.append(text)
    runs = [Run.compose(job) for job in sweep(["data=boughter", *rest])]
    for name in ("data", "store", "output", "runtime", "random_seeds"):
        if any(getattr(run, name) != getattr(runs[0], name) for run in runs):
            raise invalid(name, rest, "only one value is allowed for the whole grid")
    if runs[0].data.fragment is not None:
        raise invalid("data.fragment", runs[0].data.fragment, "use fragment=, which accepts several values")
    tests = [str(test) for test in lists["test"]]
    own: list[dict[str, str | None]] = [{} for _ in tests]
    for name in of_tests:
        values = lists[name] * max(1, len(tests)) if len(lists[name]) == 1 else lists[name]
        if values and len(values) != len(tests):
            raise invalid(name, values, f"give one column, or one for each of the {len(tests)} test sets")
        for mapping, value in zip(own, values, strict=False):
            mapping[name.removeprefix("test.")] = value
    return runs, [*lists["fragment"]] or [None], tests, own


def _source(source: str, options: dict[str, Any]) -> "str | Dataset":
    """Return the name or path of a data set, which is loaded later; or the data themselves if columns are named."""
    from antibody_esm.data.public import PUBLIC, load_dataset

    if source in PUBLIC:
        several = {"label"} if isinstance(options.get("label"), tuple) else set()
        meant = {"chain", "labels", "part", "species", "fold"} | several  # other columns are those of tables
        options = {name: value for name, value in options.items() if name in meant}
    return load_dataset(source, **options) if options else source


def main() -> None:
    """Run ``antibody-benchmark``."""
    errors.run(app)


if __name__ == "__main__":
    main()
