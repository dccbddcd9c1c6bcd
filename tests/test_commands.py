"""Commands destroy nothing that they are given, and end in order however they end."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from antibody_esm import Dataset, DescriptorSpec, EmbeddingStore, ExtractorSpec, Predictor, Trainer, load_dataset
from antibody_esm.cli import app as esm
from antibody_esm.cli import arguments, benchmark, errors, train
from antibody_esm.cli.errors import Ended, reported
from chains import HEAVY, mutants
from effort import PATIENCE, STRESS
from processes import fork

VH = mutants(HEAVY, 60, 8)
LABEL = [(sequence.count("K") + sequence.count("R")) % 2 for sequence in VH]
QUICK = ["model=descriptors", "extractor.descriptors=[net_charge,composition]", "split.folds=3"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = Dataset([f"a{i}" for i in range(40)], VH[:40], label=LABEL[:40])
    trainer = Trainer(DescriptorSpec(descriptors=("net_charge", "composition")), "logreg")
    return trainer.fit(data, scores=False).save(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def here(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a saved model and a table of labelled antibodies."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, "model")
    pd.DataFrame({"id": range(20), "heavy": VH[40:], "label": LABEL[40:]}).to_csv("in.csv", index=False)
    return tmp_path


def run(*words: object, app: object = esm.app) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)  # type: ignore[arg-type]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- what is given is not written over -------------------------------------------------------------------------------


def _symbolic(file: Path, name: str) -> None:
    Path(name).symlink_to(file)


def _hard(file: Path, name: str) -> None:
    Path(name).hardlink_to(file)


def _itself(file: Path, name: str) -> None:
    file.rename(name)


WRITERS: dict[str, tuple[str, str, list[str]]] = {
    # the file that is given, the output that is the same file, and the command
    "predict": ("in.csv", "same.csv", ["predict", "{given}", "-m", "model", "-o", "same.csv"]),
    "predict, rejected": ("in.csv", "same.rejected.csv", ["predict", "{given}", "-m", "model", "-o", "same.csv"]),
    "predict, model": ("model/manifest.json", "same.csv", ["predict", "in.csv", "-m", "model", "-o", "same.csv"]),
    "embed": ("in.parquet", "same.parquet", ["embed", "{given}", "--language-model", "{tiny}", "-o", "same.parquet"]),
    "evaluate": ("in.csv", "same.csv", ["evaluate", "{given}", "-m", "model", "-o", "same.csv"]),
    "evaluate, model": ("model/manifest.json", "same.json", ["evaluate", "in.csv", "-m", "model", "-o", "same.json"]),
    "evaluate, labels": (
        "labels.csv",
        "same.csv",
        ["evaluate", "in.fasta", "--labels", "{given}", "-m", "model", "-o", "same.csv"],
    ),
    "explain, plot": ("in.csv", "same.svg", ["explain", "{given}", "-m", "model", "--plot", "same.svg"]),
    "scan": ("in.csv", "same.csv", ["scan", "{given}", "-m", "model", "-o", "same.csv"]),
    "number": ("in.csv", "same.csv", ["data", "number", "{given}", "-o", "same.csv"]),
    "audit": ("in.csv", "same.csv", ["data", "audit", "{given}", "-o", "same.csv"]),
    "audit against": (
        "in.csv",
        "same.csv",
        ["data", "audit", "boughter_flu_cdrs", "--against", "{given}", "-o", "same.csv"],
    ),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("link", [_symbolic, _hard, _itself])
def test_no_command_writes_over_a_file_that_it_is_given(
    here: Path, tiny: ExtractorSpec, name: str, link: Callable[[Path, str], None]
) -> None:
    given, same, words = WRITERS[name]
    table = pd.read_csv("in.csv")
    table.to_parquet("in.parquet")
    table[["id", "label"]].to_csv("labels.csv", index=False)
    Path("in.fasta").write_text(
        "".join(f">{i}\n{heavy}\n" for i, heavy in zip(table["id"], table["heavy"], strict=True))
    )
    if link is _itself and given.startswith("model"):
        words = [word.replace("same", "model/manifest") for word in words]
    else:
        link(Path(given), same)
    before = content(here)
    words = [word.format(given=same if link is _itself else given, tiny=tiny.model) for word in words]
    done = run(*words)
    if link is _itself and name == "predict, model":
        assert done.exit_code == 0, "model/manifest.csv is no file of the model"
        return
    assert done.exit_code == 1
    assert done.stderr.startswith("error: "), done.output
    assert "would be overwritten by" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert content(here) == before


def test_mended_rows_are_scored_into_another_file_and_stay(here: Path) -> None:
    # The natural next step after a run with rejected rows; it deleted its own input.
    pd.DataFrame({"id": ["a", "b"], "heavy": [VH[0], "EV1"]}).to_csv("two.csv", index=False)
    assert run("predict", "two.csv", "-m", "model", "-o", "scores.csv").exit_code == 0
    mended = "id,heavy\nb," + VH[1] + "\n"
    Path("scores.rejected.csv").write_text(mended)
    before = content(here)
    refused = run("predict", "scores.rejected.csv", "-m", "model", "-o", "scores.csv")
    assert refused.exit_code == 1
    assert (
        "scores.rejected.csv: would be overwritten by scores.rejected.csv; name another output file" in refused.stderr
    )
    assert content(here) == before
    assert run("predict", "scores.rejected.csv", "-m", "model", "-o", "mended.csv").exit_code == 0
    assert Path("scores.rejected.csv").read_text() == mended


def test_training_does_not_replace_a_folder_that_holds_its_data(here: Path) -> None:
    assert run(*QUICK, "data=in.csv", "output=out", app=train.app).exit_code == 0
    shutil.copy("in.csv", "out/mine.csv")
    shutil.copy("in.csv", "out/out_of_fold.csv")
    before = content(here)
    done = run(*QUICK, "data=out/out_of_fold.csv", "output=out", app=train.app)
    assert (done.exit_code, content(here)) == (1, before)
    assert done.stderr == "error: out/out_of_fold.csv: would be overwritten by output=out; name another folder\n"
    assert run(*QUICK, "data=out/mine.csv", "output=out", app=train.app).exit_code == 0, "this one stays"
    assert Path("out/mine.csv").read_bytes() == Path("in.csv").read_bytes()


def test_a_benchmark_does_not_write_over_its_data(here: Path) -> None:
    Path("grid").mkdir()
    shutil.copy("in.csv", "grid/scores.csv")
    before = content(here)
    done = run(*QUICK, "data=grid/scores.csv", "output=grid", app=benchmark.app)
    assert (done.exit_code, content(here)) == (1, before)
    assert "would be overwritten by output=grid" in done.stderr


def test_a_store_does_not_export_over_its_own_files(tmp_path: Path) -> None:
    spec = ExtractorSpec(model="any", digest="0" * 64, layer=6)
    EmbeddingStore(tmp_path / "store").put(spec, ["EVQL"], np.ones((1, 4), np.float32))
    inside = tmp_path / "store" / spec.resolve().fingerprint / "rows.parquet"
    done = run("store", "export", inside, "-s", tmp_path / "store")
    assert done.exit_code == 1
    assert "is a file of the store" in done.stderr


# --- everything is checked before work -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("none/out.csv", "there is no folder"),
        ("/proc/out.csv", "cannot be written"),
        ("folder.csv", "is a folder"),
        ("pipe.csv", "is not a file"),
        ("in.csv/out.csv", "there is no folder"),
        (f"{'x' * 300}.csv", "File name too long"),
        ("circle.csv", "symbolic links"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate", "scan", "number"])
def test_an_output_that_cannot_be_written_is_refused_before_work(
    here: Path, command: str, out: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("folder.csv").mkdir()
    os.mkfifo("pipe.csv")
    Path("circle.csv").symlink_to("circle.csv")
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: pytest.fail("the model is loaded first"))
    words = ["data", "number"] if command == "number" else [command]
    done = run(*words, "in.csv", *(() if command == "number" else ("-m", "model")), "-o", out)
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.output


def test_one_file_for_two_results_is_refused(here: Path) -> None:
    assert (
        "two outputs name this file" in run("evaluate", "in.csv", "-m", "model", "-o", "a.csv", "-o", "./a.csv").stderr
    )


@pytest.mark.parametrize(
    ("make", "output", "message"),
    [
        (lambda: Path("out").write_text("mine"), "out", "is not a folder"),
        (lambda: Path("out").write_text("mine"), "out/inner", "is not a folder"),
        (lambda: None, "/proc/none/out", "cannot be written"),
        (lambda: None, "x" * 300, "File name too long"),
        (lambda: Path("out/report.html").mkdir(parents=True), "out", "the result has a file of this name"),
    ],
)
@pytest.mark.parametrize("app", [train.app, benchmark.app])
def test_an_output_folder_that_cannot_be_made_is_one_line(
    here: Path, app: object, make: Callable[[], object], output: str, message: str
) -> None:
    make()
    before = content(here)
    done = run(*QUICK, "data=in.csv", f"output={output}", app=app)
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert content(here) == before


def test_vectors_that_do_not_fit_on_the_disk_are_refused_before_work(
    here: Path, tiny: ExtractorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(here)
    monkeypatch.setattr(arguments.shutil, "disk_usage", lambda _: usage._replace(free=3000))
    done = run("embed", "in.csv", "--language-model", tiny.model, "-o", "out.npz")
    assert done.exit_code == 1
    assert "out.npz: about" not in done.stderr, "the file alone has room"
    assert "are needed on this disk, but 3 kB are free" in done.stderr
    assert not Path("out.npz").exists()
    assert not Path("embeddings").exists()


def test_what_fails_half_way_leaves_the_earlier_output(here: Path, tiny: ExtractorSpec) -> None:
    for name in ("out.csv", "out.rejected.csv"):
        Path(name).write_text("of an earlier run")
    pd.DataFrame({"id": ["a", "b"], "heavy": [VH[0], "EV1"]}).to_csv("bad.csv", index=False)
    before = content(here)
    assert run("predict", "bad.csv", "-m", "model", "-o", "out.csv", "--strict").exit_code == 1
    assert content(here) == before
    Path("empty.fasta").write_text("")
    before = content(here)
    assert "there are no antibodies" in run("predict", "empty.fasta", "-m", "model", "-o", "out.csv").stderr
    assert content(here) == before
    assert run("predict", "in.csv", "-m", "model", "-o", "out.csv").exit_code == 0
    assert not Path("out.rejected.csv").exists(), "of an earlier run, and no row was rejected"


def test_what_a_killed_command_left_beside_its_output_goes_with_the_next(here: Path) -> None:
    dead = fork(os._exit, 0)
    dead.join()
    from antibody_esm.files import beside

    mine = beside(here / "out.csv", "tmp").name
    theirs = mine.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
    for name in (mine, theirs, "out.csv.tmp"):
        Path(name).touch()
    assert run("predict", "in.csv", "-m", "model", "-o", "out.csv").exit_code == 0
    assert {path.name for path in here.glob("*.tmp")} == {mine, "out.csv.tmp"}


# --- runs that are killed --------------------------------------------------------------------------------------------


def _train(words: Sequence[str]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    CliRunner().invoke(train.app, list(words))
    os._exit(0)


@pytest.mark.skipif(sys.platform != "linux", reason="one step of Linux")
def test_a_run_over_an_old_folder_may_be_killed_at_any_moment(here: Path) -> None:
    words = [*QUICK, "data=in.csv", "output=out"]
    assert run(*words, "classifier=knn", app=train.app).exit_code == 0
    Path("out/notes.txt").write_text("mine")
    data, ledger = load_dataset("in.csv"), Path("out/model/openings.jsonl")
    Predictor.load("out/model").evaluate(data)
    lines, generator, kinds = ledger.read_bytes(), random.Random(0), ["knn", "logreg"]
    began = time.monotonic()
    child = fork(_train, [*words, "classifier=logreg"])
    child.join()
    long, seen = time.monotonic() - began, set()
    for kill in range(100 if STRESS else 4):
        child = fork(_train, [*words, f"classifier={kinds[kill % 2]}"])
        time.sleep(generator.uniform(0.3, 1.1) * long)
        child.kill()
        child.join()
        predictor = Predictor.load("out/model")  # its digests fit
        kind = predictor.spec.classifier.kind
        assert f"kind: {kind}" in Path("out/config.yaml").read_text()
        assert predictor.spec.fingerprint in Path("out/metrics.json").read_text()
        assert all(Path("out", name).is_file() for name in ("out_of_fold.csv", "report.html", "train.log"))
        assert ledger.read_bytes() == lines
        assert Path("out/notes.txt").read_text() == "mine"
        seen.add(kind)
    assert run(*words, app=train.app).exit_code == 0
    assert [path.name for path in here.iterdir() if path.name.startswith("out")] == ["out"], "what they left is gone"


def test_a_model_is_saved_over_another_whole_or_not_at_all(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Dataset([f"a{i}" for i in range(40)], VH[:40], label=LABEL[:40])
    predictor = Trainer(DescriptorSpec(descriptors=("net_charge",)), "knn").fit(data)
    Path("model/notes.txt").write_text("mine")
    before = content(Path("model"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            predictor.save("model")
    assert content(Path("model")) == before
    assert [path.name for path in here.iterdir() if path.name.startswith("model")] == ["model"]
    predictor.save("model")
    assert Predictor.load("model").spec == predictor.spec
    assert Path("model/notes.txt").read_text() == "mine"


# --- how commands end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_training_says_what_is_kept(
    here: Path, number: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*QUICK, "data=in.csv", "output=out"]

    def interrupted(*_: object, **__: object) -> None:
        raise Ended(number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", interrupted)
        done = run(*words, app=train.app)
        assert (done.exit_code, done.stderr) == (status, "interrupted; no vectors were stored\n")
        assert not Path("out").exists()
    assert run(*words, app=train.app).exit_code == 0
    before = content(here)
    monkeypatch.setattr(Trainer, "fit", interrupted)
    for more, kept in (
        ([], "no vectors were stored, and the earlier results in out are unchanged"),
        (["store=."], "finished vectors are in ., and the earlier results in out are unchanged"),
        (["store=null"], "no vectors are kept (store=null), and the earlier results in out are unchanged"),
    ):
        done = run(*words, *more, app=train.app)
        assert (done.exit_code, done.stderr) == (status, f"interrupted; {kept}\n")
        assert content(here) == before


def test_an_interrupted_sweep_keeps_the_runs_that_were_finished(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, runs = Trainer.fit, iter([True])

    def second_interrupted(self: Trainer, *arguments: object, **options: object) -> Predictor:
        if next(runs, False):
            return fit(self, *arguments, **options)  # type: ignore[arg-type]
        raise Ended(signal.SIGINT)

    monkeypatch.setattr(Trainer, "fit", second_interrupted)
    done = run("-m", *QUICK, "data=in.csv", "output=out", "classifier=logreg,knn", app=train.app)
    assert done.exit_code == 130
    assert Predictor.load("out/0/model").spec.classifier.kind == "logreg"
    assert {path.name for path in Path("out").iterdir()} == {"0", "summary.csv"}


class _Broken:
    """Standard output that fails."""

    def __init__(self, error: OSError) -> None:
        self.error, self.sent = error, ""

    def write(self, text: str) -> int:
        self.sent += text
        return len(text)

    def flush(self) -> None:
        if self.sent:
            raise self.error

    def fileno(self) -> int:
        raise OSError

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("stdout", "status", "message"),
    [
        (_Broken(BrokenPipeError(32, "Broken pipe")), 141, ""),
        (_Broken(OSError(28, "No space left on device")), 1, "error: standard output cannot be written: No space left"),
        (None, 1, "error: standard output is closed"),
    ],
)
def test_output_that_cannot_be_written_is_one_line_at_most(
    stdout: object, status: int, message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(errors.typer.Exit) as caught, reported():
        errors.show("a result")
    assert caught.value.exit_code == status
    lines = capfd.readouterr().err.splitlines()
    assert [line.startswith(message) for line in lines] == ([True] if message else [])


def test_files_are_written_even_if_nobody_reads_what_is_printed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Broken(BrokenPipeError(32, "Broken pipe")))
    for words, files in (
        (["evaluate", "in.csv", "-o", "page.html", "-o", "rows.csv"], ["page.html", "rows.csv"]),
        (["explain", VH[0], "-o", "why.html", "--plot", "why.svg"], ["why.html", "why.svg"]),
        (["scan", VH[0], "--positions", "107", "-o", "scan.csv", "--no-plausibility"], ["scan.csv"]),
    ):
        with pytest.raises((SystemExit, errors.typer.Exit)):
            esm.app([*words, "-m", "model"])
        assert all(Path(file).stat().st_size for file in files), words


PROGRAM = """
import sys, time
from pathlib import Path
import typer
from antibody_esm.cli.errors import reported, run
from antibody_esm.files import replacing

app = typer.Typer(add_completion=False, rich_markup_mode=None)

@app.command()
def work(kind: str) -> None:
    with reported("rows are in store"):
        if kind.isdecimal():
            print("x\\n" * int(kind))
            return
        with replacing(Path("out.csv")) as unfinished:
            unfinished.write_text("half")
            try:
                print("begun", flush=True)
                time.sleep(600)
            finally:
                print("cleaning", flush=True)
                time.sleep(600 if kind == "slow" else 0)

run(app, at_once=3600)
"""
"""What every command is made of, without the libraries that take seconds to be imported."""


def start(*words: str, folder: Path, stdout: object = subprocess.PIPE, program: str = PROGRAM) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *words]
    return subprocess.Popen(command, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, text=True)  # type: ignore[call-overload, no-any-return]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_signals_end_a_command_in_order_and_a_second_one_at_once(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("of an earlier run")
    ending = {number: start("quick", folder=tmp_path) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    slow = start("slow", folder=tmp_path)
    for number, running in ending.items():
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        running.send_signal(number)
        _, text = running.communicate(timeout=PATIENCE)
        assert (running.returncode, text) == (128 + number, "interrupted; rows are in store\n")
    assert slow.stdout is not None
    assert slow.stdout.readline() == "begun\n"
    slow.send_signal(signal.SIGINT)
    assert slow.stdout.readline() == "cleaning\n"
    slow.send_signal(signal.SIGINT)
    _, text = slow.communicate(timeout=PATIENCE)
    assert (slow.returncode, text) == (-signal.SIGINT, ""), "not after its cleaning, whose status is another"
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 2, "only the one that was ended at once leaves its file"
    assert (tmp_path / "out.csv").read_text() == "of an earlier run"


@pytest.mark.skipif(sys.platform != "linux", reason="pipes and /dev/full of Linux")
def test_output_that_is_full_closed_or_not_read_is_one_line_at_most(tmp_path: Path) -> None:
    cases = {
        "head": ("{} 100000 | head -n 1; exit ${PIPESTATUS[0]}", 141, ""),
        "true": ("{} 1 | true; exit ${PIPESTATUS[0]}", 141, ""),
        "help": ("{} --help | true; exit ${PIPESTATUS[0]}", 141, ""),
        "full": ("{} 1 > /dev/full", 1, "No space left on device\n"),
        "closed": ("{} 1 >&-", 1, "error: standard output is closed\n"),
        "large": ("{} 100000 > /dev/full", 1, "No space left on device\n"),
    }
    (tmp_path / "program.py").write_text(PROGRAM)
    running = {}
    for name, (shell, _, _) in cases.items():
        line = shell.replace("{}", f"{sys.executable} program.py")
        running[name] = subprocess.Popen(
            ["bash", "-c", line], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    for name, (_, status, message) in cases.items():
        _, text = running[name].communicate(timeout=PATIENCE)
        assert running[name].returncode == status, name
        assert text.endswith(message), name
        assert len(text.splitlines()) == bool(message), text


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_disk_that_fills_up_is_one_line_and_the_earlier_file_stays(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("of an earlier run")
    program = (
        "import resource, signal\nfrom pathlib import Path\nfrom antibody_esm.cli.errors import reported\n"
        "from antibody_esm.files import write\nimport typer\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def work():\n    with reported():\n        write(Path('out.csv'), b'x' * 2000)\n"
        "app()\n"
    )
    running = start(folder=tmp_path, program=program)
    _, text = running.communicate(timeout=PATIENCE)
    assert (running.returncode, text) == (1, "error: out.csv: File too large\n")
    assert content(tmp_path) == {"out.csv": b"of an earlier run"}


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_training_ends_in_order_at_ctrl_c_and_leaves_the_earlier_results(here: Path) -> None:
    words = [*QUICK, "data=in.csv", "output=out"]
    assert run(*words, app=train.app).exit_code == 0
    before = content(here)
    words += ["data=boughter_flu_cdrs", "classifier=random_forest", "split.repeats=100"]
    command = [sys.executable, "-m", "antibody_esm.cli.train", *words]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(here.glob("out.partial-*/train.log")) and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    output, text = running.communicate(timeout=PATIENCE)
    assert (running.returncode, output) == (130, "")
    kept = "no vectors were stored, and the earlier results in out are unchanged"
    assert text.splitlines()[-1] == f"interrupted; {kept}"
    assert all(line.endswith(" ...") for line in text.splitlines()[:-1]), "lines about slow work"
    assert content(here) == before
