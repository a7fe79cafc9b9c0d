"""The same task as a pipeline of TFX's stock components, as its tutorials put them together; to be compared with."""
