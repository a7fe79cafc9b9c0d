"""Asks an export everything a client may ask, in a process that has TensorFlow's runtime and nothing of ours.

    python -I probe/__main__.py REQUEST.json REPORT.json

It is run by its path and is then a package of its own, `probe`: hence the relative imports. It imports NumPy and the
standard library only, and loads TensorFlow's shared libraries (see `runtime`): the export runs where no Python can help
it. It says on stdout what it is about to do, so that whoever started it knows what a crash or a hang happened in.

The request: `model` (folder), `signatures` (name -> `inputs` and `outputs`: key -> [dtype, names of tensors, three if
it is sparse]; null if they cannot be read), `examples` (serialized, base64), `pairs` (user and movie of each example),
`reference` (path of the npz of `components.export.export`), `made` (its pairs as examples without genres), `warmup`
(requests: `signature` and `inputs` name -> [dtype, shape, values]), `requests`, `batch_size`, `tolerance`,
`timeout_seconds`.

The report: `findings` (list of {check, where, sent, found, expected}; none if all is well), `load_seconds`,
`latency_ms` (signature -> p50, p95, max), `memory_mb`, `parity` (greatest difference from the reference), `compared`
(number of answers held against it), `calls`, `tensorflow` (version), `cpu_seconds`.
"""
