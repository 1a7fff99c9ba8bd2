# Pin it by digest for a build that can be repeated: --build-arg NODE_IMAGE=node:26.10.0-trixie-slim@sha256:...
ARG NODE_IMAGE=node:26.10.0-trixie-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY deploy/image deploy/image
COPY src src
RUN npm run build
# What V8 compiles at every start, compiled once: a tenth of the processor time of a start. Node keeps it by the user, so this is the
# user of the last stage.
RUN NODE_COMPILE_CACHE=/app/compile-cache node dist/main.js --version && \
    for directory in compile-cache/*; do mv "$directory" "${directory%-*}-65532"; done && chmod -R a+rX compile-cache
RUN npm prune --omit=dev --omit=optional --ignore-scripts
# For scanners, which find no package manager in the image. npm lists what the package asks for, so it asks for no more.
RUN npm pkg delete devDependencies optionalDependencies && npm sbom --sbom-format=spdx > sbom.spdx.json
RUN sh deploy/image/collect-runtime.sh /runtime

# Node, the libraries that it is linked with, and nothing else: no shell, no package manager.
FROM scratch
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pullpass" \
      org.opencontainers.image.description="Gives every pod the registry credentials that its images need" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      dev.pullpass.sbom="/app/sbom.spdx.json"
# The C library's memory: pools that threads share, as each of V8's would keep its own, and given back when it is free.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072 NODE_COMPILE_CACHE=/app/compile-cache
COPY --from=build /runtime /
COPY --from=build /app/package.json /app/sbom.spdx.json /app/
COPY --from=build /app/dist /app/dist
COPY --from=build /app/compile-cache /app/compile-cache
USER 65532:65532
WORKDIR /app
EXPOSE 8443 8080
# V8's memory: two generations of new objects of at most 8 MiB, and old ones in 40 % of the container's limit. With 55 MiB of Node
# itself, 24 MiB of new objects, and 45 MiB of connections and what they send, that is nine tenths of 256 MiB. `npm run
# bench:replicator` measures it, and without these flags under BENCH_NODE_FLAGS=. src/serve/heap.ts has more.
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=8", "--max-old-space-size-percentage=40", "/app/dist/main.js"]
