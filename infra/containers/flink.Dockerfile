# Flink with the jars that this project's runner needs of Beam. From the root, after
# `infra/flink/up` has filled .cluster/lib:
#   docker build --file infra/containers/flink.Dockerfile --tag clipmill-flink:1.20.5 .
# NOT BUILT where it was written: no registry of images could be reached there. Name the
# base by its digest, and it cannot change: --build-arg BASE=flink@sha256:...
ARG BASE=flink:1.20.5-java17
FROM ${BASE}
COPY --chown=flink:flink .cluster/lib/beam-*.jar .cluster/lib/clipmill-*.jar \
    .cluster/lib/args4j-*.jar .cluster/lib/byte-buddy-*.jar \
    .cluster/lib/classgraph-*.jar .cluster/lib/commons-*.jar \
    .cluster/lib/conscrypt-*.jar .cluster/lib/httpc*.jar .cluster/lib/jackson-*.jar \
    .cluster/lib/joda-time-*.jar .cluster/lib/opentelemetry-*.jar \
    .cluster/lib/snappy-java-*.jar /opt/flink/lib/
USER flink
