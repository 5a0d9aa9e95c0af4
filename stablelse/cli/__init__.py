"""Options in, one call, one render out; the only layer that writes to a stream."""
