# The server in an image: docker build --tag license-server .
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --locked --profile dist -p license-server

FROM debian:bookworm-slim
# The roots of Debian are for webhooks.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 license-server \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/license-server --shell /usr/sbin/nologin license-server \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/license-server
COPY --from=build /source/target/dist/license-server /usr/bin/license-server
# The database is licenses.db in the working folder. A value here would contradict LICENSE_DATABASE_FILE.
ENV LICENSE_LISTEN=0.0.0.0:8080
USER 10001:10001
# The only folder that the server writes. Mount a volume here, owned by 10001.
WORKDIR /var/lib/license-server
VOLUME /var/lib/license-server
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 CMD ["license-server", "healthcheck"]
ENTRYPOINT ["license-server"]
