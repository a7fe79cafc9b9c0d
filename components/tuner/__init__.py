"""Searches the best hyperparameters of a model."""
