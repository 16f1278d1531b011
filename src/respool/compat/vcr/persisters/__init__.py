"""vcrpy's persisters."""
