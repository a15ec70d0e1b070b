# One image for every role: `controller`, `worker`, and `run` on one machine. `make image` builds it.
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


# Gathers in /image what the binary opens at run time, and what scanners and licences ask for of the packages that it is from.
FROM debian:bookworm-slim AS runtime

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libcurl4 libhiredis0.14 libsqlite3-0 \
    && rm -rf /var/lib/apt/lists/*

COPY --from=builder /out/agentpool /image/usr/local/bin/agentpool
COPY LICENSE /image/usr/share/doc/agentpool/LICENSE

WORKDIR /image
RUN set -eu; \
    mkdir -p etc var/lib/dpkg/status.d; \
    install -d -o 65532 -g 65532 /home/agentpool; \
    mkdir -m 1777 tmp; \
    echo 'root:x:0:0:root:/:/usr/sbin/nologin' > etc/passwd; \
    echo 'agentpool:x:65532:65532:agentpool:/var/lib/agentpool:/usr/sbin/nologin' >> etc/passwd; \
    printf 'root:x:0:\nagentpool:x:65532:\n' > etc/group; \
    echo 'hosts: files dns' > etc/nsswitch.conf; \
    ldd usr/local/bin/agentpool > /tmp/libraries; \
    if grep 'not found' /tmp/libraries; then exit 1; fi; \
    for file in $(grep -o '/[^ ]*' /tmp/libraries) /etc/ssl/certs/ca-certificates.crt; do \
        cp --dereference --parents "$file" .; \
        dpkg-query --search "*/${file##*/}" >> /tmp/packages || test "$file" = /etc/ssl/certs/ca-certificates.crt; \
    done; \
    echo 'ca-certificates: made by its installation' >> /tmp/packages; \
    for package in $(cut -d : -f 1 /tmp/packages | sort -u); do \
        dpkg-query --status "$package" > "var/lib/dpkg/status.d/$package"; \
        cp --dereference --parents "/usr/share/doc/$package/copyright" .; \
    done


# No shell and no package manager: the binary, its libraries, certificates and a user.
FROM scratch

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="agentpool" \
      org.opencontainers.image.description="A state engine for agent workflows" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

COPY --from=runtime /image /
COPY --from=runtime --chown=65532:65532 /home/agentpool /var/lib/agentpool

USER 65532:65532
ENV HOME=/var/lib/agentpool \
    PATH=/usr/local/bin
WORKDIR /var/lib/agentpool
# The public port, the admin port, and the controller's metrics and health.
EXPOSE 8080 9090 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/agentpool"]
