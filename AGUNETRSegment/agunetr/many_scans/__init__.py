"""Many CTs in one run: which there are, whose turn it is, which are finished, and a pipeline for the rest."""
