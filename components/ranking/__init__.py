"""The ranking evaluator: how models rank the catalogue for each user, and the floors they are held against."""
