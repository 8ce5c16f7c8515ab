"""Metrics of what a generator does; a metric's name is its protocol."""
