"""Language models whose files come with a Python package, which is never imported."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from antibody_esm.plm.ablang2 import HPARAMS, PACKAGE, PairedFiles
from antibody_esm.plm.ablang2 import WEIGHTS as ABLANG2
from antibody_esm.plm.conversion import Conversion
from antibody_esm.plm.sapiens import Converter


class Packaged(NamedTuple):
    """A model whose files lie inside an installed Python package, which is never imported."""

    package: str
    version: str
    files: dict[str, str]
    """Paths in the package, by the names under which the files are loaded."""
    install: str
    """Arguments of pip that install that version."""
    converter: Conversion | None = None
    fetch: str = ""
    """Advice if the package lacks the files; empty text to install it again."""


def _sapiens(chain: str, tokens: int) -> Packaged:
    weights = f"checkpoint_{chain}.pt"
    files = {name: f"models/v1/{name}" for name in (weights, "dict.txt")}
    # Version 1.0.2 requires fairseq, which is not needed here; later versions have no weights.
    return Packaged("sapiens", "1.0.2", files, "--no-deps sapiens==1.0.2", Converter(weights, tokens))


def _ablang2(light: bool) -> Packaged:
    files = {name: f"{_ABLANG2_FOLDER}/{name}" for name in (HPARAMS, ABLANG2)}
    return Packaged(
        "ablang2", PACKAGE, files, '".[ablang2]" in a checkout of antibody_esm', PairedFiles(light), _ABLANG2_ADVICE
    )


_ABLANG2_FOLDER = "model-weights-ablang2-paired"
"""Folder of the package into which its own code downloads the weights."""
_ABLANG2_ADVICE = (
    "unpack https://zenodo.org/records/10185169/files/ablang2-weights.tar.gz into that folder of the package, or into "
    "any other, and give that: ExtractorSpec(model='path/to/folder')"
)

PACKAGES: Mapping[str, Packaged] = MappingProxyType(
    {
        "antiberty": Packaged(
            "antiberty",
            "0.1.3",
            {
                "config.json": "trained_models/AntiBERTy_md_smooth/config.json",
                "pytorch_model.bin": "trained_models/AntiBERTy_md_smooth/pytorch_model.bin",
                "vocab.txt": "trained_models/vocab.txt",
            },
            '".[quickstart]" in a checkout of antibody_esm',
        ),
        "sapiens_vh": _sapiens("vh", 144),
        "sapiens_vl": _sapiens("vl", 128),
        "ablang2": _ablang2(light=False),
        "ablang2_vl": _ablang2(light=True),
    }
)
"""Models whose files lie in a package, by name."""


_OWN_PACKAGE = (
    "its weights are published for its own package; transformers cannot read them without remote code, which is "
    "never run"
)
ELSEWHERE = MappingProxyType({"ablang": _OWN_PACKAGE})
"""Reasons by the names of models that cannot be loaded."""
