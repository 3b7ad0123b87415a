"""UNETR, its attention gates, and the checkpoints that move between them."""
