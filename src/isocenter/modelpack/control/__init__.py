"""Control of a generator: a ControlNet that belongs to it."""
