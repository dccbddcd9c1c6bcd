"""Tabs of the web page for liabilities and for variants to make next, of a model and of a panel."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from antibody_esm.cli.web_design_jobs import (
    BETTER,
    MOST_CANDIDATES,
    MOST_MUTATIONS,
    MOST_SIZE,
    SHOWN,
    ProposalRequest,
    liabilities_job,
    propose_job,
)
from antibody_esm.cli.web_rows import table_html
from antibody_esm.cli.web_tables import download_of, message_html, shown
from antibody_esm.cli.web_words import VARIANT_MEANINGS
from antibody_esm.cli.web_worker import EXPECTED, reason

_COLUMNS = (
    "rank",
    "mutations",
    "prediction",
    "low",
    "high",
    "probability",
    "plausibility",
    "liabilities",
    "distance",
    "reason",
)
"""Columns that the page shows; the table to download has all."""


def liabilities_tab(run: Callable[..., Any], folder: Path, text: Any, file: Any, private: dict[str, Any]) -> None:
    """Make the tab of liabilities of pasted or uploaded antibodies.

    Parameters
    ----------
    run
        Runner of jobs.
    folder
        Folder of tables to download.
    text, file
        Components with the antibodies.
    private
        Options of every event.
    """
    import gradio as gr

    def search(text: str, file: str | None) -> list[Any]:
        try:
            result = run(liabilities_job, text or "", None if file is None else str(file))
        except EXPECTED as error:
            return [message_html(reason(error), "error"), *[gr.update(visible=False)] * 3]
        good, bad, high = result.antibodies, len(result.rejected), int((result.table["severity"] == "high").sum())
        more = f" The first {SHOWN} are shown; the table has all." if good > SHOWN else ""
        summary = f"Antibodies searched: {good:,}; liabilities: {len(result.table):,}, of which high: {high:,}; "
        summary += f"not searched: {bad:,}.{result.notice}{more}"
        path = download_of(folder, "liabilities.csv", result.table) if good else None
        refused = table_html(result.rejected.astype(str), "Not searched") if bad else ""
        return [
            message_html(summary, "status"),
            gr.update(value=result.picture, visible=good > 0),
            gr.update(value=path, visible=good > 0),
            gr.update(value=f"<h3>Not searched</h3>{refused}" if bad else "", visible=bad > 0),
        ]

    gr.HTML(
        "<p>Residues that are known to degrade, to be modified or to bind what they should not, by sequence alone, in "
        "every chain. Severity is a judgement by motif and region; nothing here sees the structure.</p>"
    )
    button = gr.Button("Find liabilities", variant="primary", elem_id="search")
    message = gr.HTML(elem_id="searched")
    picture = gr.HTML(visible=False, elem_id="liabilities")
    download = gr.DownloadButton("Download the table", visible=False, elem_id="download-liabilities")
    rejected = gr.HTML(visible=False, elem_id="unsearched")
    button.click(search, [text, file], [message, picture, download, rejected], **private)


def proposals_tab(
    run: Callable[..., Any], folder: Path, chosen: Any, private: dict[str, Any], labels: Sequence[str] = ()
) -> Any:
    """Make the tab of variants to make next, and return the component with their parent.

    Parameters
    ----------
    run, folder, private
        As for `liabilities_tab`.
    chosen
        State with the antibody that was clicked and its columns; None if the page has none.
    labels
        Labels of a panel; variants are those of one label.
    """
    import gradio as gr
    from matplotlib.figure import Figure

    def propose(
        parent: str,
        size: float,
        mutations: float,
        candidates: float,
        positions: str,
        protect: str,
        better: str,
        label: str,
        antibody: Any,
    ) -> Iterator[list[Any]]:
        nothing = [gr.update(visible=False)] * 4
        cells = antibody[1] if antibody and antibody[0] == (parent or "").strip() else {}
        request = ProposalRequest(parent, size, mutations, candidates, positions, protect, better, label, cells)
        try:
            request.checked()
            words = f"At most {int(candidates):,} variants are predicted, each as a whole; this may take minutes."
            yield [message_html(words, "status"), *nothing]
            proposals = run(propose_job, request)
        except EXPECTED as error:
            yield [message_html(reason(error), "error"), *nothing]
            return
        reasons = [
            (f"{'Not' if name.startswith('all ') else 'No'} {name}", why) for name, why in proposals.absent.items()
        ]
        absent = "".join(f" {name}: {why}." for name, why in reasons)
        words = f"Variants: {len(proposals):,} of {proposals.predicted:,} that were predicted.{absent}"
        if not len(proposals):
            yield [message_html(words, "status"), *nothing]
            return
        table = shown(proposals.table[[name for name in _COLUMNS if name in proposals.table]])
        table["mutations"] = [text.replace(",", ", ") for text in table["mutations"]]  # so that lines break there
        figure = None
        if "plausibility" not in proposals.absent:
            figure = Figure(figsize=(6, 4.2), layout="constrained")
            proposals.plot(figure.subplots())
        yield [
            message_html(words, "status"),
            gr.update(value=table_html(table, "Variants to make", meanings=VARIANT_MEANINGS), visible=True),
            gr.update(value=download_of(folder, "variants.csv", proposals.table), visible=True),
            gr.update(value=download_of(folder, "variants.fasta", proposals.to_fasta()), visible=True),
            gr.update(value=figure, visible=figure is not None),
        ]

    gr.HTML(
        "<p>Variants of one antibody with a better prediction, plausible to the language model if there is one, "
        "without new liabilities, and never one that the model was trained on. A prediction is a hypothesis for the "
        "next plate; it says nothing about binding, so protect the paratope.</p>"
    )
    first = "Parent: one antibody" + ("" if chosen is None else "; the one that is clicked in Scores, or another")
    parent = gr.Textbox(label=first, lines=3, max_lines=6, elem_id="parent")
    with gr.Row():
        size = gr.Number(24, label=f"Variants (at most {MOST_SIZE})", precision=0, elem_id="size", min_width=140)
        mutations = gr.Number(
            3, label=f"Mutations of each (at most {MOST_MUTATIONS})", precision=0, elem_id="most", min_width=140
        )
        candidates = gr.Number(
            500, label=f"Predictions (at most {MOST_CANDIDATES:,})", precision=0, elem_id="candidates", min_width=140
        )
    with gr.Row():
        positions = gr.Textbox(
            "CDRs", label="Mutate (IMGT positions or regions; all if empty)", max_lines=1, elem_id="where"
        )
        protect = gr.Textbox("", label="Keep (the paratope, for example)", max_lines=1, elem_id="protect")
        better = gr.Dropdown(list(BETTER), value=next(iter(BETTER)), label="Better predictions", elem_id="better")
        label = gr.Dropdown(
            list(labels), value=next(iter(labels), None), label="Label", visible=bool(labels), elem_id="of-label"
        )
    button = gr.Button("Propose variants", variant="primary", elem_id="propose")
    message = gr.HTML(elem_id="proposed")
    table = gr.HTML(visible=False, elem_id="variants")
    with gr.Row():
        sheet = gr.DownloadButton("Download the table to order (CSV)", visible=False, elem_id="download-variants")
        fasta = gr.DownloadButton("Download the sequences (FASTA)", visible=False, elem_id="download-fasta")
    picture = gr.Plot(visible=False, format="png", show_label=False, elem_id="front")
    inputs = [parent, size, mutations, candidates, positions, protect, better, label]
    state = gr.State() if chosen is None else chosen
    button.click(propose, [*inputs, state], [message, table, sheet, fasta, picture], **private)
    return parent
