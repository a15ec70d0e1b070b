# The image of the worker, and of `run` on one machine.
FROM swift:6.3-bookworm AS builder

RUN apt-get update \
    && apt-get install --yes --no-install-recommends libcurl4-openssl-dev libhiredis-dev libsqlite3-dev libssl-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /source

# The packages change seldom: a layer of their own keeps them out of the daily build.
COPY Package.* ./
RUN swift package resolve

COPY Sources Sources
COPY Tests Tests
COPY Benchmarks/RedisThroughput Benchmarks/RedisThroughput
RUN swift build --configuration release --product agentpool -Xswiftc -static-stdlib \
    && install -D --strip "$(swift build --configuration release --show-bin-path)/agentpool" /out/agentpool


FROM debian:bookworm-slim

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="agentpool" \
      org.opencontainers.image.description="A state engine for agent workflows" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libcurl4 libhiredis0.14 libsqlite3-0 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 agentpool \
    && useradd --uid 65532 --gid 65532 --home-dir /var/lib/agentpool --create-home --shell /usr/sbin/nologin agentpool

COPY --from=builder /out/agentpool /usr/local/bin/agentpool

USER 65532:65532
ENV HOME=/var/lib/agentpool
WORKDIR /var/lib/agentpool
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/agentpool"]
