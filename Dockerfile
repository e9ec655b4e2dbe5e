# The command semcomp without torch, in an image of less than 300 MB:
#
#     make dist && docker build -t semcomp-edge .
#     docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" semcomp-edge encode photo.jpg
#
# docs/guides/container.md says how large it is. tools/image_root.sh makes the same files without Docker.

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM base AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
COPY constraints.txt dist/semcomp_edge-*.whl /wheels/
# pip compiles what it installs: a container that is started for one photo has no time for that. Tests, and what onnxruntime has for
# those who make graphs, are removed.
RUN python3 -m venv /opt/semcomp \
    && /opt/semcomp/bin/pip install --no-cache-dir -c /wheels/constraints.txt /wheels/semcomp_edge-*.whl \
    && /opt/semcomp/bin/pip uninstall --yes setuptools pip \
    && find /opt/semcomp -type d -name tests -prune -exec rm -r {} + \
    && cd /opt/semcomp/lib/python3.11/site-packages/onnxruntime && rm -r transformers quantization tools

FROM base
COPY --from=build /opt/semcomp /opt/semcomp
ENV PATH=/opt/semcomp/bin:$PATH
WORKDIR /data
ENTRYPOINT ["semcomp"]
CMD ["--help"]
