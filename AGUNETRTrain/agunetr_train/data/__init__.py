"""Labelled cases: where they come from, whether they can be trained on, and how the network sees them."""
