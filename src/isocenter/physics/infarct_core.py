"""The ADC that tells an infarct core; a number alone, so that settings can name it cheaply."""

INFARCT_CORE_UM2_PER_S = 620.0
"""Upper end of the ADC of an infarct core (Purushotham et al., J. Magn. Reson. Imaging 41:977,
2015: best agreement with final infarcts after reperfusion)."""
