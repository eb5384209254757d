"""De-identification beside another program, by the ten classes of checks of MIDI-B."""
