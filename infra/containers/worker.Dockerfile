# A Beam worker with this project in it. From the repository's root:
#   docker build --file infra/containers/worker.Dockerfile --tag clipmill-worker:2.77.0 .
# NOT BUILT where it was written: no registry of images could be reached there. So no
# digest of a base could be looked up either; name yours, and then it cannot change:
#   --build-arg BASE=python@sha256:... --build-arg BEAM=apache/beam_python3.11_sdk@sha256:...
ARG BASE=python:3.11.13-slim-bookworm
ARG BEAM=apache/beam_python3.11_sdk:2.77.0
FROM ${BEAM} AS beam

FROM ${BASE}
# libgomp1 is MindSpore's; opencv-python-headless brings what it needs.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg libgomp1 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/clipmill
COPY infra/constraints.txt infra/constraints.txt
COPY setup.py ./
COPY pipelines pipelines
COPY mindrecord_io mindrecord_io
COPY model model
COPY train train
COPY eval eval
COPY infra/flink/worker_pool.py worker_pool.py
RUN pip install --no-cache-dir --constraint infra/constraints.txt '.[cloud]'
# The version must be that of apache-beam in the constraints.
COPY --from=beam /opt/apache/beam /opt/apache/beam
RUN useradd --uid 10001 --create-home clipmill
USER 10001
WORKDIR /home/clipmill
ENV CLIPMILL_CACHE=/tmp/clipmill
ENTRYPOINT ["/opt/apache/beam/boot"]
