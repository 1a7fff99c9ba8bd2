-- For wrk: posts the review in the file that the first argument names, with the headers that an API server sends, and
-- prints the outcome as JSON. Without a `request` function wrk formats the request once.

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  wrk.headers["User-Agent"] = "kube-apiserver-admission"
  wrk.headers["Accept"] = "application/json, */*"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Accept-Encoding"] = "gzip"
end

-- Durations are in microseconds.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"p99":%f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
