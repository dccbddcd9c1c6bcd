"""Page of a model in a browser: scores and explanations of antibodies, as Gradio's blocks."""

import html
import math
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from antibody_esm.cli.web_folder import TABLE, remove_old
from antibody_esm.cli.web_worker import EXPECTED, reason
from antibody_esm.errors import DatasetError
from antibody_esm.sequences import BETWEEN, Chain
from antibody_esm.unknown import Unknown

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.reading import Chains
    from antibody_esm.explain import Scan
    from antibody_esm.predictor import Predictor
    from antibody_esm.score_tables import Scores

LARGEST = 5_000_000
"""Most bytes of an upload."""
MOST = 2_000
"""Most antibodies at a time."""
LONGEST = 2_000
"""Most residues of a sequence."""
_TEXT = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".fasta", ".fa", ".faa", ".fas")
"""Suffixes of unpacked files, and of workbooks, which are limited; a packed file may unpack to more than memory."""
_WIDTHS = {"row": 50, "id": 160, "calibrated": 150, "warning": 330}
"""Widths of columns in pixels; other columns have 105."""
KEPT = 3600
"""Seconds for which uploads, tables and scores of a session are kept."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of a cell that spreadsheets read as a formula; the last four are wide forms of the first four."""


def page(predictor: "Predictor", folder: Path, jobs: Callable[..., Any] | None = None, *, api: bool = False) -> Any:
    """Return the page of a model as `gradio.Blocks`.

    Parameters
    ----------
    predictor
        The model.
    folder
        Folder of tables to download.
    jobs
        Runner of jobs, such as a `Worker`; None runs them in this process.
    api
        True allows programs to call `score`.
    """
    import gradio as gr
    from matplotlib.figure import Figure

    run = jobs or (lambda job, *arguments: job(predictor, *arguments))

    def score(text: str, file: str | None) -> list[Any]:
        nothing = [gr.update(visible=False)] * 4
        try:
            scores = run(_score, text or "", None if file is None else str(file))  # Gradio's is a class of its own
        except EXPECTED as error:
            return [message_html(reason(error), "error"), *nothing, None, None]
        path = downloadable(scores.table, folder)
        readable = shown(scores.table)
        widths = [_WIDTHS.get(str(column), 105) for column in readable.columns]
        good, bad = len(scores.table), len(scores.rejected)
        flagged = int((scores.table["warning"] != "").sum())
        summary = f"Antibodies scored: {good:,}; with a warning: {flagged:,}; not scored: {bad:,}."
        return [
            message_html(summary + (" Click an antibody to explain its score." if good else ""), "status"),
            gr.update(value=readable, visible=good > 0, column_widths=widths),
            gr.update(value=path, visible=good > 0),
            gr.update(value=scores.rejected.astype(str), visible=bad > 0),
            gr.update(visible=False),
            scores,
            None,
        ]

    def explain(scores: Any, event: gr.SelectData) -> list[Any]:
        row = str(event.row_value[0]) if event.row_value else ""
        here = [] if scores is None else [i for i, value in enumerate(scores.table["row"]) if str(value) == row]
        if not here:
            return [gr.update(visible=False), "", "", None, None, None]
        (i,) = here
        antibody = _antibody(scores.antibodies[i])
        title = f"<h3>{html.escape(str(scores.table['id'].iloc[i]))}</h3>"
        try:
            content = title + run(_explain, antibody)
        except EXPECTED as error:
            content = title + message_html(reason(error), "error")
        return [gr.update(visible=True), content, "", gr.update(visible=False), gr.update(visible=False), antibody]

    def scan(sequence: str | None, positions: str) -> list[Any]:
        nothing = [gr.update(visible=False)] * 2
        if sequence is None:
            return [message_html("Click an antibody in the table first.", "error"), *nothing]
        try:
            result = run(_scan, sequence, positions.strip() or None)
        except EXPECTED as error:
            return [message_html(reason(error), "error"), *nothing]
        figure = Figure(figsize=(max(5.0, 1.6 + 0.17 * len(result.sites)), 4.2), layout="constrained")
        result.plot(figure.subplots())
        mutations = result.to_frame()
        absent = "".join(f" No {name}: {why}." for name, why in result.absent.items())
        side = "raise" if predictor.data.higher_is_better else "lower"
        text = f"Mutations tried: {len(mutations):,}. Those that {side} the score most are below.{absent}"
        table = gr.update(value=shown(mutations.head(20)), visible=True)
        return [message_html(text, "status"), gr.update(value=figure, visible=True), table]

    with gr.Blocks(title="antibody_esm", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as blocks:
        gr.HTML(f"<h1>antibody_esm</h1><p>{html.escape(_about(predictor))}</p>")
        scores, chosen = gr.State(time_to_live=KEPT), gr.State(time_to_live=KEPT)
        with gr.Row():
            text = gr.Textbox(label="Sequences: FASTA, or one per line", lines=8, max_lines=8, elem_id="text")
            file = gr.File(label=f"Or a file: FASTA, CSV, TSV, Excel; at most {LARGEST // 10**6} MB", elem_id="file")
        button = gr.Button("Score", variant="primary", elem_id="score")
        message = gr.HTML(elem_id="message")
        table = gr.Dataframe(
            interactive=False, visible=False, datatype="str", wrap=True, label="Scores", elem_id="scores"
        )
        download = gr.DownloadButton("Download the table", visible=False, elem_id="download")
        rejected = gr.Dataframe(
            interactive=False, visible=False, datatype="str", wrap=True, label="Not scored", elem_id="rejected"
        )
        with gr.Column(visible=False, elem_id="why") as why:
            picture = gr.HTML(elem_id="picture")
            with gr.Row():
                positions = gr.Textbox(
                    "CDR3",
                    label="Mutate (IMGT positions or regions; all residues if empty)",
                    elem_id="positions",
                    max_lines=1,
                )
                scanner = gr.Button("Scan", elem_id="scan")
            scanned = gr.HTML(elem_id="scanned")
            heat = gr.Plot(visible=False, format="png", show_label=False, elem_id="heat")
            best = gr.Dataframe(
                interactive=False, visible=False, datatype="str", label="Mutations", elem_id="mutations"
            )
        in_turn: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
        private = in_turn | {"api_visibility": "private"}
        public = in_turn | {"api_visibility": "public", "api_name": "score"}
        results = [message, table, download, rejected, why, scores, chosen]
        button.click(score, [text, file], results, **(public if api else private))
        table.select(explain, [scores], [why, picture, scanned, heat, best, chosen], **private)
        scanner.click(scan, [chosen, positions], [scanned, heat, best], **private)
    return blocks


def _score(predictor: "Predictor", text: str, file: str | None) -> "Scores":
    from antibody_esm.score_tables import score_frame

    return score_frame(antibodies(text, file, predictor.reading.chain), predictor)


def _explain(predictor: "Predictor", antibody: str) -> str:
    from antibody_esm.explain import residue_contributions
    from antibody_esm.explain.picture import fragment

    return fragment(residue_contributions(predictor, antibody))


def _scan(predictor: "Predictor", antibody: str, positions: str | None) -> "Scan":
    from antibody_esm.explain import mutational_scan

    return mutational_scan(predictor, antibody, positions)


def antibodies(text: str, file: str | None, chain: "Chain") -> "pd.DataFrame":
    """Return a table of the pasted text, or else of the uploaded file.

    Raises
    ------
    DatasetError
        If there are no antibodies or too many, or the file cannot be read.
    """
    import pandas as pd

    from antibody_esm.data.antibody_tables import table_of
    from antibody_esm.data.files import places, read_frames
    from antibody_esm.data.tables import chain_columns, ids_of, pasted

    if len(text.encode()) > LARGEST or (file is not None and Path(file).stat().st_size > LARGEST):
        raise DatasetError(f"at most {LARGEST:,} bytes are allowed at a time")
    if text.strip() and file is not None:
        raise DatasetError("there are both pasted sequences and a file; remove one of them")
    if text.strip():
        frame = pasted(text)
    elif file is None:
        raise DatasetError("paste sequences or choose a file first")
    elif Path(file).suffix.lower() not in _TEXT:
        raise DatasetError(f"names of files must end in {', '.join(_TEXT)}")
    else:
        frames = []
        for part in read_frames(Path(file)):
            frames.append(part)
            if sum(map(len, frames)) > MOST:
                break
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    if not len(frame):
        raise DatasetError("there are no antibodies")
    if len(frame) > MOST:
        raise DatasetError(f"at most {MOST:,} antibodies are allowed at a time; `antibody-esm predict` has no limit")
    table, recognised = table_of(frame, cut=False)
    columns = recognised.read_as(chain, table.columns)
    for column in chain_columns(table, chain, columns.heavy, columns.light, sequence=recognised.sequence).values():
        long = [row for row, cell in enumerate(column) if len(str(cell)) > LONGEST]
        if long:
            ids = ids_of(table, columns.id)
            where = places(None if file is None else Path(file), long[:1], {long[0]: ids[long[0]]})
            raise DatasetError(f"{where[long[0]]}: a sequence may have at most {LONGEST:,} residues")
    return frame


def _antibody(chains: "Chains") -> str:
    """Return an antibody as text that the model reads as it read the row of the table."""
    return BETWEEN.join(filter(None, chains))


def shown(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table as text for display: three decimals, intervals beside their values, and no empty column."""
    import pandas as pd

    text = pd.DataFrame({name: list(map(_cell, column)) for name, column in table.items()}, dtype=object)
    for middle, low, high in (("calibrated", "calibrated_low", "calibrated_high"), ("prediction", "low", "high")):
        if low in text:
            ends = zip(text[middle], text.pop(low), text.pop(high), strict=True)
            text[middle] = [f"{at} ({a} to {b})" if a else at for at, a, b in ends]
    kept = text.loc[:, [name in ("id", "warning") or bool((text[name] != "").any()) for name in text]]
    return kept.rename(columns=lambda name: str(name).replace("_", " "))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def downloadable(table: "pd.DataFrame", folder: Path) -> str:
    """Write a table as CSV to a folder of its own under `folder`, without formulas, and return its path."""
    remove_old(folder, KEPT)
    path = Path(tempfile.mkdtemp(prefix=TABLE, dir=folder)) / "scores.csv"
    without_formulas(table).to_csv(path, index=False)
    return str(path)


def message_html(text: str, role: Literal["status", "error"]) -> str:
    """Return a message as HTML, with escaped text."""
    return f'<p role="{"alert" if role == "error" else "status"}">{html.escape(text)}</p>'


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table without formulas: ``'`` is put before a text that spreadsheets would read as a formula.

    Line breaks within a text become spaces. Numbers stay as they are.

    Examples
    --------
    >>> import pandas as pd
    >>> without_formulas(pd.DataFrame({"id": ["=1+1", "a"], "score": [-1, 1]})).to_csv(index=False).split()
    ['id,score', "'=1+1,-1", 'a,1']
    """

    def plain(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        risky = cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA)
        return risky * "'" + re.sub(r"[\r\n]+", " ", cell)

    return table.map(plain)


def _about(predictor: "Predictor") -> str:
    data = predictor.data
    reads = str(predictor.reading)
    both = len(predictor.reading.chains) == 2
    pair = f", written heavy{BETWEEN}light or in columns heavy and light" if both else ""
    source = f"It was trained on {data.antibodies:,} antibodies: {data.source}."
    uncertainty = predictor.uncertainty
    intervals = f" There are no intervals: {uncertainty}." if isinstance(uncertainty, Unknown) else ""
    return f"This model reads {reads} sequences{pair}. {source}{intervals}"
