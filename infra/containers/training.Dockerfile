# Training and evaluation on a CPU; data set, configuration and output are mounted or
# in an object store. From the repository's root:
#   docker build --file infra/containers/training.Dockerfile --tag clipmill-training .
#   docker run clipmill-training train --config_path ... --dataset ... --output ...
# For Ascend take one of MindSpore's own images of the same version as the base.
# NOT BUILT where it was written: no registry of images could be reached there. Name the
# base by its digest, and it cannot change: --build-arg BASE=python@sha256:...
ARG BASE=python:3.11.13-slim-bookworm
FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/clipmill
COPY infra/constraints.txt infra/constraints.txt
COPY infra/configs infra/configs
COPY setup.py ./
COPY pipelines pipelines
COPY mindrecord_io mindrecord_io
COPY model model
COPY train train
COPY eval eval
RUN pip install --no-cache-dir --constraint infra/constraints.txt .
RUN useradd --uid 10001 --create-home clipmill
USER 10001
ENV CLIPMILL_CACHE=/tmp/clipmill
ENTRYPOINT ["python", "-m"]
CMD ["train", "--help"]
