"""Objects without the identity of their patient: DICOM PS3.15 Annex E, driven by its tables."""
