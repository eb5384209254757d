"""Valid and marked DICOM objects: derived and new series, maps, masks."""
