"""Licences of language models and of public data sets, and whether they allow commercial use.

``ANTIBODY_ESM_LICENCE=commercial`` refuses all others before anything is downloaded. These lines report what authors
publish; they are no legal advice.
"""

import logging
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

logger = logging.getLogger("antibody_esm")

VARIABLE = "ANTIBODY_ESM_LICENCE"
"""Environment variable; ``commercial`` allows only licences that allow commercial use."""


class Licence(NamedTuple):
    """Licence as its owners publish it."""

    name: str
    commercial: bool
    """True if it allows commercial use; False if it forbids that, or if no licence is stated."""
    source: str
    """Page that states it."""
    limits: str = ""
    """Further uses that it forbids."""

    def __str__(self) -> str:
        use = "" if self.commercial else f"; not for commercial use{self.limits and f', nor {self.limits}'}"
        return f"{self.name}{use} ({self.source})"

    def to_dict(self) -> dict[str, str | bool]:
        """Return the fields as JSON values."""
        return {"name": self.name, "commercial": self.commercial, "source": self.source, "limits": self.limits}


# Read again on 2026-12-01: the sections on licences in the READMEs of esm and Ankh, LICENSE.md of ProtTrans, the pages
# of IgBert and AntiBERTa2 on the hub. AntiBERTa2's is a modified Apache 2.0 ("AntiBERTa2 License, Version 1.0,
# December 2023").
_ESM = Licence("MIT", True, "https://github.com/facebookresearch/esm")
_SAPIENS = Licence("MIT", True, "https://pypi.org/project/sapiens/1.0.2")
_PROTTRANS = Licence("AFL-3.0", True, "https://github.com/agemagician/ProtTrans/blob/master/LICENSE.md")
_ANKH = Licence("CC BY-NC-SA 4.0", False, "https://github.com/agemagician/Ankh")
_ANKH3 = Licence("CC BY-NC-SA 4.0", False, "https://huggingface.co/ElnaggarLab/ankh3-large")
_ESMC = Licence("MIT", True, "https://github.com/Biohub/esm")
_ABLANG2 = Licence("BSD-3-Clause-Clear", True, "https://zenodo.org/records/10185169")
_ALCHEMAB = Licence(
    "AntiBERTa2's own",
    False,
    "https://huggingface.co/alchemab/antiberta2/blob/main/LICENSE.md",
    "for making therapeutic antibodies",
)

WEIGHTS: Mapping[str, Licence] = MappingProxyType(
    {
        **{f"facebook/esm1v_t33_650M_UR90S_{seed}": _ESM for seed in range(1, 6)},
        **{f"facebook/esm2_{size}_UR50D": _ESM for size in ("t6_8M", "t12_35M", "t30_150M", "t33_650M", "t36_3B")},
        "facebook/esm1b_t33_650M_UR50S": _ESM,
        "antiberty": Licence("MIT", True, "https://pypi.org/project/antiberty/0.1.3"),
        "sapiens_vh": _SAPIENS,
        "sapiens_vl": _SAPIENS,
        "alchemab/antiberta2": _ALCHEMAB,
        "alchemab/antiberta2-cssp": _ALCHEMAB,
        "Exscientia/IgBert": Licence("MIT", True, "https://huggingface.co/Exscientia/IgBert"),
        "Exscientia/IgT5": Licence("MIT", True, "https://huggingface.co/Exscientia/IgT5"),
        "Rostlab/prot_bert": _PROTTRANS,
        "Rostlab/prot_t5_xl_half_uniref50-enc": _PROTTRANS,
        "ElnaggarLab/ankh-base": _ANKH,
        "ElnaggarLab/ankh-large": _ANKH,
        "ElnaggarLab/ankh3-large": _ANKH3,
        "ElnaggarLab/ankh3-xl": _ANKH3,
        "Rostlab/ProstT5": Licence("MIT", True, "https://github.com/mheinzinger/ProstT5"),
        "ollieturnbull/p-IgGen": Licence("BSD-3-Clause", True, "https://github.com/OliverT1/p-IgGen"),
        "biohub/ESMC-300M": _ESMC,
        "biohub/ESMC-600M": _ESMC,
        "COGNANO/VHHBERT": Licence("MIT", True, "https://github.com/cognano/AVIDa-SARS-CoV-2"),
        "NaturalAntibody/nanoBERT": Licence(
            "CC BY-NC-SA 4.0", False, "https://huggingface.co/NaturalAntibody/nanoBERT"
        ),
        "ablang2": _ABLANG2,
        "ablang2_vl": _ABLANG2,
    }
)
"""Licences of the weights of all presets, by the model's name."""
_WITHOUT_CASE = {name.lower(): licence for name, licence in WEIGHTS.items()}
PACKAGED = frozenset({"ablang", "ablang2", *(name for name in WEIGHTS if "/" not in name)})
"""Names of models that come with a Python package, or are read by one."""

_ARTICLE = "MIT (the files), CC BY 4.0 (the article)"
DATA: Mapping[str, Licence] = MappingProxyType(
    {
        "boughter": Licence(_ARTICLE, True, "https://github.com/ctboughter/AIMS_manuscripts"),
        "boughter_flu_cdrs": Licence("MIT", True, "https://pypi.org/project/aims-immune/0.9.3"),
        "harvey": Licence(_ARTICLE, True, "https://doi.org/10.1038/s41467-022-35276-4"),
        "jain": Licence(
            "none stated for the tables; the article is open access",
            False,
            "https://doi.org/10.1073/pnas.1616408114",
        ),
        "shehata": Licence(
            "CC BY 4.0, as the repackaged file says", True, "https://doi.org/10.1016/j.celrep.2019.08.056"
        ),
    }
)
"""Licences of the public data sets, by name."""

_stated: set[str] = set()


def of_model(name: str) -> Licence | None:
    """Return the licence of a model's weights; None if it is not known here. The hub ignores the case of a name."""
    return _WITHOUT_CASE.get(name.lower())


def refusal(name: str, licence: Licence | None) -> str:
    """Return the reason why ``ANTIBODY_ESM_LICENCE`` forbids weights or data; empty text if it does not.

    Parameters
    ----------
    name
        Model or data set.
    licence
        Its licence; None if it is not known here.
    """
    value = os.environ.get(VARIABLE, "")
    if not value:
        return ""
    if value != "commercial":
        return f"{VARIABLE} is {value!r}; the only value is commercial"
    if licence is None:
        return (
            f"{VARIABLE}=commercial refuses {name!r}, whose licence is not known here; read its page, and give a local "
            "folder if it allows your use"
        )
    return "" if licence.commercial else f"{VARIABLE}=commercial refuses {name!r}: its licence is {licence}"


def state(name: str, licence: Licence | None) -> None:
    """Log the licence of weights when they are first used: a warning if it does not allow commercial use."""
    if name in _stated:
        return
    _stated.add(name)
    forbids = licence is not None and not licence.commercial
    logger.log(logging.WARNING if forbids else logging.INFO, "the licence of %s is %s", name, of_weights(licence))


def of_weights(licence: Licence | None) -> str:
    """Return a licence in words, also of a model whose licence is not known here, such as a local folder's."""
    return "not known here; see the page of its authors" if licence is None else str(licence)


def of_data(name: str, source: object = None) -> str:
    """Return the licence of a data set in words.

    Parameters
    ----------
    name
        Licence in the provenance; empty if it is not known.
    source
        Name of the public data set, from the call of `load_dataset`. Without it, source and limits are added if
        all public data sets with this licence have the same ones.
    """
    every = {str(licence) for licence in DATA.values() if licence.name == name}
    if source in DATA and DATA[str(source)].name == name:
        return str(DATA[str(source)])
    return every.pop() if len(every) == 1 else name
