"""English phrases."""

from __future__ import annotations

from isocenter.datasets.sentences.phrases import Forms, Language

_FORMS = {
    "contrast": {
        "T1": Forms(
            before=("T1-weighted", "T1", "T1w", "unenhanced T1-weighted", "plain T1"),
            after=("with T1 weighting", "in T1 weighting"),
        ),
        "T1c": Forms(
            before=(
                "contrast-enhanced T1-weighted",
                "post-contrast T1",
                "post-contrast T1-weighted",
                "T1-weighted contrast-enhanced",
                "gadolinium-enhanced T1",
                "T1c",
                "T1ce",
                "enhanced T1",
                "T1 post-contrast",
                "T1-weighted post-gadolinium",
            ),
            after=(
                "with T1 weighting and contrast agent",
                "in T1 weighting after contrast",
                "with T1 weighting after gadolinium",
            ),
        ),
        "T2": Forms(
            before=("T2-weighted", "T2", "T2w"), after=("with T2 weighting", "in T2 weighting")
        ),
        "FLAIR": Forms(
            before=(
                "FLAIR",
                "T2-FLAIR",
                "FLAIR-weighted",
                "fluid-attenuated inversion recovery",
            ),
            after=("with FLAIR contrast", "in a FLAIR sequence"),
        ),
        "PD": Forms(
            before=("proton-density-weighted", "PD-weighted", "PD", "PDw", "proton-density"),
            after=("with proton density weighting", "in PD weighting"),
        ),
    },
    "plane": {
        "axial": Forms(
            before=("axial", "transverse", "transaxial"),
            after=("in the axial plane", "in axial orientation", "in the transverse plane"),
        ),
        "coronal": Forms(
            before=("coronal",),
            after=("in the coronal plane", "in coronal orientation"),
        ),
        "sagittal": Forms(
            before=("sagittal",), after=("in the sagittal plane", "in sagittal orientation")
        ),
    },
    "population": {
        "child": Forms(
            before=("pediatric", "paediatric", "child's"),
            after=("of a child", "in a child", "of a young child", "of a pediatric patient"),
        ),
        "adult": Forms(
            before=("adult",), after=("of an adult", "in an adult", "of an adult patient")
        ),
    },
    "level": {
        "apex": Forms(
            before=("apical",),
            after=(
                "at the level of the lung apex",
                "at the lung apices",
                "through the apices",
                "at the apical level",
            ),
        ),
        "middle": Forms(
            before=("mid-lung", "hilar"),
            after=(
                "at mid-lung level",
                "at the level of the hilum",
                "through the hila",
                "at mid-chest level",
            ),
        ),
        "base": Forms(
            before=("basal",),
            after=(
                "at the level of the lung base",
                "at the lung bases",
                "through the bases",
                "at the basal level",
                "near the diaphragm",
            ),
        ),
    },
    "kernel": {
        "soft": Forms(
            before=("soft-kernel", "smooth-kernel"),
            after=(
                "with a soft kernel",
                "with a smooth kernel",
                "reconstructed with a soft-tissue kernel",
                "in soft reconstruction",
            ),
        ),
        "sharp": Forms(
            before=("sharp-kernel", "high-resolution"),
            after=(
                "with a sharp kernel",
                "with an edge-enhancing kernel",
                "reconstructed with a lung kernel",
                "in sharp reconstruction",
            ),
        ),
    },
    "side": {
        "left": Forms(
            before=("left", "left-sided", "left-hemispheric"),
            after=(
                "on the left",
                "on the left side",
                "in the left hemisphere",
                "to the left",
                "located on the left",
                "located in the left hemisphere",
            ),
        ),
        "right": Forms(
            before=("right", "right-sided", "right-hemispheric"),
            after=(
                "on the right",
                "on the right side",
                "in the right hemisphere",
                "to the right",
                "located on the right",
                "located in the right hemisphere",
            ),
        ),
        "midline": Forms(
            before=("midline", "central", "median"),
            after=(
                "in the midline",
                "near the midline",
                "in the center",
                "centrally located",
                "located in the midline",
            ),
        ),
    },
    "height": {
        "upper": Forms(
            before=("upper", "superior"),
            after=(
                "in the upper part",
                "in the upper half",
                "superiorly",
                "high up",
                "located in the upper part",
            ),
        ),
        "lower": Forms(
            before=("lower", "inferior"),
            after=(
                "in the lower part",
                "in the lower half",
                "inferiorly",
                "low down",
                "located in the lower part",
            ),
        ),
    },
    "depth": {
        "anterior": Forms(
            before=("anterior", "frontal"),
            after=(
                "in the anterior part",
                "anteriorly",
                "in the frontal region",
                "in the frontal lobe",
                "located in the frontal lobe",
                "located anteriorly",
            ),
        ),
        "posterior": Forms(
            before=("posterior", "occipital"),
            after=(
                "in the posterior part",
                "posteriorly",
                "in the occipital region",
                "in the occipital lobe",
                "located in the occipital lobe",
                "located posteriorly",
            ),
        ),
    },
    "size": {
        "small": Forms(
            before=("small", "little", "tiny"), after=("of small size", "small in size")
        ),
        "medium": Forms(
            before=("medium-sized", "moderate-sized", "mid-sized", "medium"),
            after=("of medium size", "of moderate size"),
        ),
        "large": Forms(
            before=("large", "big", "huge", "sizable"), after=("of large size", "large in size")
        ),
    },
    "signal": {
        "hyperintense": Forms(
            before=(
                "enhancing",
                "hyperintense",
                "bright",
                "strongly enhancing",
                "avidly enhancing",
            ),
            after=("with strong enhancement", "of high signal", "with high signal intensity"),
        ),
        "hypointense": Forms(
            before=("hypointense", "dark", "non-enhancing", "poorly enhancing"),
            after=("with little enhancement", "of low signal", "without enhancement"),
        ),
    },
}

ENGLISH = Language(
    name="en",
    images={
        "brain MR": (
            "brain MRI",
            "MRI of the brain",
            "brain MR image",
            "MR image of the brain",
            "brain MR",
            "head MRI",
            "MR scan of the head",
            "cranial MRI",
            "magnetic resonance image of the brain",
            "MRI slice of the brain",
        ),
        "chest radiograph": (
            "chest radiograph",
            "chest x-ray",
            "CXR",
            "chest film",
            "radiograph of the chest",
            "x-ray of the chest",
            "chest x-ray image",
            "thoracic radiograph",
            "plain film of the chest",
        ),
        "chest CT": (
            "chest CT",
            "CT of the chest",
            "CT scan of the chest",
            "thoracic CT",
            "chest CT slice",
            "computed tomography of the chest",
            "CT of the lungs",
            "lung CT",
            "CT image of the thorax",
        ),
        "": ("image", "slice", "scan", "picture"),
    },
    forms=_FORMS,
    lung_forms={
        "side": {
            "left": Forms(
                before=("left", "left-sided", "left lung"),
                after=("in the left lung", "on the left"),
            ),
            "right": Forms(
                before=("right", "right-sided", "right lung"),
                after=("in the right lung", "on the right"),
            ),
        },
        "height": {
            "upper": Forms(
                before=("upper", "upper lobe", "upper field"),
                after=("in the upper lung field", "in the upper lobe", "in the upper zone"),
            ),
            "lower": Forms(
                before=("lower", "lower lobe", "lower field"),
                after=("in the lower lung field", "in the lower lobe", "in the lower zone"),
            ),
        },
    },
    findings={
        "glioma": ("glioma", "glial tumor", "glial tumour", "glial neoplasm", "brain glioma"),
        "meningioma": (
            "meningioma",
            "meningeal tumor",
            "meningeal tumour",
            "tumor of the meninges",
            "meningeal neoplasm",
        ),
        "pituitary tumor": (
            "pituitary tumor",
            "pituitary tumour",
            "pituitary adenoma",
            "tumor of the pituitary gland",
            "adenoma of the pituitary",
            "sellar tumor",
        ),
        "tumor": (
            "tumor",
            "tumour",
            "mass",
            "brain tumor",
            "intracranial mass",
            "lesion",
            "neoplasm",
            "space-occupying lesion",
        ),
        "bacterial pneumonia": (
            "bacterial pneumonia",
            "pneumonia of bacterial origin",
            "bacterial lung infection",
            "bacterial infection of the lung",
            "pneumonia caused by bacteria",
        ),
        "viral pneumonia": (
            "viral pneumonia",
            "pneumonia of viral origin",
            "viral lung infection",
            "viral infection of the lung",
            "pneumonia caused by a virus",
        ),
        "pneumonia": (
            "pneumonia",
            "lung infection",
            "infection of the lung",
            "pneumonic infiltrate",
            "pneumonic consolidation",
        ),
    },
    sizes=Forms(
        before=("{}",),
        after=("measuring {}", "{} in diameter", "of {}", "with a diameter of {}", "{} in size"),
    ),
    units=(("mm", "millimeters"), ("cm", "centimeters")),
    normal=Forms(
        before=("normal", "unremarkable", "healthy"),
        after=(
            "normal findings",
            "no abnormality",
            "without abnormality",
            "no abnormal findings",
            "nothing abnormal",
            "without pathology",
        ),
    ),
    clear_lungs=("clear lungs", "normal lungs", "healthy lungs", "lungs are clear"),
    leads=("generate", "an image:", "a picture:", "please show", "there is", "show me", "patient:"),
    shown=("with", "showing", "shows", "demonstrating", "with signs of", "with evidence of", "and"),
    seen_on=("on", "seen on", "in", "visible on"),
    denials=(
        "no",
        "without",
        "no evidence of",
        "without evidence of",
        "no sign of",
        "without signs of",
        "free of",
        "negative for",
        "absence of",
        "but no",
        "but not",
        "but without",
        "not",
    ),
    joint_denials=(("neither", "nor"),),
    denied=(
        "absent",
        "is absent",
        "not seen",
        "is not seen",
        "ruled out",
        "not present",
        "excluded",
    ),
    ors=("or", "and no"),
    spaced=True,
    comma=",",
    stop=".",
    colon=":",
)
