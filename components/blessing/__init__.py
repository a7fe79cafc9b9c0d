"""The model gate: one decision, with its reasons, on whether a model may be served."""
