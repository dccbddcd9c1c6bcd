"""Heading and input of the web page: pasted antibodies, a file, or examples."""

import html
from typing import TYPE_CHECKING, Any

from antibody_esm.cli.web_examples import examples
from antibody_esm.cli.web_jobs import LARGEST

if TYPE_CHECKING:
    from antibody_esm.predictor import Predictor


def heading(about: str) -> Any:
    """Return the head of the page, with escaped text."""
    import gradio as gr

    return gr.HTML(f"<h1>antibody_esm</h1><p>{html.escape(about)}</p>")


def antibodies_input() -> tuple[Any, Any, Any]:
    """Make the input of all tabs; return the components of text and file, and the button of examples."""
    import gradio as gr

    with gr.Row():
        with gr.Column(scale=3, min_width=280):
            text = gr.Textbox(label="Sequences: FASTA, or one per line", lines=6, max_lines=12, elem_id="text")
        with gr.Column(scale=1, min_width=220):
            file = gr.File(
                label=f"Or a file: FASTA, CSV, TSV, Excel; at most {LARGEST // 10**6} MB", elem_id="file", height=130
            )
            example = gr.Button("Example antibodies", size="sm", elem_id="example")
    return text, file, example


def fill_examples(example: Any, text: Any, file: Any, predictor: "Predictor", private: dict[str, Any]) -> None:
    """Let a button fill in published antibodies of the kind that a model reads.

    Parameters
    ----------
    example, text, file
        Components of `antibodies_input`.
    predictor
        The model.
    private
        Options of every event.
    """
    excluded = () if predictor.training is None else predictor.training.sequences
    filled = examples(predictor.reading, excluded)
    example.click(lambda: (filled, None), [], [text, file], **private)
