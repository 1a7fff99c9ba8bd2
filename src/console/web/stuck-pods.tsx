/** Pods that cannot pull, by their cause, with the one place to mend each. */
import type { VNode } from "preact";
import type { HealRow, StuckGroup, StuckPodList, StuckPodRow } from "../api.ts";
import { useFetched, type PageProps } from "./live.ts";
import { Code, Cut, Fault, Loading, plural, StateMark, Time, Unread, useClock } from "./parts.tsx";
import { hrefOf } from "./place.ts";
import { PageHead, Row, Table } from "./table.tsx";

export function StuckPods({ session, changes }: PageProps): VNode {
  const version = [changes?.pods, changes?.namespaces, changes?.registries].join(" ");
  const { data, failure } = useFetched<StuckPodList>("/api/stuck-pods", version);
  return (
    <>
      <PageHead title="Stuck pods" />
      {data === undefined ? (
        <Loading failure={failure} />
      ) : (
        <>
          <Fault failure={failure} />
          <Unread sentences={data.unread} />
          {data.count === 0 ? (
            data.unread.length === 0 && (
              <p class="empty">No pod waits for an image that could not be pulled.</p>
            )
          ) : (
            <p class="quiet">
              {plural(data.count, "pod")} cannot pull, for {plural(data.groups.length, "reason")}.
            </p>
          )}
          {data.groups.map((group) => (
            <Group
              key={`${group.code} ${group.registry} ${group.namespace} ${group.sentence}`}
              group={group}
              canEdit={session.rights.updateRegistries}
            />
          ))}
          {data.healed !== null && <Healed rows={data.healed} />}
          {data.others > 0 && (
            <p class="quiet">
              {plural(data.others, "more stuck pod")} in namespaces that did not opt in, with images that no
              registry covers.
            </p>
          )}
        </>
      )}
    </>
  );
}

function Group({ group, canEdit }: { readonly group: StuckGroup; readonly canEdit: boolean }): VNode {
  const { title, sentence, advice, registry, namespace, command, pods, count } = group;
  return (
    <section class="group">
      <h2>
        {title} <span class="quiet">{plural(count, "pod")}</span>
      </h2>
      <p>{sentence}</p>
      <p class="advice">{advice}</p>
      {registry !== "" && (
        <p>
          <a class="button" href={hrefOf("registries", registry, canEdit ? "edit" : "")}>
            {canEdit ? "Edit" : "Open"} registry {registry}
          </a>
        </p>
      )}
      {namespace !== "" && (
        <p>
          <a class="button" href={hrefOf("namespaces", namespace)}>
            Open namespace {namespace}
          </a>
        </p>
      )}
      {command !== "" && <Code text={command} label="Command" />}
      <Table columns={["Pod", "Owner", "Image", "Since", "Next try"]}>
        {pods.map((pod) => (
          <Row
            key={`${pod.namespace}/${pod.name}`}
            title={`${pod.namespace}/${pod.name}`}
            cells={{
              Owner: pod.owner === "" ? "–" : pod.owner,
              Image: <Cut text={pod.image} />,
              Since: pod.since === null ? "–" : <Time at={pod.since} />,
              "Next try": <NextTry {...pod.nextTry} />,
            }}
          />
        ))}
      </Table>
      {count > pods.length && <p class="quiet">And {(count - pods.length).toLocaleString("en")} more.</p>}
    </section>
  );
}

/** The kubelet may be a little late. */
function NextTry({ at, words }: StuckPodRow["nextTry"]): VNode {
  const now = useClock();
  if (at === undefined) return <>{words}</>;
  return at > now ? <Time at={at} /> : <>any moment</>;
}

function Healed({ rows }: { readonly rows: readonly HealRow[] }): VNode {
  return (
    <section class="group">
      <h2>Heal</h2>
      {rows.length === 0 ? (
        <p class="quiet">
          No pod was evicted so that it can pull, and none is left alone, as far as the Events of the last
          hour tell.
        </p>
      ) : (
        <Table columns={["Workload", "State", "Why", "When"]}>
          {rows.map(({ namespace, owner, state, message, at }) => (
            <Row
              key={`${namespace} ${owner} ${at.toString()} ${message}`}
              title={`${namespace}/${owner}`}
              cells={{ State: <StateMark state={state} />, Why: message, When: <Time at={at} /> }}
            />
          ))}
        </Table>
      )}
    </section>
  );
}
