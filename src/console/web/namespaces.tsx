/** Namespaces, a page of a hundred at a time: who opted in, which registries each may have, what is blocked. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { NamespaceDetails, NamespaceList, NamespaceRow } from "../api.ts";
import { ask } from "./client.ts";
import { Check } from "./field.tsx";
import { useAction, useFetched, useSettled, type PageProps } from "./live.ts";
import { Button, Fault, Loading, namesOf, plural, StateMark, Unread } from "./parts.tsx";
import { go, hrefOf, type Place } from "./place.ts";
import { PageHead, Row, Table } from "./table.tsx";

export function Namespaces({ session, changes, place }: PageProps & { readonly place: Place }): VNode {
  const [filter, setFilter] = useState(place.name);
  const [offset, setOffset] = useState(0);
  const [isOptedInOnly, setIsOptedInOnly] = useState(false);
  const settled = useSettled(filter, 150);
  const query = new URLSearchParams({
    filter: settled,
    offset: offset.toString(),
    optedIn: isOptedInOnly.toString(),
  });
  const version = [changes?.namespaces, changes?.registries, changes?.pods].join(" ");
  const { data, failure } = useFetched<NamespaceList>(`/api/namespaces?${query.toString()}`, version);
  return (
    <>
      <PageHead
        title="Namespaces"
        filter={{
          label: "Filter namespaces by name or labels",
          placeholder: "name, or team=a,tier!=test",
          value: filter,
          onInput(value) {
            setFilter(value);
            setOffset(0);
          },
        }}
        before={
          <Check
            type="checkbox"
            checked={isOptedInOnly}
            onChange={(isChecked) => {
              setIsOptedInOnly(isChecked);
              setOffset(0);
            }}
          >
            opted in
          </Check>
        }
      />
      {data === undefined ? (
        <Loading failure={failure} />
      ) : (
        <>
          <Fault failure={failure} />
          <Unread sentences={data.unread} />
          <NamespaceTable
            list={data}
            open={place.name}
            canSwitch={session.rights.labelNamespaces}
            version={version}
            onMove={setOffset}
          />
        </>
      )}
    </>
  );
}

function NamespaceTable(props: {
  readonly list: NamespaceList;
  /** The name of the one that is open. */
  readonly open: string;
  readonly canSwitch: boolean;
  readonly version: string;
  readonly onMove: (offset: number) => void;
}): VNode | null {
  const { list, open, onMove, ...shared } = props;
  const { rows, unread, optedIn } = list;
  // None that may be read are not none.
  if (rows.length === 0 && unread.length > 0) return null;
  return (
    <>
      <div class="summary">
        <p class="quiet">{plural(optedIn, "namespace")} opted in.</p>
        <Pager list={list} onMove={onMove} />
      </div>
      {rows.length === 0 ? (
        <p class="empty">No namespace matches.</p>
      ) : (
        <Table columns={["Name", "Opted in", "Registries", "Stuck pods"]}>
          {rows.map((row) => (
            <NamespaceLine {...shared} key={row.name} row={row} isOpen={row.name === open} />
          ))}
        </Table>
      )}
    </>
  );
}

/** As the server has it. */
const PAGE_SIZE = 100;

function Pager({
  list: { total, offset, rows },
  onMove,
}: {
  readonly list: NamespaceList;
  readonly onMove: (offset: number) => void;
}): VNode | null {
  if (total <= PAGE_SIZE) return null;
  const last = offset + rows.length;
  // At an end they keep the focus.
  const isFirst = offset === 0;
  const isLast = last >= total;
  return (
    <nav class="pager" aria-label="Pages of namespaces">
      <Button
        aria-disabled={isFirst}
        onClick={() => {
          if (!isFirst) onMove(offset - PAGE_SIZE);
        }}
      >
        Previous
      </Button>
      <span>
        {(offset + 1).toLocaleString("en")}–{last.toLocaleString("en")} of {total.toLocaleString("en")}
      </span>
      <Button
        aria-disabled={isLast}
        onClick={() => {
          if (!isLast) onMove(last);
        }}
      >
        Next
      </Button>
    </nav>
  );
}

const MAX_NAMED = 5;

function NamespaceLine(props: {
  readonly row: NamespaceRow;
  readonly isOpen: boolean;
  readonly canSwitch: boolean;
  readonly version: string;
}): VNode {
  const { row, isOpen, canSwitch, version } = props;
  const { name, isOptedIn, isTerminating, registries, stuckPods } = row;
  return (
    <Row
      title={name}
      {...(isTerminating && { note: "is being deleted" })}
      onToggle={() => {
        go("namespaces", isOpen ? "" : name);
      }}
      cells={{
        "Opted in": <OptIn row={row} canSwitch={canSwitch} />,
        Registries: isOptedIn ? namesOf(registries.slice(0, MAX_NAMED), registries.length) || "none" : "–",
        "Stuck pods": stuckPods === 0 ? "–" : <a href={hrefOf("stuck-pods")}>{stuckPods}</a>,
      }}
      details={isOpen ? <Details name={name} version={version} /> : undefined}
    />
  );
}

function OptIn(props: { readonly row: NamespaceRow; readonly canSwitch: boolean }): VNode {
  const { name, isOptedIn, isTerminating, problems } = props.row;
  const words = isOptedIn ? "yes" : "no";
  const [toggle, isBusy, failure] = useAction(() =>
    ask("PUT", `/api/namespaces/${name}/opt-in`, { isOptedIn: !isOptedIn }),
  );
  return (
    <>
      {props.canSwitch ? (
        <Button
          role="switch"
          class="switch"
          aria-checked={isOptedIn}
          aria-label={`Opt ${name} in`}
          aria-disabled={isBusy}
          disabled={isTerminating}
          onClick={toggle}
        >
          <span class="knob" aria-hidden="true" />
          <span>{words}</span>
        </Button>
      ) : (
        words
      )}
      <Fault failure={failure} />
      {problems.map((problem) => (
        <p key={problem} class="fault">
          {problem}
        </p>
      ))}
    </>
  );
}

function Details({ name, version }: { readonly name: string; readonly version: string }): VNode | null {
  const { data, failure } = useFetched<NamespaceDetails>(`/api/namespaces/${name}`, version);
  if (data === undefined) return <Loading failure={failure} />;
  return (
    <>
      <Unread sentences={data.unread} />
      <dl>
        <dt>Labels</dt>
        <dd>
          <code>{data.labels === "" ? "none" : data.labels.split(",").join(", ")}</code>
        </dd>
        {data.copies.map(({ secret, registries, state }) => (
          <>
            <dt>
              <code>{secret}</code>
            </dt>
            <dd>
              <StateMark state={state} />{" "}
              <span class="quiet">
                for{" "}
                {registries.map((registry, index) => (
                  <>
                    {index > 0 && ", "}
                    <a href={hrefOf("registries", registry)}>{registry}</a>
                  </>
                ))}
              </span>
            </dd>
          </>
        ))}
      </dl>
      {data.copies.length === 0 && <p class="quiet">It has no pull secrets of Pullpass.</p>}
    </>
  );
}
