"""One TOML file, read into frozen dataclasses that say what every key means."""
