#!/usr/bin/env bash
# The built program alone, in an empty directory: whatever is not in the bundle fails here.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null; rm -rf "$work"' EXIT

cp -r "$root/dist" "$root/package.json" "$work"
cd "$work"

pullpass=(node dist/main.js)
config=$root/deploy/examples/pullpass.yaml
"${pullpass[@]}" --version
"${pullpass[@]}" explain --config "$config" --json nginx | grep -q '"secret":"hub-creds"'
"${pullpass[@]}" inject --config "$config" -f "$root/deploy/examples/deployment.yaml" 2>&1 | grep -q 'injected regcred'

"${pullpass[@]}" serve --standalone --tls-self-signed --config "$config" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 >log &
server=$!
for _ in $(seq 100); do
  grep -q '"msg":"ready"' log && break
  sleep 0.1
done
url=$(sed -n '/"msg":"ready"/s/.*"url":"\([^"]*\)".*/\1/p' log)
review=$root/test/fixtures/reviews/01-create-bare-pod-kubectl-apply.json
NODE_TLS_REJECT_UNAUTHORIZED=0 node --no-warnings --input-type=module -e '
  import { readFileSync } from "node:fs";
  const [url, file] = process.argv.slice(1);
  const body = readFileSync(file);
  const answer = await (await fetch(`${url}/mutate`, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
  if (!answer.response.allowed || answer.response.patchType !== "JSONPatch") throw new Error("no patch in the answer");
' "$url" "$review"
kill -INT "$server"
wait "$server"
server=
echo "smoke test passed on Node $(node --version)"
