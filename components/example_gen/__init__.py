"""Ratings ExampleGen: reads a ratings log of a known layout, splits it and writes tf.Examples."""
