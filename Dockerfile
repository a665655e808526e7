# The service's image: docker build -t llm-service .
# EXTRAS: which of the extras it has beside the runtime, by the names of their locks: --build-arg EXTRAS="jwt semantic".
# docs/deploy/docker.md says how it is meant to be run, and what of it was not tried.

# The digest is that of the index for all platforms; scripts that renew pins find it by this one line.
ARG PYTHON_IMAGE=python:3.13.15-slim-trixie@sha256:ffb752e139c0a19692a43af8d8523b274222dd68eebad5d583b45c2201c6e30a

FROM ${PYTHON_IMAGE} AS build
ARG EXTRAS=jwt
WORKDIR /source
# First what seldom changes, so that a change of the source installs no package anew.
COPY requirements/ requirements/
COPY deploy/container/build deploy/container/build
RUN deploy/container/build packages run ${EXTRAS}
COPY pyproject.toml README.md LICENSE ./
COPY src/ src/
RUN deploy/container/build service

FROM ${PYTHON_IMAGE}
# The one place of the version is src/llm_service/__init__.py; a test holds this to it.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="llm-service" \
      org.opencontainers.image.description="A self-hosted gateway for large language models: one OpenAI-compatible door, many providers behind it." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/llm-service /opt/llm-service
COPY LICENSE /usr/share/doc/llm-service/LICENSE
# A named volume that is mounted on the second for the first time takes over its owner.
RUN install -d -m 0755 /etc/llm-service \
    && install -d -m 0700 -o 65532 -g 65532 /var/lib/llm-service
# Beyond loopback the service starts with an admin key alone. Health is asked at the port that is set here.
ENV PATH=/opt/llm-service/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STATE_DIRECTORY=/var/lib/llm-service \
    LLM_SERVICE_SANDBOX=off \
    LLM_SERVICE_SERVER__HOST=0.0.0.0 \
    LLM_SERVICE_SERVER__PORT=8080
USER 65532:65532
# A file llm-service.yaml that is mounted here is the configuration, with nothing more to say.
WORKDIR /etc/llm-service
VOLUME ["/var/lib/llm-service"]
EXPOSE 8080
# SIGTERM: running streams may finish within server.shutdown_grace_s; give the container some seconds more than that.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/llm-service/bin/llm-service", "health"]
ENTRYPOINT ["/opt/llm-service/bin/llm-service"]
CMD ["serve"]
