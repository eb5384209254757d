"""The only place that handles DICOM datasets: reading, writing and marking."""
