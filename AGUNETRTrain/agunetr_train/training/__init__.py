"""Training of one job on MONAI's engines and handlers."""
