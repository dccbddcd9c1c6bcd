"""The web page in Chromium, which reaches nothing but loopback: scores, pictures, limits, and what it must not give."""

import asyncio
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from antibody_esm import Dataset, ExtractorSpec, Predictor, Trainer
from antibody_esm.cli.web_jobs import LARGEST, MOST, antibodies
from antibody_esm.cli.web_security import PERIOD, UPLOADS, Gate, Quota
from antibody_esm.cli.web_server import _open
from antibody_esm.cli.web_tables import download_of, shown, without_formulas
from antibody_esm.data.tables import chain_columns
from antibody_esm.design import propose, screen
from antibody_esm.errors import DatasetError
from antibody_esm.explain import mutational_scan
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT, NANOBODY, mutants
from effort import PATIENCE, STRESS

GENERATOR = np.random.default_rng(11)
expect.set_options(timeout=1000 * PATIENCE / 5)  # the first antibody loads torch
HOSTILE = "<img/src=x/onerror=document.title='run'>"


VH = mutants(HEAVY, 40, 40)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    extractor = ExtractorSpec(model=str(tiny_checkpoint("esm", folder / "esm", layers=1, head=True)))
    label = [(one.count("K") + one.count("R")) % 2 for one in VH]
    data = Dataset([f"a{i}" for i in range(40)], VH, label=label)
    return Trainer(extractor, "logreg").fit(data, scores=False).save(folder / "model")


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor.load(model)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of another kind: a regressor, which reads pairs."""
    folder = tmp_path_factory.mktemp("pairs")
    extractor = ExtractorSpec(model=str(tiny_checkpoint("esm", folder / "esm", layers=1)))
    value = [one.count("K") + GENERATOR.normal() for one in VH]
    data = Dataset([f"a{i}" for i in range(40)], VH, [LIGHT] * 40, label=value, chain="paired")
    return Trainer(extractor, "ridge").fit(data, scores=False).save(folder / "model")


WATCHED = """
import os, sys

def look(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        called = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        with open(os.environ["CALLED"], "a") as log:
            print(called[0] if isinstance(called, tuple) else called, file=log)

sys.addaudithook(look)
"""
"""Notes, in the server's own process, every address that it calls or looks up."""


NOBODY = "192.0.2.1:9"
PROXIES = dict.fromkeys(("http_proxy", "HTTP_PROXY", "HTTPS_PROXY"), f"http://{NOBODY}") | {
    "ALL_PROXY": f"socks5://{NOBODY}"
}


@contextmanager
def serving(model: Path, folder: Path, *options: str, end: signal.Signals = signal.SIGTERM) -> Iterator[int]:
    """A server of its own process, where proxies are set, which calls nobody; at last it is ended by a signal."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("tmp", "watched"):
        (folder / name).mkdir()
    (folder / "watched" / "sitecustomize.py").write_text(WATCHED)
    leftover = folder / "tmp" / "antibody_esm-app-of-one-that-was-killed"
    leftover.mkdir()
    (leftover / "upload.csv").touch()
    os.utime(leftover, (0, 0))
    here = os.pathsep.join([str(folder / "watched"), *sys.path])
    environment = os.environ | PROXIES | {"PYTHONPATH": here}
    environment |= {"GRADIO_ALLOWED_PATHS": "/etc", "GRADIO_SHARE": "True", "GRADIO_SERVER_NAME": "0.0.0.0"}  # noqa: S104
    environment |= {"TMPDIR": str(folder / "tmp"), "CALLED": str(folder / "called")}
    command = [sys.executable, "-m", "antibody_esm.cli.app", "app", "--model", str(model), "--port", str(port)]
    command += options
    with (folder / "log").open("w+") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            until = time.monotonic() + PATIENCE
            while "Ctrl-C" not in (folder / "log").read_text():
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, "the server does not start"
                time.sleep(0.1)
            assert not leftover.exists()
            yield port
        finally:
            server.send_signal(end)
            status = server.wait(PATIENCE)
    assert status == 128 + end
    assert not list((folder / "tmp").glob("antibody_esm-app-*")), "what was uploaded is deleted"
    # Gradio asks the page itself whether it is there, so that an empty list would be one of a watch that failed.
    assert set((folder / "called").read_text().splitlines()) == {"127.0.0.1"}, "not even a proxy"
    assert "share" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def port(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(model, tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.fixture
def page(browser: Browser, port: int) -> Iterator[Page]:
    with opened_at(port, browser) as page:
        yield page


@contextmanager
def opened_at(port: int, browser: Browser) -> Iterator[Page]:
    """The page in a browser that reaches loopback only, and must not have tried anything else."""
    opened = browser.new_page(viewport={"width": 1280, "height": 1400}, accept_downloads=True)
    elsewhere: list[str] = []
    said: list[str] = []

    def only_loopback(route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    opened.route("**/*", only_loopback)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(f"http://127.0.0.1:{port}/")
    expect(opened.locator("#score")).to_be_visible()
    yield opened
    opened.wait_for_timeout(300)  # Gradio's heartbeat never ends, so the network is never idle
    assert elsewhere == []
    assert said == []
    assert opened.title() == "antibody_esm"
    opened.close()


def score(page: Page, text: str) -> None:
    page.locator("#text textarea").fill(text)
    page.locator("#score").click()


def cell(page: Page, row: int, column: int, table: str = "scores"):
    return page.locator(f"#{table} [data-row='{row}'][data-col='{column}']")


def downloaded(page: Page, button: str = "#download") -> pd.DataFrame:
    with page.expect_download() as waiting:
        page.locator(button).click()
    return pd.read_csv(io.BytesIO(Path(waiting.value.path()).read_bytes()), dtype={"id": str}, keep_default_na=False)


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    text = io.StringIO(expected.to_csv(index=False))
    pd.testing.assert_frame_equal(found, pd.read_csv(text, dtype={"id": str}, keep_default_na=False))


def test_pasted_sequences_are_scored_explained_scanned_and_downloaded(page: Page, predictor: Predictor) -> None:
    score(page, f">first of two\n{VH[0]}\n>{HOSTILE}\n{NANOBODY}\n>bad\nEVQ1LV\n")
    expect(page.locator("#message")).to_contain_text("Antibodies scored: 2; with a warning:")
    expect(page.locator("#message")).to_contain_text("not scored: 1")
    expect(page.locator("#rejected")).to_contain_text("heavy chain, position 4: '1'")
    expect(page.locator("#scores")).to_contain_text(HOSTILE)
    assert page.locator("#scores img").count() == 0
    expected = predictor.score_table([VH[0], NANOBODY])
    at, low, high = expected[["calibrated", "calibrated_low", "calibrated_high"]].iloc[0]
    assert cell(page, 0, 2).inner_text() == ("class 1" if expected["prediction"][0] else "class 0")
    assert cell(page, 0, 3).inner_text() == f"{at:.2f} ({low:.2f} to {high:.2f})"
    heads = page.locator("#scores th")
    assert "raw probability" not in heads.all_inner_texts()
    meaning = "Probability after Venn-Abers calibration, with its interval."
    expect(heads.get_by_text("calibrated probability")).to_have_attribute("title", meaning)
    expect(page.locator("#legend")).to_contain_text("class 0 is class 0")
    page.locator("#raw input").check()
    expect(heads.get_by_text("raw probability")).to_have_count(1)
    assert cell(page, 0, 3).inner_text() == f"{expected['probability'][0]:.3f}"
    page.locator("#raw input").uncheck()
    expect(heads.get_by_text("raw probability")).to_have_count(0)
    same(downloaded(page).drop(columns="row"), expected.assign(id=["first", HOSTILE]))

    cell(page, 1, 1).click()
    expect(page.locator("#picture h3")).to_have_text(HOSTILE)
    assert page.locator("#picture img").count() == 0
    residues = page.locator("#picture span[title]")
    assert "".join(residues.all_inner_texts()) == NANOBODY
    expect(page.locator("#picture")).to_contain_text("CDR3 105-117")
    page.locator("#scan").click()
    expect(page.locator("#scanned")).to_contain_text("Mutations tried: 285.")
    expect(page.locator("#heat img")).to_be_visible()
    assert page.locator("#heat img").evaluate("one => one.naturalWidth") > 300
    mutations = mutational_scan(predictor, NANOBODY, ["CDR3"]).to_frame()
    best, column = mutations.iloc[0], list(mutations.columns).index("change")
    expect(cell(page, 0, 0, "mutations")).to_have_text(best["mutation"])
    expect(cell(page, 0, column, "mutations")).to_have_text(f"{best['change']:.3f}")

    page.locator("#positions input, #positions textarea").fill("<b>FR9</b>")
    page.locator("#scan").click()
    expect(page.locator("#scanned")).to_contain_text("'<b>FR9</b>' names no residues")
    expect(page.locator("#heat")).to_have_count(0)


def test_pairs_and_values_are_scored_explained_and_scanned(
    pairs: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    predictor = Predictor.load(pairs)
    with (
        serving(pairs, tmp_path_factory.mktemp("server"), "--api", end=signal.SIGHUP) as port,
        opened_at(port, browser) as page,
    ):
        expect(page.locator("body")).to_contain_text("paired sequences, written heavy|light")
        score(page, f">one\n{VH[0]}|{LIGHT}\n>alone\n{VH[1]}\n")
        expect(page.locator("#message")).to_contain_text("Antibodies scored: 1;")
        expect(page.locator("#rejected")).to_contain_text("light chain")
        expected = predictor.score_table([(VH[0], LIGHT)])
        value, low, high = expected[["prediction", "low", "high"]].iloc[0]
        expect(cell(page, 0, 2)).to_have_text(f"{value:.3f} ({low:.3f} to {high:.3f})")
        same(downloaded(page).drop(columns="row"), expected.assign(id="one"))
        cell(page, 0, 1).click()
        expect(page.locator("#picture h3")).to_have_text("one")
        assert "".join(page.locator("#picture span[title]").all_inner_texts()) == VH[0] + LIGHT
        page.locator("#positions input, #positions textarea").fill("L-CDR3")
        page.locator("#scan").click()
        mutations = mutational_scan(predictor, (VH[0], LIGHT), ["L-CDR3"]).to_frame()
        expect(page.locator("#scanned")).to_contain_text(f"Mutations tried: {len(mutations)}.")
        expect(page.locator("#heat img")).to_be_visible()
        expect(cell(page, 0, 0, "mutations")).to_have_text(mutations.iloc[0]["mutation"])

        page.get_by_role("tab", name="Proposals").click()
        expect(page.locator("#parent textarea")).to_have_value(f"{VH[0]}|{LIGHT}")
        page.locator("#candidates input").fill("40")
        page.locator("#propose").click()
        expect(page.locator("#proposed [role=alert]")).to_contain_text("it is not known whether high values")
        page.locator("#better input").click()
        page.get_by_role("option", name="low or class 0").click()
        page.locator("#propose").click()
        expect(page.locator("#proposed")).to_contain_text("that were predicted.")
        table = downloaded(page, "#download-variants")
        expected = propose(
            predictor, (VH[0], LIGHT), 24, 3, positions="CDRs", candidates=40, higher_is_better=False
        ).table
        assert table[["heavy", "light"]].to_numpy().tolist() == expected[["heavy", "light"]].to_numpy().tolist()

        # with --api a program may call the function, and still no other site
        body = json.dumps({"data": [f"{VH[0]}|{LIGHT}", None]}).encode()
        status, event = ask(port, CALL, "POST", body, Content_Type="application/json", Origin="")
        assert status == 200
        said = ask(port, f"{CALL}/{json.loads(event)['event_id']}")[1].decode()
        assert "Antibodies scored: 1;" in said
        elsewhere = ask(port, CALL, "POST", body, Content_Type="application/json", Origin="http://evil.example")
        assert elsewhere[0] == 403


def test_an_uploaded_table_is_scored(page: Page, predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    pd.DataFrame({"id": ["=1+1", "y", "-z"], "heavy": VH[:3], "other": 1}).to_csv(path, index=False)
    page.locator("#file input[type=file]").set_input_files(path)
    expect(page.locator("#file")).to_contain_text("some")
    page.locator("#score").click()
    expect(page.locator("#message")).to_contain_text("Antibodies scored: 3;")
    same(downloaded(page).drop(columns="row"), predictor.score_table(VH[:3]).assign(id=["'=1+1", "y", "'-z"]))
    expect(cell(page, 0, 1)).to_have_text("=1+1")


def test_liabilities_are_found_drawn_with_sources_and_downloaded(page: Page) -> None:
    page.locator("#text textarea").fill(f">{HOSTILE}\n{HEAVY}|{LIGHT}\n>bad\nEVQ1\n>=1+1\n{NANOBODY}\n")
    page.get_by_role("tab", name="Liabilities").click()
    page.locator("#search").click()
    expect(page.locator("#searched")).to_contain_text("Antibodies searched: 2;")
    expect(page.locator("#unsearched")).to_contain_text("position 4: '1'")
    drawn = page.locator("#liabilities")
    expect(drawn.locator("h3").first).to_have_text(HOSTILE)
    assert drawn.locator("img").count() == 0
    assert "".join(drawn.locator(".liabs").first.locator(".liabs-cells b").all_inner_texts()) == HEAVY + LIGHT
    first = drawn.locator("tbody tr").first
    assert first.locator("td").all_inner_texts()[:6] == ["◆ high", "deamidation", "NG", "H62", "CDR2", "no"]
    link = first.locator("a")
    assert link.get_attribute("href") == "https://doi.org/10.1371/journal.pone.0100736"
    assert link.get_attribute("rel") == "noopener noreferrer"
    expected = screen(pd.DataFrame({"id": [HOSTILE, "'=1+1"], "sequence": [f"{HEAVY}|{LIGHT}", NANOBODY]})).table
    same(downloaded(page, "#download-liabilities"), expected)


def test_variants_of_the_antibody_that_was_clicked_are_proposed_and_downloaded(
    page: Page, predictor: Predictor
) -> None:
    score(page, f">wild\n{VH[1]}\n")
    cell(page, 0, 1).click()
    expect(page.locator("#picture h3")).to_have_text("wild")
    page.locator("#marked input").check()
    expect(page.locator("#picture")).to_contain_text("high liability:")
    page.get_by_role("tab", name="Proposals").click()
    expect(page.locator("#parent textarea")).to_have_value(VH[1])
    for name, value in (("size", "4"), ("most", "2"), ("candidates", "60"), ("where", "CDR1,CDR2"), ("protect", "62")):
        page.locator(f"#{name} input, #{name} textarea").first.fill(value)
    page.locator("#propose").click()
    expect(page.locator("#proposed")).to_contain_text("Variants: 4 of ")
    expected = propose(predictor, VH[1], 4, 2, positions="CDR1,CDR2", protect="62", candidates=60)
    table = downloaded(page, "#download-variants")
    assert table["mutations"].tolist() == expected.table["mutations"].tolist()
    assert table["sequence"].tolist() == expected.table["sequence"].tolist()
    expect(cell(page, 0, 1, "variants")).to_have_text(table["mutations"][0].replace(",", ", "))
    with page.expect_download() as waiting:
        page.locator("#download-fasta").click()
    assert Path(waiting.value.path()).read_text() == expected.to_fasta()

    page.locator("#size input").fill("97")
    page.locator("#propose").click()
    expect(page.locator("#proposed [role=alert]")).to_have_text("the number of variants must be from 1 to 96")
    expect(page.locator("#variants")).to_have_count(0)


def test_a_bad_file_is_a_message_without_a_path(page: Page, tmp_path: Path) -> None:
    (tmp_path / "no.csv").write_text("id,light\na,DIQ\n")
    page.locator("#file input[type=file]").set_input_files(tmp_path / "no.csv")
    expect(page.locator("#file")).to_contain_text("no")
    page.locator("#score").click()
    alert = page.locator("#message [role=alert]")
    expect(alert).to_contain_text(
        "the model reads the heavy chain, but there is no column 'heavy'; the columns are id, light"
    )
    assert tempfile.gettempdir() not in alert.inner_text()
    expect(page.locator("#scores")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.fasta", b"", "there are no antibodies"),
        ("page.html", b"<script>", "names of files must end in .csv"),
        ("small.csv.gz", b"\x1f\x8b", "names of files must end in .csv"),
        ("odd.csv", b"\xff\xfe\x00\x01,", "cannot be read"),
        ("many.fasta", b">a\nEVQ\n" * (MOST + 1), "at most 2,000 antibodies are allowed at a time"),
        ("long.fasta", b">a\n" + b"EVQL" * 501, "line 1 .id a.: a sequence may have at most 2,000 residues"),
        ("large.csv", b"A" * (LARGEST + 1), "at most 5,000,000 bytes"),
    ],
)
def test_a_bad_or_too_large_file_is_refused(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        antibodies("", str(tmp_path / name), "heavy")


def test_nothing_and_nonsense_are_messages(page: Page) -> None:
    score(page, "")
    expect(page.locator("#message [role=alert]")).to_have_text("paste sequences or choose a file first")
    score(page, HOSTILE)
    expect(page.locator("#message")).to_contain_text("Antibodies scored: 0;")
    expect(page.locator("#rejected")).to_contain_text("heavy chain, position 1: '<'")


CALL = "/gradio_api/call/score"


def ask(port: int, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Return the answer to a request of the page's own origin, unless another is named."""
    headers = {"Origin": f"http://127.0.0.1:{port}"} | headers
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path, body or None, {name.replace("_", "-"): at for name, at in headers.items() if at})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    "start", ["/file=", "/gradio_api/file=", "/gradio_api/file/", "/file/", "/static/", "/assets/"]
)
@pytest.mark.parametrize(
    "path",
    [
        "{secret}",
        "/etc/passwd",
        "../../../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "file:///etc/passwd",
    ],
)
def test_no_file_of_the_server_is_given(start: str, path: str, port: int, model: Path) -> None:
    manifest = model / "manifest.json"
    status, body = ask(port, start + path.format(secret=manifest))
    assert status >= 400
    assert b"root:" not in body
    assert manifest.read_bytes()[:200] not in body


def upload(port: int, size: int) -> tuple[int, bytes]:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\n'
    body = head + b"A" * size + b"\r\n--x--\r\n"
    return ask(port, "/gradio_api/upload", "POST", body, Content_Type="multipart/form-data; boundary=x")


def test_what_was_uploaded_can_be_read_so_that_refusals_mean_something(port: int) -> None:
    status, body = upload(port, 7)
    assert status == 200
    (path,) = json.loads(body)
    assert ask(port, f"/gradio_api/file={path}") == (200, b"A" * 7)
    assert oct(Path(path).parent.parent.stat().st_mode)[-3:] == "700", "no other user of this computer reads it"


@pytest.mark.parametrize("size", [LARGEST + 1, LARGEST + 200_000])
def test_too_large_an_upload_is_refused(size: int, port: int) -> None:
    assert upload(port, size)[0] == 413


def join(port: int, body: bytes) -> tuple[int, bytes]:
    return ask(port, "/gradio_api/queue/join", "POST", body, Content_Type="application/json")


def called(port: int, file: object) -> str:
    """Return what becomes of a call of `score` with a file that was never uploaded."""
    data = {"data": ["", file], "fn_index": 0, "session_hash": "abcdefgh"}
    status, body = ask(
        port, "/gradio_api/queue/join", "POST", json.dumps(data).encode(), Content_Type="application/json"
    )
    if status != 200:
        return f"{status} {body.decode()}"
    return ask(port, "/gradio_api/queue/data?session_hash=abcdefgh")[1].decode()


def usage(port: int) -> dict[str, int]:
    """Return threads, open files and memory, in MB, of the server and its worker."""
    commands = {path.parent: path.read_bytes().split(b"\0") for path in Path("/proc").glob("[0-9]*/cmdline")}
    (server,) = (
        process for process, command in commands.items() if str(port).encode() in command and b"app" in command
    )
    child = f"\nPPid:\t{server.name}\n"
    found = {"threads": 0, "files": 0, "memory": 0}
    for process in commands:
        with suppress(OSError):
            status = (process / "status").read_text()
            if process == server or child in status:
                found["threads"] += int(re.findall(r"Threads:\s+(\d+)", status)[0])
                found["files"] += len(list((process / "fd").iterdir()))
                found["memory"] += int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024
    return found


def test_requests_of_the_page_leave_nothing_behind(port: int) -> None:
    """Sessions, threads, files and memory; 1,000 requests by `make stress`."""

    def request(session: str) -> None:
        data = {"data": [f">a\n{VH[0]}\n>b\n{VH[1]}", None], "fn_index": 0, "session_hash": session}
        assert join(port, json.dumps(data).encode())[0] == 200
        assert b"Antibodies scored: 2;" in ask(port, f"/gradio_api/queue/data?session_hash={session}")[1]

    for i in range(110 if STRESS else 10):  # 100 sessions are kept
        request(f"warm{i}")
    before = usage(port)
    for i in range(1000 if STRESS else 20):
        request(f"session{i}")
    after = usage(port)
    assert after["threads"] <= before["threads"] + 3
    assert after["files"] <= before["files"] + 5
    assert after["memory"] <= before["memory"] + 40


def test_a_call_cannot_name_a_file_of_the_server(port: int, model: Path) -> None:
    meta = {"meta": {"_type": "gradio.FileData"}}
    for path in ("/etc/passwd", str(model / "manifest.json"), "../../etc/passwd"):
        said = called(port, {"path": path, **meta})
        assert '"success":false' in said.replace(" ", "")
        assert "root:" not in said
    assert called(port, None).count("paste sequences or choose a file first") >= 1


def function_of(port: int, name: str) -> int:
    """Return the number of the function that a button calls."""
    config = json.loads(ask(port, "/config")[1])
    (button,) = (each["id"] for each in config["components"] if each["props"].get("elem_id") == name)
    (number,) = (each["id"] for each in config["dependencies"] if [button, "click"] in each["targets"])
    return int(number)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({1: 1e9}, "the number of variants must be from 1 to 96"),
        ({2: 1e300}, "the number of mutations of each must be from 1 to 5"),
        ({3: 10**30}, "the number of predictions must be from 1 to 2,000"),
        ({4: "1," * 10**5}, "positions may have at most 1,000 characters"),
        ({0: "EVQL" * 501}, "a sequence may have at most 2,000 residues"),
        ({0: f"{HEAVY}\n{HEAVY}"}, "variants are made of one antibody at a time; these are 2"),
        ({0: "/etc/passwd"}, "position 1: '/'"),
    ],
    ids=["size", "mutations", "predictions", "positions", "length", "several", "path"],
)
def test_a_crafted_request_for_variants_is_refused_with_its_reason(
    changed: dict[int, object], message: str, port: int
) -> None:
    data = [HEAVY, 4, 2, 10, "CDR1", "", "as the model says", None, None]
    data = [changed.get(i, value) for i, value in enumerate(data)]
    body = {"data": data, "fn_index": function_of(port, "propose"), "session_hash": "variants"}
    assert join(port, json.dumps(body).encode())[0] == 200
    answer = ask(port, "/gradio_api/queue/data?session_hash=variants")[1].decode()
    assert message in answer.replace("&#x27;", "'")
    assert "root:" not in answer


def test_a_search_of_liabilities_cannot_name_a_file_of_the_server(port: int, model: Path) -> None:
    for path in ("/etc/passwd", str(model / "manifest.json")):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        body = {"data": ["", file], "fn_index": function_of(port, "search"), "session_hash": "liabilities"}
        assert join(port, json.dumps(body).encode())[0] == 200
        answer = ask(port, "/gradio_api/queue/data?session_hash=liabilities")[1].decode()
        assert '"success":false' in answer.replace(" ", "")
        assert "root:" not in answer


def test_a_call_cannot_make_the_server_fetch(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.3)
        address = f"http://127.0.0.1:{other.getsockname()[1]}/a.csv"
        assert called(port, {"path": address, "meta": {"_type": "gradio.FileData"}}).startswith("400")
        escaped = json.dumps({"path": address}).replace(":/", "\\u003a/").encode()
        assert join(port, escaped)[0] == 400
        for start in ("/gradio_api/file=", "/gradio_api/proxy=", "/file=", "/proxy="):
            assert ask(port, start + address)[0] == 404
            assert ask(port, start + address.replace(":", "%3A"))[0] == 404
        with pytest.raises(TimeoutError):
            other.accept()


def test_deep_or_broken_json_and_too_large_a_body_are_refused(port: int) -> None:
    for body, status in ((b"[" * 200_000, 400), (b"{", 400), (b'"' + b"A" * (LARGEST + 70_000) + b'"', 413)):
        assert join(port, body)[0] == status


def test_a_page_of_another_name_cannot_call_it(port: int) -> None:
    assert ask(port, "/config", Host=f"127.0.0.1:{port}")[0] == 200
    assert ask(port, "/config", Host=f"localhost:{port}")[0] == 200
    assert ask(port, "/config", Host=f"LocalHost.:{port}")[0] == 200
    assert ask(port, "/config", Host=f"[::1]:{port}")[0] == 200
    assert ask(port, "/config", Host="evil.example")[0] == 421


@pytest.mark.parametrize(
    "path", ["/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"]
)
def test_nothing_but_the_page_itself_posts(path: str, port: int) -> None:
    for origin in (
        "http://evil.example",
        "null",
        f"http://127.0.0.1:{port + 1}",
        f"http://127.0.0.1:{port}.evil.example",
    ):
        assert ask(port, path, "POST", b"{}", Content_Type="application/json", Origin=origin)[0] == 403
    assert ask(port, path, "POST", b"{}", Content_Type="application/json", Origin="")[0] == 403
    assert ask(port, path, "POST", b"{}", Content_Type="application/json", Origin=f"HTTP://127.0.0.1:{port}")[0] != 403


def test_functions_of_the_page_are_no_api(port: int) -> None:
    body = json.dumps({"data": ["EVQ", None], "fn_index": 0}).encode()
    for start in ("/gradio_api", ""):
        for path in (
            "/call/score",
            "/call/v2/score",
            "/run/score",
            "/run/score/",
            "/api/score",
            "/call/0",
            "/run/predict",
        ):
            assert ask(port, start + path, "POST", body, Content_Type="application/json")[0] == 403
            assert ask(port, start + path + "/abc")[0] == 403
    for path in ("/vibe-edit", "/process_recording", "/component_server", "/run-history/connect", "/stream/a"):
        assert ask(port, f"/gradio_api{path}", "POST", body, Content_Type="application/json")[0] == 403
    assert json.loads(ask(port, "/gradio_api/info")[1])["named_endpoints"] == {}
    assert ask(port, "/config", "DELETE")[0] == 403


def test_uploads_are_limited_by_number_and_size_an_hour() -> None:
    now = [0.0]
    quota = Quota(uploads=3, size=100, clock=lambda: now[0])
    assert [quota.take("a", 10) for _ in range(5)] == [True, True, True, False, False]
    assert quota.take("b", 90)
    assert not quota.take("b", 11)
    now[0] = PERIOD - 1
    assert not quota.take("a", 10)
    now[0] = PERIOD
    assert quota.take("a", 100)


def test_an_upload_beyond_the_quota_is_refused() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        statuses.append(200)

    async def receive() -> dict[str, object]:
        return {"body": b"--x--", "more_body": False}

    async def send(message: dict) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    statuses: list[int] = []
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"content-type", b"multipart/form-data")]
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": headers, "client": ("a", 1)}
    gate = Gate(app, ["localhost"], 100)
    with ThreadPoolExecutor(1) as thread:  # the browser has a loop in this one
        for _ in range(UPLOADS + 2):
            thread.submit(asyncio.run, gate(dict(scope), receive, send)).result()
    assert statuses == [200] * UPLOADS + [429] * 2


def test_a_port_in_use_is_one_line_without_advice_of_gradio(model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "antibody_esm.cli.app", "app", "--model", str(model), "--port", str(port)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (1, "")
    message = f"cannot listen on 127.0.0.1, port {port}: the port is in use, or the address is not of this computer"
    *lines, last = done.stderr.splitlines()
    assert last == f"error: {message}; choose another --port or --host"
    assert lines in ([], ["loading libraries and data ..."])


def test_a_page_that_does_not_answer_is_one_line_without_advice_of_gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute:
        def queue(self, **_: object) -> "Mute":
            return self

        def launch(self, **_: object) -> None:
            raise ValueError("a shareable link must be created. Please set share=True")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gradio's own
        with pytest.raises(ValueError, match=r"^the page does not answer at 127.0.0.1, port 1; choose another"):
            _open(Mute(), "127.0.0.1", 1, False)


def test_it_listens_on_loopback_only(port: int) -> None:
    """By what the kernel says, whatever addresses this computer has."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
    assert listening == {"0100007F"}


def test_pasted_text_is_fasta_or_one_sequence_a_line() -> None:
    assert antibodies("EVQ\n\n QVQ \n", None, "heavy")["sequence"].tolist() == ["EVQ", "QVQ"]
    fasta = antibodies("\n>a b\nEV\nQ\n>c\nQVQ", None, "heavy")
    assert fasta.to_dict("list") == {"id": ["a", "c"], "sequence": ["EVQ", "QVQ"]}
    pairs = antibodies("EVQ|DIQ\nQVQ", None, "paired")
    assert pairs.to_dict("list") == {"id": ["0", "1"], "sequence": ["EVQ|DIQ", "QVQ"]}
    assert [list(chain) for chain in chain_columns(pairs, "paired").values()] == [["EVQ", "QVQ"], ["DIQ", None]]


def test_two_inputs_or_too_much_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(">a\nEVQ\n")
    with pytest.raises(DatasetError, match="remove one of them"):
        antibodies("EVQ", str(path), "heavy")
    with pytest.raises(DatasetError, match="at most 2,000 antibodies"):
        antibodies("EVQ\n" * (MOST + 1), None, "heavy")
    with pytest.raises(DatasetError, match="at most 5,000,000 bytes"):
        antibodies("É" * (LARGEST // 2 + 1), None, "heavy")


def test_intervals_stand_beside_their_middle_and_what_is_not_known_is_empty() -> None:
    table = pd.DataFrame(
        {"prediction": [1.5, 2.0], "low": [1.0, np.nan], "high": [2.0, np.nan], "warning": ["", "far"]}
    )
    assert shown(table).to_dict("list") == {"prediction": ["1.500 (1.000 to 2.000)", "2.000"], "warning": ["", "far"]}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", " =", "\uff1d"])
def test_no_text_of_a_downloaded_table_is_a_formula(start: str) -> None:
    table = pd.DataFrame({"id": [f"{start}1+1", "a=b"], "warning": ["", "-"], "score": [-1.5, 2.0], "flag": [-1, 1]})
    text = without_formulas(table).to_csv(index=False)
    back = pd.read_csv(io.StringIO(text), dtype={"id": str}, keep_default_na=False)
    assert back["id"].tolist() == [f"'{start}1+1", "a=b"]
    assert back["score"].tolist() == [-1.5, 2.0]
    assert back["flag"].tolist() == [-1, 1]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r=", " =", "\uff1d"])
def test_no_header_of_a_downloaded_table_is_a_formula(start: str, tmp_path: Path) -> None:
    """Headers are names of labels, and only cells were guarded."""
    table = pd.DataFrame({"id": ["a"], f"{start}cmd prediction": [1.5]})
    header = Path(download_of(tmp_path, "t.csv", table)).read_text().splitlines()[0]
    assert header == f"id,'{start.replace(chr(13), ' ')}cmd prediction"


def test_no_text_of_a_downloaded_table_begins_a_row() -> None:
    text = without_formulas(pd.DataFrame({"id": ["a\r=1+1", "\r=2", "b\n\n-3"]})).to_csv(index=False)
    assert text.split("\n") == ["id", "a =1+1", "' =2", "b -3", ""]
