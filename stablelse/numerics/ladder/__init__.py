"""Correctly rounded results: a ladder of precisions, and what certifies them."""
