# The image of Kubeflow's tasks and of worker pools; the target `worker` is that of Beam's workers on Dataflow.
# Not built where the tests run, which have no Docker engine: pipeline/runners/README.md says what was tested.
FROM python:3.11-slim-bookworm AS installed

WORKDIR /opt/marquee
COPY requirements.lock ./
# As `make setup`: uv at the version and hashes of the lock, then all of it.
RUN sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.txt \
    && pip install --no-cache-dir --no-deps --require-hashes -r uv.txt \
    && uv pip sync --no-cache --python "$(command -v python)" --require-hashes --compile-bytecode requirements.lock
COPY setup.py README.md ./
COPY schema ./schema
COPY components ./components
COPY pipeline ./pipeline
RUN uv pip install --no-cache --python "$(command -v python)" --no-deps --no-build-isolation --editable . \
    && python -m compileall -q pipeline components

RUN useradd --create-home --uid 1000 marquee
USER 1000
WORKDIR /home/marquee

FROM installed AS worker
COPY --from=apache/beam_python3.11_sdk:2.65.0 /opt/apache/beam /opt/apache/beam
ENTRYPOINT ["/opt/apache/beam/boot"]

FROM installed
ENTRYPOINT ["marquee"]
