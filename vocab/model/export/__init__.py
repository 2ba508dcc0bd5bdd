"""Trained models as folders that transformers loads, and text generated with them."""
