"""What a generator says of itself, to people and to programs."""

from __future__ import annotations

from typing import Any

from isocenter.modelpack.card import bounds_in_markdown
from isocenter.recipes.generate.collection import Collection
from isocenter.recipes.generate.configuration import GenerateRecipe

INTENDED_USE = (
    "Research and teaching: drawing new medical images of patients who do not exist, to train and "
    "test programs with and to show what a finding may look like."
)
NOT_FOR = (
    "Diagnosis, treatment or any statement about a patient.",
    "Passing as images of a patient: what it draws is marked, and the marks must stay.",
    "Judging how well a program works on patients; only images of patients can.",
)
LIMITS = (
    "Trained on few patients of a few public collections; what those do not show, it cannot draw.",
    "Single slices: neighbors drawn apart do not make a volume.",
    "What it is told it obeys often, not always; benchmarks/generate measures how often.",
    "Small structures, such as vessels and fissures, may be blurred, doubled or lead nowhere.",
    "Words are understood only as the grammar of its training says them, and only what its "
    "training images are labeled with acts.",
)
# What was seen in 64 images of each family, drawn as the test images are, of the shipped weights.
SEEN = {
    "brain_t1c": (
        "brain_t1c: many tumors are hazy patches without a rim or a mass effect, gliomas most of "
        "all; sulci, ventricles and vessels are smeared or missing; the skull of some heads is "
        "bent or open."
    ),
    "chest_radiograph": (
        "chest_radiograph: side markers and cables are scribbles; collarbones break off; ribs may "
        "fork or be too many; what tells bacterial from viral pneumonia is faint."
    ),
    "chest_ct": (
        "chest_ct: airways are mostly missing, vessels are short and speckled, the mediastinum is "
        "one gray without walls of vessels, and the couch is wavy; air shows a faint grid."
    ),
    "brain_labels": (
        "brain_labels: gray and white matter run into each other, above all on T1 and PD, and "
        "thin layers of CSF are lost; the neck is without structure, as its labels are."
    ),
}
GUARD_SEEN = (
    "The guard against copies lets most strongly altered copies of training images pass: of "
    "planted ones that were moved, bent, brightened and blurred it caught 8 to 60 %, by family."
)
# By family: citation and, in brackets, licence, as release/sbom.py reads them.
SOURCES = {
    "brain_t1c": (
        "Cheng J. Brain tumor dataset. figshare 2017. doi:10.6084/m9.figshare.1512427 (CC BY 4.0)",
    ),
    "chest_radiograph": (
        "Kermany D, Zhang K, Goldbaum M. Labeled optical coherence tomography and chest X-ray "
        "images. Mendeley Data 2018. doi:10.17632/rscbjbr9sj (CC BY 4.0)",
        "Wang X et al. NIH ChestX-ray. CVPR 2017. doi:10.1109/CVPR.2017.369 (no restriction)",
    ),
    "chest_ct": (
        "Armato SG III et al. Data From LIDC-IDRI. TCIA 2015. doi:10.7937/K9/TCIA.2015.LO9QL9SX "
        "(CC BY 3.0)",
        "Cancer Moonshot Biobank - Colorectal Cancer Collection (CMB-CRC). TCIA 2022. "
        "doi:10.7937/DJG7-GZ87 (CC BY 4.0)",
        "Erickson BJ et al. TCGA-LIHC. TCIA 2016. doi:10.7937/K9/TCIA.2016.IMMQW8UQ (CC BY 3.0)",
        "Kinahan P et al. Data from ACRIN-FLT-Breast. TCIA 2017. "
        "doi:10.7937/K9/TCIA.2017.ol20zmxg (CC BY 3.0)",
        "Li P et al. A Large-Scale CT and PET/CT Dataset for Lung Cancer Diagnosis. TCIA 2020. "
        "doi:10.7937/TCIA.2020.NNC2-0461 (CC BY 4.0)",
        "RIDER Pilot (RIDER Collections), The Cancer Imaging Archive / NCIA (CC BY 3.0)",
        "Rusu M et al. Lung Fused-CT-Pathology. TCIA. doi:10.7937/K9/TCIA.2018.SMT36LPN "
        "(CC BY 3.0)",
        "Saltz J et al. Stony Brook University COVID-19 Positive Cases (COVID-19-NY-SBU). TCIA "
        "2021. doi:10.7937/TCIA.BBAG-2923 (CC BY 4.0)",
        "Simpson AL et al. Colorectal-Liver-Metastases. TCIA 2023. doi:10.7937/QXK2-QG03 "
        "(CC BY 4.0)",
        "TCGA-LUAD doi:10.7937/K9/TCIA.2016.JGNIHEP5; TCGA-LUSC "
        'doi:10.7937/K9/TCIA.2016.TYGKKFMQ (TCIA); subset published as Kaggle "CT Medical '
        'Images" (SIIM) (CC BY 3.0)',
        "TCGA-THCA imaging collection. TCIA (CC BY 3.0)",
    ),
    "brain_labels": (
        "Billot B et al. SynthSeg: label maps, from which all gray values are simulated. Med. "
        "Image Anal. 86:102789, 2023. doi:10.1016/j.media.2023.102789 (Apache-2.0)",
    ),
}
LICENCE = "Apache-2.0"
NOT_STATED = "not stated"
OWN_DATA = "Images of the user's own; who may use them and what is made of them is not stated here."


def facts(recipe: GenerateRecipe, collection: Collection, *, commit: str) -> dict[str, Any]:
    """The card for programs, ready for JSON."""
    own = collection.is_own
    return {
        "name": recipe.name,
        "version": recipe.version,
        "intended_use": INTENDED_USE,
        "not_for": list(NOT_FOR),
        "limits": [
            *LIMITS,
            *([] if own else [*(SEEN[name] for name in collection.sets), GUARD_SEEN]),
        ],
        "method": (
            "A latent diffusion model: an autoencoder folds images by "
            f"{2 ** len(recipe.autoencoder.channels)} along each side into "
            f"{recipe.autoencoder.latent_channels} channels; a U-Net, told by categories, numbers, "
            "words, box and guide image, follows a flow from noise to latents."
        ),
        "families": [one.name for one in collection.families],
        "data": OWN_DATA if own else [line for name in collection.sets for line in SOURCES[name]],
        "images_and_patients": {
            name: {part: list(pair) for part, pair in parts.items()}
            for name, parts in collection.counts().items()
        },
        "seed": recipe.seed,
        "commit": commit,
        "licence": NOT_STATED if own else LICENCE,
    }


def readme(card: dict[str, Any], recipe: GenerateRecipe, *, history: str = "") -> str:
    """The card for people, in Markdown; measured figures are put between its markers."""
    data = card["data"] if isinstance(card["data"], list) else [card["data"]]
    lines = [
        "---",
        f"license: {'apache-2.0' if card['licence'] == LICENCE else 'other'}",
        "tags: [medical-imaging, synthetic-data, research-only]",
        "---",
        "",
        f"# {card['name']} {card['version']}",
        "",
        card["intended_use"],
        "",
        card["method"],
        "",
        *bounds_in_markdown(card),
        "## Figures",
        "",
        "<!-- generate table: begin -->",
        "<!-- generate table: end -->",
        "",
        "## Data",
        "",
        "Split by patient. Images (patients) by part:",
        "",
        *(
            f"- {name}: "
            + ", ".join(
                f"{part} {images} ({patients})" for part, (images, patients) in said.items()
            )
            for name, said in card["images_and_patients"].items()
        ),
        "",
        *(f"- {one}" for one in data),
        "",
        "## Recipe",
        "",
        f"`isocenter train generators --data FOLDER --output FOLDER`, seed {card['seed']}, "
        f"{recipe.autoencoder.loop.steps:,} steps of the autoencoder and "
        f"{recipe.denoiser.loop.steps:,} of the denoiser, code at {card['commit']}; the resolved "
        f"configuration is in `training.json`. Licence of the weights: {card['licence']}.",
        *(["", history] if history else []),
        "",
    ]
    return "\n".join(lines)
