"""One module a lane: `start` gives its processes, `accepting` is what the emitter does."""
