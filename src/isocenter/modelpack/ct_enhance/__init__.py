"""The CT enhancement model: posterior mean, bridge, calibrated interval."""
