/** Lists Events about pods that cannot pull, with the rights of whoever asks, and never many of them. */
import { getString, isObject, type JsonObject } from "../../core/kubernetes.ts";
import { hasStatus } from "../errors.ts";
import type { Transport } from "../transport.ts";

/** In more namespaces than that they are listed together. */
const MAX_NAMESPACES = 10;
/** Of one list. Anybody in a namespace may write Events, and what does not fit is not known. */
const MAX_EVENTS = 200;
const MAX_MESSAGE_LENGTH = 1_024;

export interface FoundEvents {
  readonly events: readonly JsonObject[];
  /** Which right is missing, a sentence each. */
  readonly refusals: readonly string[];
}

export async function readEvents(
  client: Pick<Transport, "list">,
  namespaces: readonly string[],
  fieldSelector: string,
): Promise<FoundEvents> {
  const paths =
    namespaces.length > MAX_NAMESPACES
      ? ["/api/v1/events"]
      : namespaces.map((namespace) => `/api/v1/namespaces/${namespace}/events`);
  const events: JsonObject[] = [];
  const refusals: string[] = [];
  const query = { fieldSelector, limit: MAX_EVENTS.toString() };
  await Promise.all(
    paths.map(async (path) => {
      try {
        await client.list({ method: "GET", path, query }, (event) => {
          events.push(shorten(event));
        });
      } catch (error) {
        if (!hasStatus(error, 403)) throw error;
        refusals.push(error.message);
      }
    }),
  );
  return { events, refusals };
}

/** What somebody looks at. The rest may be long. */
function shorten(event: JsonObject): JsonObject {
  const { reason, count, lastTimestamp, eventTime, involvedObject } = event;
  const { kind, namespace, name, uid } = isObject(involvedObject) ? involvedObject : {};
  // A copy: V8 keeps the whole of what was sliced.
  const message = Buffer.from((getString(event, "message") ?? "").slice(0, MAX_MESSAGE_LENGTH)).toString();
  return {
    ...{ reason, count, lastTimestamp, eventTime, message },
    involvedObject: { kind, namespace, name, uid },
  };
}
