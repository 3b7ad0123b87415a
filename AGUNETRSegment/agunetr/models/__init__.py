"""Model folders: saving, verifying, listing, importing."""
