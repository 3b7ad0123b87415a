"""Experiments as data: what is trained on what, with every hyperparameter, and the jobs that follow from it."""
