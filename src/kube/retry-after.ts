/** When the API server wants to be asked again. */

/** Its own overload protection says one to some seconds; nobody else may put us to sleep for long. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Milliseconds to wait before the same request is sent again; undefined if this answer does not ask for that. 429 and
 * 503 with the header mean that the request was not looked at, whatever its method.
 *
 * @param header seconds, or an HTTP date, https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function retryAfterMs(status: number, header: string | undefined, now: number): number | undefined {
  if ((status !== 429 && status !== 503) || header === undefined) return undefined;
  const milliseconds = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(milliseconds) ? undefined : Math.min(Math.max(milliseconds, 0), MAX_RETRY_AFTER_MS);
}
