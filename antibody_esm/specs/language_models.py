"""Named specs of single language models."""

from types import MappingProxyType
from typing import Literal

from antibody_esm.specs.extractors import ExtractorSpec

_ESM1V = "facebook/esm1v_t33_650M_UR90S_{}"  # five checkpoints, alike but for the seed (doi:10.1101/2021.07.09.450648)

LANGUAGE_MODELS: MappingProxyType[str, ExtractorSpec] = MappingProxyType(
    {
        "esm1v": ExtractorSpec(model=_ESM1V.format(1)),
        **{f"esm1v_{seed}": ExtractorSpec(model=_ESM1V.format(seed)) for seed in range(1, 6)},
        # doi:10.1126/science.ade2574
        "esm2_8m": ExtractorSpec(model="facebook/esm2_t6_8M_UR50D"),
        "esm2_35m": ExtractorSpec(model="facebook/esm2_t12_35M_UR50D"),
        "esm2_150m": ExtractorSpec(model="facebook/esm2_t30_150M_UR50D"),
        "esm2_650m": ExtractorSpec(model="facebook/esm2_t33_650M_UR50D"),
        "esm2_3b": ExtractorSpec(model="facebook/esm2_t36_3B_UR50D"),
        "esm1b": ExtractorSpec(model="facebook/esm1b_t33_650M_UR50S"),  # doi:10.1073/pnas.2016239118
        "antiberty": ExtractorSpec(model="antiberty", revision="0.1.3"),  # arXiv:2112.07782
        # doi:10.1080/19420862.2021.2020203, human heavy and light chains; MIT; pip install --no-deps sapiens==1.0.2
        "sapiens_vh": ExtractorSpec(model="sapiens_vh", revision="1.0.2"),
        "sapiens_vl": ExtractorSpec(model="sapiens_vl", revision="1.0.2"),
        "antiberta2": ExtractorSpec(model="alchemab/antiberta2"),
        # Named in the card of alchemab/antiberta2, and in NbBench (github.com/ZHymLumine/NbBench, arXiv:2505.02022)
        "antiberta2_cssp": ExtractorSpec(model="alchemab/antiberta2-cssp"),
        "igbert": ExtractorSpec(model="Exscientia/IgBert"),  # doi:10.1371/journal.pcbi.1012646
        # The same article; github.com/briney/ablms (its encoder igt5, with </s> between chains)
        "igt5": ExtractorSpec(model="Exscientia/IgT5"),
        "protbert": ExtractorSpec(model="Rostlab/prot_bert"),  # doi:10.1109/TPAMI.2021.3095381
        "prott5": ExtractorSpec(model="Rostlab/prot_t5_xl_half_uniref50-enc"),
        # doi:10.1093/nargab/lqae150; the authors' github.com/mheinzinger/ProstT5 (README); github.com/gbouras13/phold
        "prostt5": ExtractorSpec(model="Rostlab/ProstT5", prefix="<AA2fold>"),
        "ankh_base": ExtractorSpec(model="ElnaggarLab/ankh-base"),  # arXiv:2301.06568
        "ankh_large": ExtractorSpec(model="ElnaggarLab/ankh-large"),
        # arXiv:2505.20052, whose page huggingface.co/papers/2505.20052 names both, with their card;
        # github.com/Synthyra/FastPLMs
        "ankh3_large": ExtractorSpec(model="ElnaggarLab/ankh3-large", prefix="[NLU]"),
        "ankh3_xl": ExtractorSpec(model="ElnaggarLab/ankh3-xl", prefix="[NLU]"),
        # doi:10.1093/bioinformatics/btae659; the authors' github.com/OliverT1/p-IgGen (piggen/model.py);
        # github.com/ginkgobioworks/abdev-benchmark (baselines/piggen). Both join chains without a token between.
        "p_iggen": ExtractorSpec(model="ollieturnbull/p-IgGen", prefix="1", suffix="2", separator=""),
        # Named in transformers' documentation (model_doc/esmc), and in its authors' collection esmc-model-family on
        # huggingface.co/biohub; the earlier EvolutionaryScale/esmc-* hold files of another package.
        "esmc_300m": ExtractorSpec(model="biohub/ESMC-300M"),
        "esmc_600m": ExtractorSpec(model="biohub/ESMC-600M"),
        # Both named in NbBench; VHHBERT also in github.com/cognano/AVIDa-SARS-CoV-2 (arXiv:2405.18749), nanoBERT also
        # in its authors' card, huggingface.co/NaturalAntibody/nanoBERT
        "vhhbert": ExtractorSpec(model="COGNANO/VHHBERT"),
        "nanobert": ExtractorSpec(model="NaturalAntibody/nanoBERT"),
        # doi:10.1101/2024.02.02.578678; in abdev-benchmark (github.com/ginkgobioworks/abdev-benchmark) and on PyPI
        "ablang2": ExtractorSpec(model="ablang2", revision="0.2.1", pairs="joined"),
        "ablang2_vl": ExtractorSpec(model="ablang2_vl", revision="0.2.1", pairs="joined"),
    }
)
"""Single language models by name."""
OF_ONE_CHAIN: MappingProxyType[str, Literal["heavy", "light"]] = MappingProxyType(
    {"sapiens_vh": "heavy", "sapiens_vl": "light", "ablang2": "heavy", "ablang2_vl": "light"}
)
"""Kind of chains that a language model is for, by its name (`ExtractorSpec.model`); others read both kinds."""
