"""Measurements and proofs under load, for developers: ``python -m bench`` runs all of them."""
