"""Answers of the server are what the commands write, to the last digit, and refusals tell nothing of the server."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from antibody_esm import Predictor, Trainer
from antibody_esm.cli import app
from antibody_esm.cli.serve import facts_of
from antibody_esm.cli.serve_jobs import JSON, answer, prepare
from antibody_esm.cli.serve_requests import ANSWERS, Call
from antibody_esm.cli.web_jobs import LONGEST, MOST, WIDEST
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LYSOZYME, NANOBODY
from effort import examples
from serving import KINDS, VH, VL, as_text, cells, fitted, frame_of, served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def write(path: Path, antibodies: list[dict[str, Any]]) -> Path:
    """Write antibodies as a CSV file whose cells are those of the request."""
    names = list(dict.fromkeys(name for antibody in antibodies for name in antibody))
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        rows.writerow(names)
        rows.writerows([[antibody.get(name) for name in names] for antibody in antibodies])
    return path


BAD = ["EVQ1", "", "ACGT" * 20, "NA", HEAVY[:60], LYSOZYME]
HEAVIES = st.sampled_from([*VH[:6], HEAVY.lower(), NANOBODY, *BAD]) | st.none()
LIGHTS = st.sampled_from([*VL[:4], "", "DIQ*", VH[0]]) | st.none()
# Without a carriage return, which readers of CSV take for the end of a line; JSON keeps it.
IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=8)
ANTIBODIES = st.lists(
    st.fixed_dictionaries(
        {"id": IDS, "heavy": HEAVIES},
        optional={
            "light": LIGHTS,
            "isotype": st.sampled_from(["IgG1", "IgG4", "IgA", "", " IgG1 "]) | st.none(),
            "ph": st.floats(4, 9) | st.integers(5, 7) | st.sampled_from(["", "six", "6.5"]) | st.none(),
            "note": IDS,
        },
    ),
    min_size=1,
    max_size=5,
)


@examples(16)
@given(antibodies=ANTIBODIES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_of_an_answer_are_those_of_predict_to_the_last_digit(
    kind: str, antibodies: list[dict[str, Any]], folder: Path
) -> None:
    model = served(kind, folder)
    for name in ("isotype", "ph") if kind == "columns" else ("light",) if kind == "pair" else ():
        antibodies[0].setdefault(name, None)  # a table without the column is refused as a whole
    answered = model.answered("score", {"antibodies": antibodies})
    expected = model.predicted(write(model.folder / "in.csv", antibodies))
    assert as_text(answered["antibodies"]) == expected["antibodies"]
    assert as_text(answered["rejected"]) == expected["rejected"]
    rows = [int(row["row"]) for part in answered.values() for row in part]
    assert sorted(rows) == list(range(len(antibodies))), "no antibody is lost, and none has two answers"


def test_options_are_those_of_predict(kind: str, folder: Path) -> None:
    model, antibodies = served(kind, folder), frame_of(kind)
    options: dict[str, Any] = {"confidence": 0.7, "check": False, "liabilities": True}
    words = ["--confidence", "0.7", "--no-check", "--liabilities"]
    if kind not in ("regressor", "panel"):
        options["threshold"], words = 0.2, [*words, "--threshold", "0.2"]
    if kind == "columns":
        options["columns"], words = {"ph": 7.0}, [*words, "--column", "ph=7.0"]
    file = write(model.folder / "in.csv", antibodies)
    expected = model.predicted(file, *words)
    assert len(expected["antibodies"]) == 6
    assert (
        as_text(model.answered("score", {"antibodies": antibodies, **options})["antibodies"]) == expected["antibodies"]
    )


def test_a_table_as_text_is_read_as_predict_reads_the_file(kind: str, folder: Path) -> None:
    model, antibodies = served(kind, folder), frame_of(kind)
    odd = [
        {**each, "heavy name": each["heavy"]} for each in [*antibodies, {**antibodies[0], "id": "bad", "heavy": "E1"}]
    ]
    file = write(model.folder / "in.csv", odd)
    tabs = model.folder / "in.tsv"
    tabs.write_text(
        "\n".join("\t".join(map(str, row.values())) for row in [dict(zip(odd[0], odd[0], strict=True)), *odd])
    )
    for path, media in ((file, "text/csv"), (tabs, "text/tab-separated-values")):
        answered = model.answered("score", path.read_bytes(), media, heavy="heavy name")
        assert as_text(answered["antibodies"]) == model.predicted(path, "--heavy", "heavy name")["antibodies"]
        if path == file:
            plain = model.answered("score", path.read_bytes(), media)
            assert as_text(plain["rejected"]) == model.predicted(path)["rejected"] != []
    if kind != "columns":
        fasta = model.folder / "in.fasta"
        fasta.write_text(
            "".join(f">{a['id']} x\n{a['heavy']}{'|' + a['light'] if 'light' in a else ''}\n" for a in antibodies)
        )
        answered = model.answered("score", fasta.read_bytes(), "text/x-fasta")
        assert as_text(answered["antibodies"]) == model.predicted(fasta)["antibodies"]
        assert len(answered["antibodies"]) == 6


def test_explanations_and_scans_are_those_of_the_commands(kind: str, folder: Path) -> None:
    model, antibody = served(kind, folder), frame_of(kind)[1]
    request: dict[str, Any] = {"antibody": antibody} | ({"label": "Tm2"} if kind == "panel" else {})
    saved = model.model / "Tm2" if kind == "panel" else model.model
    predictor = Predictor.load(saved)
    options = ["--positions", "105", "--out", str(model.folder / "scan.csv"), "--liabilities"]
    file = write(model.folder / "one.csv", [antibody])
    words = ["scan", file, "-m", saved, "-s", model.folder / "store", *options]
    done = CliRunner().invoke(app.app, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    scan = model.answered("scan", {**request, "positions": "105", "liabilities": True})
    assert [{"id": antibody["id"], **row} for row in as_text(scan["mutants"])] == cells(model.folder / "scan.csv")
    assert len(scan["mutants"]) == (38 if kind == "pair" else 19)
    assert scan["absent"]["plausibility"]
    explained = model.answered("explain", request)
    assert explained["id"] == antibody["id"]
    assert float(explained["score"]) == float(scan["score"])
    assert "".join(row["residue"] for row in explained["residues"]) == explained["sequence"].replace("|", "")
    shares = [float(row["contribution"]) for row in explained["residues"]]
    if explained["intercept"] is not None:
        assert sum(shares) + float(explained["intercept"]) == pytest.approx(float(explained["score"]))
    assert any(shares)
    assert predictor.spec.is_regression == (explained["unit"] == "value")


def test_every_answer_is_as_the_description_has_it(kind: str, folder: Path) -> None:
    model, antibody = served(kind, folder), frame_of(kind)[0]
    label = {"label": "HIC"} if kind == "panel" else {}
    bodies = {
        "score": {
            "antibodies": [antibody, {"id": "x", "heavy": "1", **{k: v for k, v in antibody.items() if k == "ph"}}]
        }
    }
    bodies |= {"explain": {"antibody": antibody, **label}, "scan": {"antibody": antibody, "positions": "106", **label}}
    for endpoint, body in bodies.items():
        done = answer(model.loaded, Call(endpoint, JSON, json.dumps(body).encode(), {}))
        assert done.status == 200, done.body
        parsed = json.loads(done.body)
        assert ANSWERS[endpoint].model_validate(parsed).model_dump() == parsed
    facts = facts_of(model.loaded)
    assert facts.labels == (["HIC", "Tm2"] if kind == "panel" else [])
    assert facts.columns == (["isotype", "ph"] if kind == "columns" else [])
    assert facts.chains == (["heavy", "light"] if kind == "pair" else ["heavy"])


ONE = {"id": "a", "heavy": HEAVY}
REFUSED: list[tuple[str, str, Any, str]] = [
    ("heavy", "score", b"{", "not JSON"),
    ("heavy", "score", b"[" * 100_000, "nested more than 100 deep"),
    ("heavy", "score", b"[" + b"1," * 300_000 + b"1]", "more than 200,000 values"),
    ("heavy", "score", b"\xff\xfe", "not JSON"),
    ("heavy", "score", b"", "not JSON"),
    ("heavy", "score", [], "valid dictionary"),
    ("heavy", "score", {}, "antibodies: Field required"),
    ("heavy", "score", {"antibodies": []}, "antibodies: List should have at least 1 item"),
    ("heavy", "score", {"antibodies": [ONE], "thresold": 1}, "thresold: Extra inputs are not permitted"),
    ("heavy", "score", {"antibodies": [ONE], "threshold": 2}, "threshold: Input should be less than or equal to 1"),
    ("heavy", "score", {"antibodies": [ONE], "assay": "spr"}, "assay"),
    ("heavy", "score", {"antibodies": [ONE] * (MOST + 1)}, "at most 2000 items"),
    ("heavy", "score", {"antibodies": [{"id": "a", "heavy": "E" * (LONGEST + 1)}]}, "at most 2,000 residues"),
    ("heavy", "score", {"antibodies": [{str(i): 1 for i in range(WIDEST + 1)}]}, "at most 1,000 columns"),
    ("heavy", "score", {"antibodies": [{}]}, "no cells"),
    ("heavy", "score", {"antibodies": [{"id": "a", "light": "DIQ"}]}, "there is no column 'heavy'"),
    ("heavy", "score", {"antibodies": [{"id": "a", "heavy": ["E"]}]}, r"antibodies.0.heavy"),
    ("heavy", "score", {"antibodies": [ONE], "columns": {"ph": 7}}, "the model reads no column 'ph'"),
    ("regressor", "score", {"antibodies": [ONE], "threshold": 0.5}, "threshold"),
    ("columns", "score", {"antibodies": [ONE]}, "reads the columns isotype, ph"),
    ("heavy", "explain", {"antibody": {"id": "a", "heavy": LYSOZYME}}, "not what the model reads"),
    ("heavy", "explain", {"antibody": {"id": "a", "heavy": None}}, "no sequence"),
    ("heavy", "explain", {"antibody": {"id": "a", "heavy": "EVQ1"}}, "'1'"),
    ("heavy", "explain", {"antibody": ONE, "label": "HIC"}, "without labels"),
    ("panel", "explain", {"antibody": ONE}, "label: one of HIC, Tm2"),
    ("panel", "scan", {"antibody": ONE, "label": "../Tm2"}, "label: one of HIC, Tm2"),
    ("heavy", "scan", {"antibody": ONE, "positions": "FR9"}, "'FR9' names no residues"),
    ("heavy", "scan", {"antibody": ONE, "positions": "1," * 1000}, "at most 1000 characters"),
]


@pytest.mark.parametrize(("kind", "endpoint", "body", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_request_that_cannot_be_answered_is_refused_with_its_reason(
    kind: str, endpoint: str, body: Any, message: str, folder: Path
) -> None:
    status, reason = served(kind, folder).refused(endpoint, body)
    assert status == 422, reason
    assert re.search(message, reason), reason
    assert len(reason) < 600


@pytest.mark.parametrize(
    ("body", "media", "query", "message"),
    [
        (b"", "text/csv", {}, "the file is empty"),
        (b"\xff\xfe\x00\x01,", "text/csv", {}, "cannot be read"),
        (b"id,heavy\n" + b"a,EVQ\n" * (MOST + 1), "text/csv", {}, "at most 2,000 antibodies"),
        (b">a\n" + b"EVQL" * 501, "text/x-fasta", {}, "at most 2,000 residues"),
        (b",".join(b"c%d" % i for i in range(WIDEST + 1)) + b"\n1\n", "text/csv", {}, "at most 1,000 columns"),
        (b"id,light\na,DIQ\n", "text/csv", {}, "no column 'heavy'; the columns are id, light"),
        (b"id,heavy\na,EVQ\n", "text/csv", {"confidence": "2"}, "confidence: Input should be less than 1"),
        (b"id,heavy\na,EVQ\n", "text/csv", {"store": "/etc"}, "store: Extra inputs are not permitted"),
        (b"id,heavy\na,b,EVQ\n", "text/csv", {}, "line 1, the header, has 2 columns and line 2 has 3"),
        (b'{"antibodies": []}', JSON, {"threshold": "1"}, "a query is allowed beside a table as text only"),
    ],
)
def test_a_bad_table_is_refused_without_a_path(
    body: bytes, media: str, query: dict[str, str], message: str, folder: Path
) -> None:
    status, reason = served("heavy", folder).refused("score", body, media, **query)
    assert status == 422, reason
    assert message in reason
    assert "/" not in reason.replace("and/or", ""), "no path of the server"


class Broken(Predictor):
    """A model that meets an error which nobody has thought of."""

    def score_inputs(self, *_: Any, **__: Any) -> Any:
        raise KeyError(HEAVY)


@pytest.mark.parametrize("verbose", [False, True])
def test_an_unexpected_error_has_neither_content_nor_traceback_unless_the_log_may_have_content(
    verbose: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = served("heavy", folder).loaded
    assert isinstance(model, Predictor)
    broken = Broken._of(model.fitted(), store=None, extractor=model.extractor)
    done = answer(broken, Call("score", JSON, json.dumps({"antibodies": [ONE]}).encode(), {}), verbose)
    assert done.status == 500
    assert json.loads(done.body) == {
        "error": "the server cannot answer this request; its log has the kind of the error"
    }
    log = capsys.readouterr().err
    assert log.startswith("error: KeyError at test_serve_jobs.py, line ")
    assert (HEAVY in log) == ("Traceback" in log) == verbose


def test_an_error_of_a_library_is_not_taken_for_a_reason(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Other(Predictor):
        def score_inputs(self, *_: Any, **__: Any) -> Any:
            return int(HEAVY)

    model = served("heavy", folder).loaded
    assert isinstance(model, Predictor)
    other = Other._of(model.fitted(), store=None, extractor=model.extractor)
    done = answer(other, Call("score", JSON, json.dumps({"antibodies": [ONE]}).encode(), {}))
    assert done.status == 500
    assert HEAVY not in done.body.decode() + capsys.readouterr().err


def test_no_vector_is_kept_without_a_store_and_the_language_model_is_read_before_the_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logging.disable", lambda level: None)
    trainer = Trainer(tiny_checkpoint("esm", tmp_path / "esm", layers=1), "logreg")
    predictor: Any = Predictor.load(fitted("heavy", trainer).save(tmp_path / "model"))
    with monkeypatch.context() as patched:
        patched.setattr("warnings.simplefilter", lambda *_: None)
        prepare(predictor)
    assert "models" in vars(predictor.extractor)
    assert predictor.extractor.computed == 1, "the rehearsal"
    for _ in range(2):  # nothing is kept, so that both compute
        before = predictor.extractor.computed
        call = Call("score", JSON, json.dumps({"antibodies": [ONE, {"id": "b", "heavy": VH[2]}]}).encode(), {})
        antibodies = json.loads(answer(predictor, call).body)["antibodies"]
        assert antibodies
        assert predictor.extractor.computed == before + len(antibodies)
        assert predictor.store.absent(predictor.extractor.resolved, [HEAVY]) == [HEAVY]
    kept: Any = Predictor.load(tmp_path / "model", store=tmp_path / "store")
    assert answer(kept, call).status == 200
    assert kept.store.absent(kept.extractor.resolved, [HEAVY]) == []


def test_a_model_of_descriptors_is_prepared_too(folder: Path) -> None:
    for kind in ("columns", "panel", "nanobody", "pair"):
        prepare(served(kind, folder).loaded, verbose=True)


@pytest.mark.parametrize(
    ("antibody", "reason"),
    [
        (rb'{"id": "a", "heavy": "EVQ", "heavy": "QVQ"}', "not JSON: 'heavy' is there twice in one object"),
        (rb'{"id": NaN, "heavy": "EVQ"}', "not JSON: NaN is no number of JSON; write null for a missing value"),
        (rb'{"id": -Infinity, "heavy": "EVQ"}', "not JSON: -Infinity is no number"),
        (rb'{"id": 1e999, "heavy": "EVQ"}', "not JSON: a number is too large"),
        (rb'{"id": "\ud800", "heavy": "EVQ"}', "is half a character"),
        (rb'{"id": "a", "heavy": "EVQ", "\uDFFF": "x"}', "is half a character"),
        (rb'{"id": "a", "heavy": "\udc80\ud800"}', "is half a character"),
    ],
)
def test_json_that_programs_read_in_different_ways_is_refused(
    antibody: bytes, reason: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The last of two sequences was scored, an id became nan, and half a character ended in a traceback."""
    server = served("heavy", tmp_path_factory.mktemp("strict"))
    bodies = {"score": b'{"antibodies": [%s]}', "explain": b'{"antibody": %s}', "scan": b'{"antibody": %s}'}
    for endpoint, body in bodies.items():
        status, error = server.refused(endpoint, body % antibody)
        assert status == 422
        assert reason in error


def test_whole_characters_of_two_escapes_are_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = served("heavy", tmp_path_factory.mktemp("whole"))
    body = rb'{"antibodies": [{"id": "\ud83d\ude00", "heavy": "%s"}]}' % VH[0].encode()
    assert server.answered("score", body)["antibodies"][0]["id"] == "\N{GRINNING FACE}"
