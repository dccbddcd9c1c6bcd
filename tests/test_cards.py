"""Cards of models: complete, the same for the same model, and closed to text of users."""

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard, metadata_load
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from antibody_esm import (
    Dataset,
    DecisionSpec,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    Panel,
    Predictor,
    SplitSpec,
    Trainer,
    TuneSpec,
    load_dataset,
)
from antibody_esm.card_files import CARD, is_card, is_free
from antibody_esm.cards.card import model_card, panel_card
from antibody_esm.cards.markdown import code, one_line, prose, table
from antibody_esm.cli import app, train
from antibody_esm.model_facts import ModelFacts
from antibody_esm.model_files import facts_of
from antibody_esm.plm.adapters import NAME as ADAPTER
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT, mutants
from effort import examples
from reporting import CHARGES, LOGREG, antibodies

SAVED = sorted(folder.parent for folder in (Path(__file__).parent / "saved").glob("*/expected.json"))
THREE = SplitSpec(folds=3)
HOSTILE = [
    "<script>alert(1)</script>",
    "![x](http://evil.example/x.png)",
    "[link](javascript:alert(1))",
    "`code` ``more``",
    "a | b \\| c \\\\| <img src=x>",
    "---\nlicense: mit\n---",
    "\n\n# heading\n\n- item",
    "http://evil.example www.evil.example me@evil.example <http://evil.example>",
    "$$x$$ :smile: &lt;b&gt; &amp; ~~no~~ **bold** __x__",
    "!!python/object:os.system {a: b} [c] 'q' \"d\" # x",
    "\u202e\u200b\u2028\x85\x00\x1b[31m",
    "```\n</code></pre><b>",
    "--> <!--",
    "=====",
    "1. one",
    "\\",
]
PIECES = ["`", "|", "\\", "<b>", "[x](y)", "*", "_", "\n", "-", "#", "a", " ", "&lt;", "~~", "\n---\n", "'", '"', ": "]
TEXTS = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
)
RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
INLINE = {"text", "code_inline"}


def fields_of(text: str) -> dict[str, Any]:
    """Return the metadata of a card as the hub's own class reads them."""
    fields: dict[str, Any] = ModelCard(text).data.to_dict()  # type: ignore[no-untyped-call]  # the hub's
    return fields


def rendered(markdown: str) -> tuple[str, set[str]]:
    """Return the text that a renderer shows, and the kinds of its tokens."""
    blocks = RENDERER.parse(markdown)
    inner = [token for block in blocks for token in block.children or ()]
    return "".join(token.content for token in inner), {token.type for token in [*blocks, *inner]}


@given(TEXTS)
def test_text_of_users_is_shown_as_it_is_and_formats_nothing(text: str) -> None:
    plain = one_line(text)
    for written, expected in ((code(text), plain or "(empty)"), (prose(text), plain)):
        for markdown, content in ((written, expected), (f"A name: {written}.", f"A name: {expected}.")):
            shown, kinds = rendered(markdown)
            assert shown == content
            assert kinds <= {"paragraph_open", "inline", "paragraph_close", *INLINE}


@given(TEXTS, TEXTS)
def test_text_of_users_stays_in_its_cell(first: str, second: str) -> None:
    tokens = RENDERER.parse("\n".join(table(("a", "b"), [(code(first), prose(second)), ("c", "d")])))
    cells = ["".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"]
    assert cells == ["a", "b", one_line(first) or "(empty)", one_line(second), "c", "d"]
    assert {child.type for token in tokens for child in token.children or ()} <= INLINE


def test_the_tests_of_text_can_fail() -> None:
    kinds = set().union(*(rendered(text)[1] for text in HOSTILE))
    assert {"html_inline", "image", "fence", "hr", "s_open", "bullet_list_open"} <= kinds


@cache
def loops(task: str = "classes", *, columns: bool = False) -> Dataset:
    data = antibodies(40, continuous=task == "values")
    isotype = tuple(f"IgG{1 + i % 2}" for i in range(40))
    extra: dict[str, Any] = (
        {"columns": {"isotype": isotype, "pH": tuple(5 + i % 3 for i in range(40))}} if columns else {}
    )
    return replace(data, label_name="PSR", **extra)


@cache
def pairs() -> Dataset:
    heavy, light = mutants(HEAVY, 30, 12), mutants(LIGHT, 30, 12, seed=1)
    return Dataset([f"pair {i}" for i in range(30)], heavy, light, label=[i % 2 for i in range(30)], chain="paired")


def predictor_of(kind: str) -> Predictor | Panel:
    """Return a model of each kind that is saved in its own way."""
    match kind:
        case "regressor":
            return Trainer(CHARGES, "ridge", THREE).fit(loops("values"))
        case "columns":
            return Trainer(CHARGES, "xgboost", THREE).fit(loops(columns=True))
        case "pairs":
            return Trainer(CHARGES, LOGREG, THREE).fit(pairs())
        case "tuned":
            return Trainer(CHARGES, LOGREG, THREE, tune=TuneSpec(grid={"classifier.C": (0.1, 1.0)}, folds=2)).fit(
                loops()
            )
        case "ensemble":
            both = EnsembleSpec(members=(CHARGES, DescriptorSpec(descriptors=("hydrophobicity",))), combine="concat")
            return Trainer(both, LOGREG, THREE).fit(loops())
        case "decided":
            decision = DecisionSpec(calibration="sigmoid", threshold="balanced_accuracy", folds=2)
            return Trainer(CHARGES, LOGREG, THREE, decision=decision).fit(loops())
        case "recalibrated":
            return Trainer(CHARGES, LOGREG, THREE).fit(loops()).recalibrate(antibodies(20, seed=4), check=False)
        case "unscored":
            return Trainer(CHARGES, LOGREG, THREE).fit(loops(), uncertainty=False, scores=False)
        case "leave_one_out":
            return Trainer(CHARGES, "ridge", SplitSpec(by="leave_one_out")).fit(loops("values"))
        case "panel":
            values = np.asarray(antibodies(40, continuous=True).label)
            targets = {"HIC": values, "odd | name": np.where(np.arange(40) < 25, -values, np.nan)}
            data = Dataset(antibodies(40).ids, antibodies(40).heavy, measurements=targets, targets=tuple(targets))
            return Panel.fit(Trainer(CHARGES, "ridge", THREE), data, check=False)
    return Trainer(CHARGES, LOGREG, THREE).fit(loops())


KINDS = ("classifier", "regressor", "columns", "pairs", "tuned", "ensemble", "decided", "recalibrated", "unscored")


@pytest.mark.filterwarnings("ignore::UserWarning")  # the recalibration's own
@pytest.mark.parametrize(("number", "kind"), list(enumerate([*KINDS, "leave_one_out", "panel"])))
def test_a_card_is_complete_valid_and_the_same_bytes_from_the_model_and_from_its_folder(
    number: int, kind: str, tmp_path: Path
) -> None:
    model, training = predictor_of(kind), number % 2 == 0
    folder = model.save(tmp_path / "model", training=training)
    loaded = type(model).load(folder)
    for name, again in {"same": model, "loaded": loaded, "new": predictor_of(kind)}.items():
        where = again.save(tmp_path / name, training=training)
        assert (where / CARD).read_bytes() == (folder / CARD).read_bytes()
    done = CliRunner().invoke(app.app, ["card", str(folder)])
    assert done.stdout.encode() == (folder / CARD).read_bytes()
    assert is_card((folder / CARD).read_bytes())
    text = (folder / CARD).read_text()
    card = ModelCard.load(folder / CARD)
    assert card.data.library_name == "antibody_esm"
    assert metadata_load(folder / CARD) == yaml.safe_load(text.split("---\n")[1])
    for part in ("## Licences", "## Use", "must not be used" if kind != "panel" else "| label |"):
        assert part in text
    for private in (str(tmp_path), str(Path.home()), *loops().ids[:3], *loops().sequences[:3], *pairs().sequences[:3]):
        assert private not in text
    if isinstance(model, Predictor):
        body = text.split("---\n", 2)[2]
        first = body.split("\n\n")[1]
        assert ("No scores were computed: the model was fitted with scores=False" in first) == (kind == "unscored")
        assert ("best baselines" in text) == (kind != "unscored")
        results = card.data.eval_results or []
        assert bool(results) == (kind != "unscored")
        for result in results:
            names = {"roc_auc": "roc_auc", "spearmanr": "spearman"}
            if result.metric_type in names and model.metrics is not None:
                mean = model.metrics["scores"][names[result.metric_type]]["mean"]
                assert result.metric_value == pytest.approx(mean, abs=1e-4)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["classifier", "pairs", "columns", "panel"])
def test_the_lines_of_a_card_run(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor_of(kind).save(tmp_path / "model")
    frame = pd.DataFrame({"id": ["a"], "heavy": [HEAVY], "light": [LIGHT], "isotype": ["IgG1"], "pH": [5]})
    frame.to_csv(tmp_path / "antibodies.csv", index=False)
    lines = (tmp_path / "model" / CARD).read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "card", "exec"), {})  # noqa: S102  the lines that readers copy
    scores = pd.read_csv("scores.csv")
    assert scores.filter(like="prediction").notna().all(axis=None)


def test_the_card_of_a_public_set_names_rule_citation_and_licence(tmp_path: Path) -> None:
    data = load_dataset("boughter_flu_cdrs")
    folder = Trainer(CHARGES, LOGREG, THREE).fit(data, uncertainty=False, scores=False).save(tmp_path / "model")
    text = (folder / CARD).read_text()
    assert ModelCard.load(folder / CARD).data.datasets == ["boughter_flu_cdrs"]
    for part in ("0: binds 0 or 1 ligands", "10.7554/eLife.61393", "MIT"):
        assert part in text


@pytest.mark.parametrize("decision", [None, DecisionSpec(calibration="sigmoid", folds=2)])
def test_a_card_states_that_a_recalibration_rescales_probabilities(
    decision: DecisionSpec | None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {} if decision is None else {"decision": decision}
    model = Trainer(CHARGES, LOGREG, THREE, **options).fit(loops(), uncertainty=False, scores=False)
    first = "as the classifier gives them" if decision is None else "calibrated by Platt scaling"
    assert f"Probabilities are {first}." in (model.save(tmp_path / "first") / CARD).read_text()
    again = model.recalibrate(antibodies(20, seed=4), check=False)
    card = (again.save(tmp_path / "again") / CARD).read_text()
    assert f"Probabilities are {first}, then rescaled by the recalibration." in card


def test_the_card_names_hub_models_as_its_base_and_no_local_folder(tmp_path: Path) -> None:
    folder = tiny_checkpoint("esm", tmp_path / "private" / "mine", seed=3)
    saved = Trainer(ExtractorSpec(model=str(folder)), "logreg", THREE, random_seeds=0).fit(loops(), check=False)
    saved.save(tmp_path / "model", training=False)
    text = (tmp_path / "model" / CARD).read_text()
    assert "base_model" not in text
    assert "weights of `mine` | not known here" in text
    assert "private" not in text.replace("type: private", "")
    facts = facts_of(tmp_path / "model")
    named = facts.spec.extractor.model_copy(update={"model": "facebook/esm2_t6_8M_UR50D"})
    spec = facts.spec.model_copy(update={"extractor": named})
    assert "base_model:\n- facebook/esm2_t6_8M_UR50D\n" in model_card(replace(facts, spec=spec)).decode()


@pytest.mark.filterwarnings("ignore::UserWarning")  # of format 2 and of older libraries
@pytest.mark.parametrize("folder", [*SAVED, Path(__file__).parent / "saved_panel"], ids=lambda folder: folder.name)
def test_models_of_earlier_formats_have_a_card(folder: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    done = CliRunner().invoke(app.app, ["card", str(folder), "-o", str(tmp_path / CARD)])
    assert done.exit_code == 0, done.stderr
    text = (tmp_path / CARD).read_text()
    assert "none were saved with the model" in text
    assert ModelCard.load(tmp_path / CARD).data.pipeline_tag in ("tabular-classification", "tabular-regression")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_model_is_loaded_whatever_its_readme_holds(tmp_path: Path) -> None:
    model = predictor_of("unscored")
    folder = model.save(tmp_path / "model")
    expected = Predictor.load(folder).predict_proba(loops())
    for content in (b"", b"\xff\xfe", b"# My notes", b"x" * 10**7):
        (folder / CARD).write_bytes(content)
        np.testing.assert_array_equal(Predictor.load(folder).predict_proba(loops()), expected)
    (folder / CARD).unlink()
    (folder / CARD).symlink_to("/etc/passwd")
    Predictor.load(folder)


@pytest.mark.parametrize("kind", ["unscored", "panel"])
def test_a_card_is_replaced_and_a_readme_of_the_user_or_an_edited_card_stays(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, folder = predictor_of(kind), tmp_path / "model"
    folder.mkdir()
    (folder / CARD).write_text("# My project\n")
    model.save(folder)
    assert (folder / CARD).read_text() == "# My project\n"
    assert "README.md there is not a card as it was written, and stays" in capsys.readouterr().out
    (folder / CARD).unlink()
    model.save(folder)
    assert "stays" not in capsys.readouterr().out
    original = (folder / CARD).read_bytes()
    edited = original.replace(b"## Licences", b"## Licences of mine")
    (folder / CARD).write_bytes(edited)
    model.save(folder)
    assert (folder / CARD).read_bytes() == edited
    done = CliRunner().invoke(app.app, ["card", str(folder), "-o", str(folder / CARD)])
    assert done.exit_code == 0, done.stderr
    assert (folder / CARD).read_bytes() == original
    assert is_free(folder)
    model.save(folder)
    assert (folder / CARD).read_bytes() == original


@pytest.mark.parametrize("label", ["a", "[a,b]"])
def test_a_run_leaves_the_readmes_of_the_user_in_the_folder_of_its_model(label: str, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    each = {"a": np.arange(40) % 2, "b": np.arange(40) // 2 % 2}
    pd.DataFrame({"id": [f"m{i}" for i in range(40)], "heavy": mutants(HEAVY, 40, 9), **each}).to_csv(
        table, index=False
    )
    words = [f"data={table}", f"data.label={label}", "model=descriptors", "split.folds=2", f"output={tmp_path / 'run'}"]
    model = tmp_path / "run" / "model"
    places = [model] if label == "a" else [model, model / "a"]

    def run() -> str:
        done = CliRunner().invoke(train.app, words)
        assert done.exit_code == 0, done.stderr
        return done.stdout + done.stderr

    assert "stays" not in run()
    cards = [(place / CARD).read_bytes() for place in places]
    assert "stays" not in run()
    assert [(place / CARD).read_bytes() for place in places] == cards
    for place in places:
        (place / CARD).write_text("# Mine\n")
    (model / ADAPTER).write_text("weights of mine")
    assert "README.md there is not a card as it was written, and stays" in run()
    for place in places:
        assert (place / CARD).read_text() == "# Mine\n"
    assert (model / ADAPTER).read_text() == "weights of mine"
    (model / CARD).unlink()
    run()
    assert is_card((model / CARD).read_bytes())


def test_a_run_of_a_fine_tuned_model_does_not_begin_where_its_adapter_has_no_place(tmp_path: Path) -> None:
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / ADAPTER).write_text("weights of mine")
    words = ["finetune=head", f"output={tmp_path / 'run'}", f"store={tmp_path / 'store'}"]
    done = CliRunner().invoke(train.app, words)
    assert done.exit_code == 1
    assert "a file of no saved model, whose name the new one needs: choose another folder" in done.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model"]
    assert not (tmp_path / "store").exists()


@examples(60)
@given(*[TEXTS] * 6)
def test_no_text_of_a_table_breaks_the_card(
    source: str, rule: str, label: str, licence: str, column: str, note: str
) -> None:
    facts, columns = _scored_facts(), _facts_with_columns()
    read = columns.reading.columns
    hostile = [replace(each, spec=each.spec.model_copy(update={"name": column or "c"})) for each in read.columns]
    metrics = dict(facts.metrics or {})
    metrics |= {"notes": [note], "warnings": [note], "pipeline": note, "design": note}
    metrics["verdict"] = {"claim": None, "baseline": None, "sentence": note}
    broken = replace(
        facts,
        data=replace(facts.data, source=source, rule=rule, label=label or None, licence=licence, citation=rule),
        reading=replace(facts.reading, columns=replace(read, columns=tuple(hostile))),
        metrics=metrics,
        versions={"numpy": note},
    )
    text = model_card(broken).decode()
    card = ModelCard(text)
    assert fields_of(text)["license"] == "other"
    assert fields_of(text).keys() == fields_of(_plain_card()).keys()
    blocks = RENDERER.parse(card.text)
    kinds = [token.type for token in blocks]
    expected = [token.type for token in RENDERER.parse(ModelCard(_plain_card()).text)]
    assert {*kinds} == {*expected}
    assert [token.content for token in blocks if token.type == "html_block"] == [
        line + "\n" for line in text.splitlines() if line.startswith("<!-- antibody_esm card, SHA-256")
    ]
    inner = {token.type for block in blocks for token in block.children or ()}
    assert inner <= {*INLINE, "strong_open", "strong_close", "softbreak"}
    [lines] = [token.content for token in blocks if token.type == "fence" and token.info == "python"]
    compile(lines, "card", "exec")
    assert lines.isascii()
    panel_card({label: ("folder", broken)})


@cache
def _scored_facts() -> ModelFacts:
    return _facts("classifier")


@cache
def _facts_with_columns() -> ModelFacts:
    return _facts("columns")


@cache
def _facts(kind: str) -> ModelFacts:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return facts_of(predictor_of(kind).save(Path(folder) / "model"))


@cache
def _plain_card() -> str:
    facts = _scored_facts()
    reading = replace(facts.reading, columns=_facts_with_columns().reading.columns)
    metrics = {**(facts.metrics or {}), "warnings": ["one"], "notes": ["one"]}
    return model_card(replace(facts, reading=reading, metrics=metrics)).decode()


@pytest.mark.parametrize(
    "metrics", [{}, {"scores": 1, "notes": []}, {"scores": {"roc_auc": []}, "notes": [], "intervals": 3}]
)
def test_scores_of_another_form_are_named_and_do_not_end_the_card(metrics: dict[str, Any]) -> None:
    text = model_card(replace(_scored_facts(), metrics=metrics)).decode()
    assert "No scores were computed: those in the manifest cannot be read." in text
    assert "model-index" not in fields_of(text)


def test_the_command_refuses_what_is_no_model_and_overwrites_no_file_of_it(tmp_path: Path) -> None:
    folder = predictor_of("unscored").save(tmp_path / "model")
    for arguments, reason in (
        ([str(tmp_path)], "not a saved model"),
        ([str(folder), "-o", str(folder / "manifest.json")], "must end in .md"),
    ):
        done = CliRunner().invoke(app.app, ["card", *arguments])
        assert done.exit_code in (1, 2)
        assert reason in done.stderr
    other = Path(shutil.copytree(folder, tmp_path / "changed"))
    manifest = (other / "manifest.json").read_text()
    (other / "manifest.json").write_text(manifest.replace("made up", "another"))
    assert "changed after the model was saved" in CliRunner().invoke(app.app, ["card", str(other)]).stderr
