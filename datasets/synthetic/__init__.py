"""Synthetic photographs: a face model, and what its mesh does not know."""
