# Tessera's images; deploy/README.md says how to run them.
#   docker build --target server      -t tessera-server .        the server and the client; no torch
#   docker build --target worker-cpu  -t tessera-worker-cpu .
#   docker build --target worker-cuda -t tessera-worker-cuda .
# Everything is built and run on Debian 12, by the scripts in tools/. A tree made in a build stage is all that goes on
# to an image.
ARG DEBIAN=debian:12-slim
ARG CUDA=nvidia/cuda:13.0.2-devel-ubuntu22.04

# Of this only the toolkit's folder is used: nvcc runs on any Linux whose C library is not older.
FROM ${CUDA} AS cuda-toolkit

FROM ${DEBIAN} AS build
WORKDIR /tessera
COPY tools/common.sh tools/install tools/requirements.txt tools/requirements-cuda.txt tools/
RUN tools/install --service

FROM build AS build-server
COPY . .
RUN --mount=type=cache,target=/root/.cache/ccache \
    tools/build release -DTESSERA_ENGINE=OFF -DTESSERA_TESTS=OFF tessera-server tessera && \
    cmake --install build/release --component server --prefix /tree --strip

FROM build AS build-worker-cpu
RUN tools/install
COPY . .
RUN --mount=type=cache,target=/root/.cache/ccache \
    tools/build release -DTESSERA_CUDA=OFF -DTESSERA_TESTS=OFF tessera-worker && \
    cmake --install build/release --component worker --prefix /tree --strip

FROM build AS build-worker-cuda
RUN tools/install --cuda
COPY . .
ARG CUDA_ARCHITECTURES=90
RUN --mount=type=cache,target=/root/.cache/ccache \
    --mount=type=bind,from=cuda-toolkit,source=/usr/local/cuda-13.0,target=/usr/local/cuda \
    tools/build release -DTESSERA_CUDA=ON "-DTESSERA_CUDA_ARCHITECTURES=${CUDA_ARCHITECTURES}" -DTESSERA_TESTS=OFF \
      tessera-worker && \
    cmake --install build/release --component worker --prefix /tree --strip && \
    cmake --install build/release --component cuda --prefix /tree

FROM ${DEBIAN} AS runtime
RUN useradd --uid 10001 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin tessera
STOPSIGNAL SIGTERM

FROM runtime AS server
RUN --mount=type=bind,source=tools,target=/tools \
    /tools/install --runtime server && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY --from=build-server /tree /usr/local
ENV TESSERA_LISTEN=0.0.0.0:50051 TESSERA_WORKER_LISTEN=0.0.0.0:50052
EXPOSE 50051 50052
USER 10001:10001
# Healthy means that the whole group of workers is ready, which takes as long as loading the weights does.
HEALTHCHECK --interval=5s --timeout=5s --start-period=10m --retries=3 CMD ["tessera", "health", "--deadline", "4"]
# At SIGTERM it finishes the jobs it has admitted: stop it with time to spare (docker stop --time).
ENTRYPOINT ["tessera-server"]

FROM runtime AS worker
RUN --mount=type=bind,source=tools,target=/tools \
    /tools/install --runtime worker && apt-get clean && rm -rf /var/lib/apt/lists/* && \
    install --directory --owner=tessera --group=tessera /var/cache/tessera
# Weights that are not stored in the type they are computed in are converted once, into here: mount a volume.
ENV TESSERA_WEIGHT_CACHE=/var/cache/tessera
USER 10001:10001
ENTRYPOINT ["tessera-worker"]

FROM worker AS worker-cpu
COPY --from=build-worker-cpu /tree /usr/local

FROM worker AS worker-cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-worker-cuda /tree /usr/local
