FROM node:26.10.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:26.10.0-trixie-slim
# The C library's memory: pools that threads share, as each of V8's would keep its own, and given back when it is free.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
USER 65532:65532
EXPOSE 8443 8080
# V8's memory: it goes by the size of the machine, and grows its heap to many times of what is in use before it clears
# it. `npm run bench:replicator` measures it, and without these flags under BENCH_NODE_FLAGS=.
ENTRYPOINT ["node", "--max-semi-space-size=2", "--heap-growing-percent=10", "/app/dist/main.js"]
