# syntax=docker/dockerfile:1
# docker build -t integritee-worker --target deployed-worker --build-arg WORKER_MODE_ARG=offchain-worker -f build.Dockerfile .
# docker build -t integritee-cli    --target deployed-client --build-arg WORKER_MODE_ARG=offchain-worker -f build.Dockerfile .

# An image with Go 1.26, make and CA certificates, and any small image with a shell.
ARG BUILDER_IMAGE=docker.io/library/golang:1.26-bookworm
ARG RUNTIME_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BUILDER_IMAGE} AS builder
ARG WORKER_MODE_ARG=offchain-worker
ENV WORKER_MODE=${WORKER_MODE_ARG} GOTOOLCHAIN=local
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make

FROM ${RUNTIME_IMAGE} AS deployed-client
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=builder /src/test/demo_shielding_unshielding.sh /usr/local/worker-cli/
COPY --from=builder /src/bin/integritee-cli /src/bin/ocw /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/integritee-cli"]

FROM ${RUNTIME_IMAGE} AS deployed-worker
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=builder /src/bin/integritee-service /src/bin/integritee-cli /src/bin/ocw /usr/local/bin/
WORKDIR /var/lib/integritee-worker
VOLUME /var/lib/integritee-worker
# Trusted RPC (TLS websocket), key hand-over, is_initialized.
EXPOSE 2000 3443 4545
ENTRYPOINT ["/usr/local/bin/integritee-service"]
