"""What every part of Isocenter shares: volumes, errors, seeds and the record of a run."""
