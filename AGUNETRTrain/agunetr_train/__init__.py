"""Training of AGUNETR networks: data, augmentation, trainer, runs and export. Imports agunetr, never the reverse."""
