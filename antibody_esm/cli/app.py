"""``antibody-esm``: all commands except training and benchmarks."""

from antibody_esm.cli import data, store
from antibody_esm.cli.card import card_command
from antibody_esm.cli.curve import curve_command
from antibody_esm.cli.embed import embed_command
from antibody_esm.cli.errors import run
from antibody_esm.cli.evaluate import evaluate_command
from antibody_esm.cli.explain import explain_command
from antibody_esm.cli.liabilities import liabilities_command
from antibody_esm.cli.predict import predict_command
from antibody_esm.cli.program import Program
from antibody_esm.cli.propose import fixes_command, propose_command
from antibody_esm.cli.recalibrate import recalibrate_command
from antibody_esm.cli.scan import scan_command
from antibody_esm.cli.serve import serve_command
from antibody_esm.cli.web_server import app_command
from antibody_esm.deprecation import Renamed

app = Program(
    "Predict properties of antibodies by protein language models, explain the predictions, and choose what to make "
    "next. Models are trained by antibody-train and compared by antibody-benchmark.",
    complete=True,
)
_PREDICT, _DESIGN, _DATA = "Predict and evaluate", "Explain and design", "Vectors and data"
_OUT: Renamed = {"--out": "--output"}
_MODEL: Renamed = {"--model": "--language-model", "-m": "--language-model"}

app.command("predict", panel=_PREDICT, renamed=_OUT)(predict_command)
app.command("evaluate", panel=_PREDICT, renamed=_OUT)(evaluate_command)
app.command("card", panel=_PREDICT)(card_command)
app.command("curve", panel=_PREDICT, renamed={**_OUT, **_MODEL})(curve_command)
app.command(
    "recalibrate",
    panel=_PREDICT,
    renamed={
        **_OUT,
        ("--threshold", "none"): ("--rule", "none"),
        ("--threshold", "balanced_accuracy"): ("--rule", "balanced_accuracy"),
    },
)(recalibrate_command)
app.command("app", panel=_PREDICT)(app_command)
app.command("serve", panel=_PREDICT)(serve_command)
app.command("explain", panel=_DESIGN, renamed=_OUT)(explain_command)
app.command("scan", panel=_DESIGN, renamed=_OUT)(scan_command)
app.command("liabilities", panel=_DESIGN, renamed=_OUT)(liabilities_command)
app.command("fixes", panel=_DESIGN, renamed=_OUT)(fixes_command)
app.command("propose", panel=_DESIGN, renamed=_OUT)(propose_command)
app.command("embed", panel=_DATA, renamed={**_OUT, **_MODEL, "--column": "--sequence"})(embed_command)
app.add_typer(data.app, name="data", rich_help_panel=_DATA)
app.add_typer(store.app, name="store", rich_help_panel=_DATA)


@app.callback()
def _group() -> None:
    """Keep the names of subcommands, even if there is only one."""


def main() -> None:
    """Run ``antibody-esm``."""
    run(app)


if __name__ == "__main__":
    main()
