"""The training loop: state, steps, draws, summaries and the run folder."""
