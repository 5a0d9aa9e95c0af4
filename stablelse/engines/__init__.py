"""An iterable of blocks folded into one state: here, or on a cluster."""
