"""ADC maps against those of scanners, and against the truth of simulated infarcts."""
