"""The data gate: stops a run whose ratings the policy refuses, before anything is learned from them."""
