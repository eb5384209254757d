"""Contrasts told from headers: published protocols, faults, and what holds for any header."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.core.acquisition import MrAcquisition
from isocenter.dicom.reading.mr_contrast import (
    ANATOMICAL,
    RecognizedContrast,
    recognize,
    recognize_all,
    remaining,
)
from isocenter.dicom.reading.mr_header import described_as


def header(
    te: float | None = None,
    tr: float | None = None,
    ti: float | None = None,
    flip: float | None = None,
    kind: str = "",
    variant: str = "",
    **more: Any,
) -> MrAcquisition:
    return MrAcquisition(
        echo_time_ms=te,
        repetition_time_ms=tr,
        inversion_time_ms=ti,
        flip_deg=flip,
        scanning_sequence=tuple(kind.split()),
        sequence_variant=tuple(variant.split()),
        **more,
    )


# Published protocols: ADNI (adni.loni.usc.edu, phases 1 to 3), UK Biobank (brain imaging
# documentation), Human Connectome Project (Glasser et al., NeuroImage 80:105, 2013), IXI
# (brain-development.org), Kirby 21 (Landman et al., NeuroImage 54:2854, 2011), the Ljubljana sets
# (Lesjak et al., Neuroinformatics 16:51, 2018), the consensus for brain tumors (Ellingson et al.,
# Neuro Oncol. 17:1188, 2015), multi-parameter mapping (Weiskopf et al., Front. Neurosci. 7:95,
# 2013) and makers' default protocols.
PROTOCOLS = {
    "ADNI 1.5 T Siemens MPRAGE": (header(3.61, 2400, 1000, 8, "GR IR", "SK SP MP"), "T1", "MPRAGE"),
    "ADNI 3 T Siemens MPRAGE": (header(2.98, 2300, 900, 9, "GR IR", "SK SP MP"), "T1", "MPRAGE"),
    "ADNI 3 T GE IR-SPGR": (header(2.85, 6.98, 400, 11, "GR", "SS SP SK"), "T1", "MPRAGE"),
    "ADNI 3 T Philips TFE": (header(3.12, 6.77, None, 9, "GR", "MP"), "T1", "MPRAGE"),
    "GE BRAVO": (header(3.2, 8.2, 450, 12, "GR", "SS SP SK", is_3d=True), "T1", "MPRAGE"),
    "UK Biobank MPRAGE": (header(2.01, 2000, 880, 8, "GR IR", "SK SP MP"), "T1", "MPRAGE"),
    "HCP MPRAGE": (header(2.14, 2400, 1000, 8, "GR IR", "SK SP MP"), "T1", "MPRAGE"),
    "Kirby 21 MPRAGE": (header(3.1, 6.7, 842, 8, "GR", "MP"), "T1", "MPRAGE"),
    "IXI Guys 1.5 T T1": (header(4.6, 9.8, None, 8, "GR", "MP"), "T1", "MPRAGE"),
    "GE SPGR 1.5 T": (header(5.0, 24, None, 45, "GR", "SS SP"), "T1", "gradient echo"),
    "Philips T1-FFE": (header(4.6, 25, None, 30, "GR", "SP"), "T1", "gradient echo"),
    "Siemens FLASH": (header(2.5, 250, None, 70, "GR", "SP", is_3d=False), "T1", "gradient echo"),
    "MPM T1-weighted": (header(2.2, 25, None, 21, "GR", "SP", is_3d=True), "T1", "gradient echo"),
    "Consensus 1.5 T spin echo T1": (header(12, 550, None, 90, "SE", "SK"), "T1", ""),
    "Siemens spin echo T1": (header(8.4, 500, None, 70, "SE", "SP OSP"), "T1", ""),
    "Philips 3 T TSE T1": (header(10, 634, None, 90, "SE", "SK"), "T1", ""),
    "GE Cube T1": (header(16.8, 600, None, 90, "SE", "SK", is_3d=True), "T1", ""),
    "Siemens SPACE T1": (header(11, 700, None, 120, "SE", "SK SP", is_3d=True), "T1", ""),
    "GE T1 FLAIR 3 T": (header(24, 2500, 1050, 111, "SE IR", "SK"), "T1", "T1-FLAIR"),
    "GE T1 FLAIR 1.5 T": (header(9.3, 2125, 750, 90, "SE IR", "SK"), "T1", "T1-FLAIR"),
    "Siemens T1 TIRM": (header(9, 2000, 860, 150, "SE IR", "SK SP MP"), "T1", "T1-FLAIR"),
    "Ljubljana 3 T T1": (header(20, 2000, 800, 120, "SE IR", "SK SP MP"), "T1", "T1-FLAIR"),
    "ADNI 2 Siemens FLAIR": (header(90, 9000, 2500, 150, "SE IR", "SK SP MP"), "FLAIR", ""),
    "ADNI 2 GE FLAIR": (header(153, 11000, 2250, 90, "SE IR", "SK"), "FLAIR", ""),
    "ADNI 2 Philips FLAIR": (header(90, 9000, 2500, 90, "IR", "SK"), "FLAIR", ""),
    "ADNI 3 SPACE FLAIR": (header(119, 4800, 1650, 120, "SE IR", "SK SP MP"), "FLAIR", ""),
    "UK Biobank SPACE FLAIR": (header(395, 5000, 1800, 120, "SE IR", "SK SP MP"), "FLAIR", ""),
    "Ljubljana 3D FLAIR": (header(392, 5000, 1800, 120, "SE IR", "SK SP MP"), "FLAIR", ""),
    "Kirby 21 VISTA FLAIR": (header(330, 8000, 2400, None, "IR", "SK"), "FLAIR", ""),
    "Philips 1.5 T FLAIR": (header(140, 11000, 2800, 90, "IR", "SK"), "FLAIR", ""),
    "Philips 1.5 T short FLAIR": (header(100, 6000, 2000, 90, "IR", "SK"), "FLAIR", ""),
    "GE Cube FLAIR": (header(119, 6000, 1850, 90, "SE IR", "SK", is_3d=True), "FLAIR", ""),
    "Siemens 1.5 T FLAIR": (header(85, 8000, 2340, 150, "SE IR", "SK SP MP"), "FLAIR", ""),
    "0.35 T FLAIR": (header(105, 6500, 1950, 90, "SE IR", "SK"), "FLAIR", ""),
    "7 T SPACE FLAIR": (header(267, 8000, 2250, None, "SE IR", "SK SP MP"), "FLAIR", ""),
    "ADNI 1 double echo PD": (header(11, 3000, None, 150, "SE", "SK SP"), "PD", ""),
    "ADNI 1 double echo T2": (header(101, 3000, None, 150, "SE", "SK SP"), "T2", ""),
    "IXI PD": (header(8, 8178, None, 90, "SE", "SK"), "PD", ""),
    "IXI T2": (header(100, 8178, None, 90, "SE", "SK"), "T2", ""),
    "Ljubljana T2": (header(120, 6000, None, 120, "SE", "SK SP"), "T2", ""),
    "HCP SPACE T2": (header(565, 3200, None, 120, "SE", "SK SP", is_3d=True), "T2", ""),
    "Kirby 21 T2": (header(287, 2500, None, None, "SE", "SK"), "T2", ""),
    "GE PROPELLER T2": (header(93, 5000, None, 142, "SE", "SK"), "T2", ""),
    "HASTE": (header(90, 1500, None, 150, "SE", "SK SP OSP"), "T2", ""),
    "STIR 1.5 T": (header(60, 4500, 150, 150, "SE IR", "SK"), "other", "STIR"),
    "STIR 3 T": (header(40, 4000, 220, 150, "SE IR", "SK"), "other", "STIR"),
    "GE GRE T2*": (header(20, 650, None, 20, "GR", "SS"), "other", "T2*"),
    "Siemens 2D FLASH T2*": (header(19.9, 620, None, 20, "GR", "SP", is_3d=False), "other", "T2*"),
    "UK Biobank SWI echo": (header(20, 27, None, 15, "GR", "SP", is_3d=True), "other", "SWI"),
    "GE SWAN": (header(25, 42, None, 15, "GR", "SS SP", is_3d=True), "other", "SWI"),
    "Siemens TOF": (header(3.43, 21, None, 18, "GR", "SP", is_angiography=True), "other", "MRA"),
    "MPM PD": (header(2.2, 25, None, 6, "GR", "SP", is_3d=True), "other", "PD gradient echo"),
    "MP2RAGE second": (header(2.98, 5000, 2500, 5, "GR IR", "SK SP MP"), "other", "MP2RAGE part"),
    "CISS": (header(3.6, 7.2, None, 50, "GR", "SS", is_3d=True), "other", "balanced steady state"),
    "localizer": (header(3.7, 8.6, None, 20, "GR", "SP", is_3d=False), "other", "localizer"),
    "BOLD": (header(30, 2000, None, 77, "EP", "SK"), "other", "echo-planar"),
    "double inversion": (header(325, 7500, 500, 120, "SE IR", "SK"), "other", "inversion recovery"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
def test_published_protocols_are_told(name: str) -> None:
    facts, contrast, technique = PROTOCOLS[name]
    found = recognize(facts)
    assert (found.contrast, found.technique) == (contrast, technique), found
    assert found.confidence != "unsure" or contrast == "other"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_wrong_description_changes_no_contrast(name: str) -> None:
    facts, contrast, _ = PROTOCOLS[name]
    for words in (("t1",), ("t2",), ("flair",), ("stir",), ("pd",), ("localizer",)):
        said = recognize(replace(facts, described_as=words))
        assert said.contrast == contrast, (words, said)


def test_the_reason_says_which_numbers_decide() -> None:
    found = recognize(PROTOCOLS["ADNI 2 Siemens FLAIR"][0])
    assert found.because == (
        "TI 2500 ms with TR 9000 ms and TE 90 ms nulls CSF and leaves T2 to decide: FLAIR"
    )
    assert found.in_words() == f"FLAIR, sure: {found.because}"


def test_an_inversion_nulls_where_bloch_says() -> None:
    assert remaining(4200.0, ti_ms=4200 * 0.6931471805599453, tr_ms=1e9) == pytest.approx(0)
    assert remaining(1000.0, ti_ms=1e9, tr_ms=1e9) == pytest.approx(1)
    assert remaining(1000.0, ti_ms=0, tr_ms=1e9) == pytest.approx(-1)


T1 = PROTOCOLS["Consensus 1.5 T spin echo T1"][0]


@pytest.mark.parametrize(
    ("agent", "words", "contrast", "confidence"),
    [
        (None, (), "T1", "sure"),
        (False, (), "T1", "sure"),
        (True, (), "T1c", "sure"),
        (None, ("t1", "agent"), "T1c", "probable"),
        (True, ("t1", "native"), "T1c", "unsure"),
        (False, ("agent",), "T1", "unsure"),
        (None, ("agent", "native"), "T1", "sure"),
    ],
)
def test_a_contrast_agent_makes_t1c(
    agent: bool | None, words: tuple[str, ...], contrast: str, confidence: str
) -> None:
    found = recognize(replace(T1, has_contrast_agent=agent, described_as=words))
    assert (found.contrast, found.confidence) == (contrast, confidence)


def test_an_agent_in_another_contrast_is_told_beside_it() -> None:
    flair = replace(PROTOCOLS["UK Biobank SPACE FLAIR"][0], has_contrast_agent=True)
    assert (recognize(flair).contrast, recognize(flair).with_agent) == ("FLAIR", True)


@pytest.mark.parametrize(
    ("facts", "contrast", "said"),
    [
        (header(0.09, 9.0, 2.5, 150, "SE IR"), "FLAIR", "in seconds"),
        (header(0.012, 0.55, None, 90, "SE"), "T1", "in seconds"),
        (header(0.00298, 2.3, 0.9, 9, "GR IR", "MP"), "T1", "in seconds"),
        (header(90, 9000, 2.5, 150, "SE IR"), "FLAIR", "TI 2.5 was taken to be in seconds"),
        (header(0.0, 3000, None, None, "SE"), "unknown", "cannot be meant"),
        (header(12000, 550, None, None, "SE"), "unknown", "cannot be meant"),
        (header(90, 5e6, None, None, "SE"), "unknown", "cannot be meant"),
        (header(100, 50, None, None, "SE"), "unknown", "longer than TR"),
        (header(None, None, 2400, None, "IR"), "FLAIR", "TE or TR missing"),
        (header(120, 9000, None, None, "IR"), "FLAIR", "unknown time"),
        (header(), "unknown", "are missing"),
        (header(described_as=("t2",)), "T2", "description alone"),
    ],
)
def test_headers_that_look_wrong_are_taken_with_care(
    facts: MrAcquisition, contrast: str, said: str
) -> None:
    found = recognize(facts)
    assert found.contrast == contrast
    assert said in found.because


def test_a_description_breaks_a_tie_and_says_so() -> None:
    between = header(45, 2500, None, 90, "SE")
    assert recognize(between).confidence == "unsure"
    said = recognize(replace(between, described_as=("t2",)))
    assert (said.contrast, said.confidence) == ("T2", "probable")
    assert "the description says T2" in said.because
    silent = header(120, 9000)
    assert recognize(silent).contrast == "T2"
    assert recognize(replace(silent, described_as=("flair",))).contrast == "FLAIR"


def test_a_description_that_contradicts_lowers_what_is_sure() -> None:
    t2 = PROTOCOLS["IXI T2"][0]
    assert recognize(t2).confidence == "sure"
    found = recognize(replace(t2, described_as=("flair",)))
    assert (found.contrast, found.confidence) == ("T2", "probable")
    assert "though the description says flair" in found.because


@pytest.mark.parametrize(
    ("more", "contrast", "technique"),
    [
        ({"b_value_s_per_mm2": 1000.0}, "DWI", ""),
        ({"image_type": ("DERIVED", "PRIMARY", "ADC")}, "ADC", ""),
        ({"image_type": ("ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW")}, "DWI", ""),
        ({"b_value_s_per_mm2": 0.0, "scanning_sequence": ("EP", "SE")}, "DWI", ""),
        ({"b_value_s_per_mm2": 0.0}, "T2", ""),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "other", "localizer"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "P", "ND")}, "other", "phase or real part"),
        ({"image_type": ("DERIVED", "SECONDARY", "PROJECTION IMAGE")}, "other", "projection"),
        ({"image_type": ("DERIVED", "SECONDARY", "MPR")}, "T2", ""),
    ],
)
def test_what_the_header_says_outright_comes_first(
    more: dict[str, Any], contrast: str, technique: str
) -> None:
    found = recognize(replace(PROTOCOLS["Ljubljana T2"][0], **more))
    assert (found.contrast, found.technique) == (contrast, technique)


def test_diffusion_may_be_told_by_another_rule() -> None:
    told = RecognizedContrast(contrast="DWI", because="a private element says so")
    assert recognize(T1, diffusion=lambda facts: told).contrast == "DWI"
    assert recognize(T1, diffusion=lambda facts: None).contrast == "T1"


def test_a_series_is_one_contrast_or_none() -> None:
    t2 = PROTOCOLS["IXI T2"][0]
    assert recognize_all([t2, t2]) == recognize(t2)
    mixed = recognize_all([t2, T1])
    assert (mixed.contrast, mixed.confidence) == ("unknown", "unsure")
    assert "T1, T2" in mixed.because
    assert recognize_all([]).contrast == "unknown"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AX T2 FLAIR FS", ("t2", "flair")),
        ("t1_mprage_sag_p2_iso_POST", ("t1", "mprage", "agent")),
        ("t1_se_tra_KM", ("t1", "agent")),
        ("AX T1 +C", ("t1", "agent")),
        ("T1w pre contrast", ("t1", "agent", "native")),
        ("t2*_gre", ("t2*",)),
        ("t2_tirm_tra_dark-fluid", ("t2", "flair")),
        ("PDw_TSE", ("pd",)),
        ("AAHead_Scout", ("localizer",)),
        ("Spdt12 reference", ()),
        ("Jane Doe special", ()),
    ],
)
def test_known_words_alone_are_kept_of_free_text(text: str, words: tuple[str, ...]) -> None:
    assert described_as([text, None]) == words


TIMES = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32))
TERMS = st.lists(st.sampled_from("SE GR IR EP RM SK SP MP SS OSP".split()), max_size=3)


@given(
    te=TIMES,
    tr=TIMES,
    ti=TIMES,
    flip=TIMES,
    kind=TERMS,
    variant=TERMS,
    words=st.lists(st.sampled_from("t1 t2 flair pd agent localizer mra".split()), max_size=3),
    agent=st.sampled_from([None, True, False]),
)
def test_any_header_gets_an_answer_in_words(
    te: float | None, tr: float | None, ti: float | None, flip: float | None,
    kind: list[str], variant: list[str], words: list[str], agent: bool | None,
) -> None:  # fmt: skip
    facts = header(te, tr, ti, flip, " ".join(kind), " ".join(variant))
    found = recognize(replace(facts, has_contrast_agent=agent, described_as=tuple(words)))
    assert found.because
    assert found.is_input <= (found.contrast in ANATOMICAL)
    if te is None or tr is None or te <= 0 or tr <= 0:
        assert found.confidence != "sure"


@given(
    te=st.floats(75, 400),
    tr=st.floats(4500, 12000),
    share=st.floats(-0.1, 0.1),
)
def test_whatever_nulls_csf_late_and_waits_for_t2_is_flair(
    te: float, tr: float, share: float
) -> None:
    """TI solved from the wanted rest of CSF, not taken from the rule."""
    from math import exp, log

    ti = -4200 * log((1 + exp(-tr / 4200) - share) / 2)
    assert recognize(header(te, tr, ti, kind="SE IR")).contrast == "FLAIR"
    assert recognize(header(te, tr, kind="SE")).contrast == "T2"
