"""``antibody-esm``: all commands except training and benchmarks."""

import typer

from antibody_esm.cli import data, store
from antibody_esm.cli.curve import curve_command
from antibody_esm.cli.embed import embed_command
from antibody_esm.cli.errors import run
from antibody_esm.cli.evaluate import evaluate_command
from antibody_esm.cli.explain import explain_command
from antibody_esm.cli.liabilities import liabilities_command
from antibody_esm.cli.predict import predict_command
from antibody_esm.cli.propose import fixes_command, propose_command
from antibody_esm.cli.recalibrate import recalibrate_command
from antibody_esm.cli.scan import scan_command
from antibody_esm.cli.serve import serve_command
from antibody_esm.cli.web_server import app_command

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Protein language models of antibodies: vectors, predictions, data.",
)
app.command("embed")(embed_command)
app.command("predict")(predict_command)
app.command("evaluate")(evaluate_command)
app.command("curve")(curve_command)
app.command("recalibrate")(recalibrate_command)
app.command("explain")(explain_command)
app.command("scan")(scan_command)
app.command("liabilities")(liabilities_command)
app.command("fixes")(fixes_command)
app.command("propose")(propose_command)
app.command("app")(app_command)
app.command("serve")(serve_command)
app.add_typer(data.app, name="data")
app.add_typer(store.app, name="store")


@app.callback()
def _group() -> None:
    """Keep the names of subcommands, even if there is only one."""


def main() -> None:
    """Run ``antibody-esm``."""
    run(app)


if __name__ == "__main__":
    main()
