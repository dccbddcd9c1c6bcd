"""Track results with MLflow: a run in the folder ``tracked/`` for each report and for each model.

pip install ".[quickstart]" mlflow-skinny in a checkout, then ``mlflow ui --backend-store-uri tracked/`` shows the runs.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder instead of a database
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # without usage statistics

import mlflow

from antibody_esm import Predictor, Report, Trainer, load_dataset, tracking


class MLflowTracker:
    """Callback that logs reports and models; vectors, sequences and labels stay here."""

    def finished(self, result: Any) -> None:
        """Log a report, with its metrics and page, or a model without its training antibodies."""
        if not isinstance(result, Report | Predictor):
            return
        with mlflow.start_run(run_name=type(result).__name__):
            if isinstance(result, Report):
                mlflow.log_params({"pipeline": result.pipeline, "data": result.source})
                scores = result.summary["scores"]
                means = {metric: row["mean"] if "mean" in row else row["score"] for metric, row in scores.items()}
                mlflow.log_metrics({metric: value for metric, value in means.items() if isinstance(value, float)})
                with tempfile.TemporaryDirectory() as folder:
                    mlflow.log_artifact(str(result.to_html(Path(folder) / "report.html")))
            else:
                mlflow.log_params({"fingerprint": result.spec.fingerprint, "data": result.data.source})
                folder = Path("models", result.spec.fingerprint[:12])  # which stays: it has the log of test sets
                result.write(folder, training=False)
                mlflow.log_artifacts(str(folder), "model")


if __name__ == "__main__":
    mlflow.set_tracking_uri(Path("tracked").absolute().as_uri())
    mlflow.set_experiment("flu")
    data = load_dataset("boughter_flu_cdrs")
    trainer = Trainer("antiberty", "logreg", store="embeddings/")
    with tracking(MLflowTracker()):
        trainer.cross_validate(data.subset(range(0, len(data), 2)))
        predictor = trainer.fit(data.subset(range(0, len(data), 2)))
        predictor.evaluate(data.subset(range(1, len(data), 2)))
    for run in mlflow.search_runs(output_format="list"):
        print(run.info.run_name, run.data.params["data"], {k: round(v, 3) for k, v in run.data.metrics.items()})
