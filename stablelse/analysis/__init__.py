"""Numbers into facts: what each method computed, what broke, and where; no wording, no colour."""
