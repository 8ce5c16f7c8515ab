"""Photographs with labels: the record format, synthetic photographs, alignment of real ones."""
