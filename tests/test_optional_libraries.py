"""Libraries that are imported when they are needed: their imports change no filter of the caller's warnings."""

import subprocess
import sys

import pytest

IMPORTS = {
    "crepes": """
score, label = np.linspace(0, 1, 40), np.arange(40) % 2
Uncertainty(score, label.astype(float), "identity", "classification").sets(score)
Uncertainty(score, label.astype(float), "identity", "classification").calibrated(score)
Uncertainty(score, score + label, "identity", "regression").intervals(score)
""",
    "peft": """
module = nn.ModuleDict({"query": nn.Linear(4, 4)})
lora.inject(module, ["query"], FineTuneSpec(dropout=0), noise=None)
""",
    "shap": """
assert _shap().Explainer
""",
    "ablang2": """
assert PairedFiles().model_class("MaskedLM")
""",
}


@pytest.mark.parametrize("library", IMPORTS)
def test_warnings_that_the_caller_filters_out_stay_filtered(library: str) -> None:
    code = f"""
import sys
import warnings
import numpy as np
import scipy.stats
import sklearn.linear_model
from torch import nn
from transformers import PreTrainedModel
from antibody_esm import FineTuneSpec
from antibody_esm.evaluation.conformal import Uncertainty
from antibody_esm.explain.shapley import _shap
from antibody_esm.plm import lora
from antibody_esm.plm.ablang2 import PairedFiles
warnings.simplefilter("ignore", ResourceWarning)
warnings.simplefilter("always", UserWarning)
assert {library!r} not in sys.modules
filters = list(warnings.filters)
{IMPORTS[library]}
assert {library!r} in sys.modules
assert warnings.filters == filters, warnings.filters
"""
    subprocess.run([sys.executable, "-c", code], check=True)
