"""Numbers that come in blocks: running sums, and elements and arrays computed from them."""
