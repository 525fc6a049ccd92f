# The service, with every destination type. Build it in a clone: docker build -t consignee .
# Another base, or one by its digest, with the same Python: --build-arg BASE=python:3.13-slim-trixie@sha256:...
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
# Fewer types make a smaller image: --build-arg EXTRAS=s3,metrics
ARG EXTRAS=all,speed
WORKDIR /source
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY app app
# The environment gets no pip of its own: nothing is installed into a running container.
RUN python -m venv --without-pip /opt/consignee \
    && python -m pip --python /opt/consignee/bin/python install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]"

FROM ${BASE}
# A number that is the same in every image, so that volumes and key files can be given to it.
RUN groupadd --gid 10001 consignee \
    && useradd --no-log-init --uid 10001 --gid consignee --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin consignee \
    && install -d -o consignee -g consignee -m 0700 /var/lib/consignee
COPY --from=build /opt/consignee /opt/consignee
COPY packaging/docker/consignee.toml /etc/consignee/consignee.toml
# What is the container's own goes before any file. The store is a directory in the volume: some mount the volume itself
# with rights for others, which is refused. The sealing key is handed over, and lies in no layer and no volume.
# hadolint ignore=DL3064
ENV PATH="/opt/consignee/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    CONSIGNEE_SERVER__HOST=0.0.0.0 \
    CONSIGNEE_STORE__PATH=/var/lib/consignee/store \
    CONSIGNEE_SECRETS__KEY_FILE=/run/secrets/consignee_sealing_key
USER 10001:10001
VOLUME /var/lib/consignee
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["consignee", "health", "--config", "/etc/consignee/consignee.toml"]
ENTRYPOINT ["consignee"]
CMD ["serve", "--config", "/etc/consignee/consignee.toml"]
