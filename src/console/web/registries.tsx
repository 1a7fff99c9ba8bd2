/** The table of registries. A row opens in place; the form takes the table's place. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { RegistryList, RegistryRow, SessionInfo } from "../api.ts";
import { useFetched, type PageProps } from "./live.ts";
import { Cut, Fault, Loading, StateMark, Unread, useFlash } from "./parts.tsx";
import { go, hrefOf, type Place } from "./place.ts";
import { RegistryDetails } from "./registry-details.tsx";
import { RegistryForm } from "./registry-form.tsx";
import { PageHead, Row, Table } from "./table.tsx";

const AUTH_WORDS: Readonly<Record<RegistryRow["auth"], string>> = {
  BasicAuth: "Password",
  Token: "Token",
  DockerConfig: "config.json",
  Provider: "Provider",
  Secret: "Secret",
  None: "none",
  unknown: "–",
};

export function Registries({ session, changes, place }: PageProps & { readonly place: Place }): VNode {
  const { data, failure, refresh } = useFetched<RegistryList>("/api/registries", changes?.registries);
  const [filter, setFilter] = useState("");
  const { rights } = session;
  const form = { session, list: data, onSaved: refresh };
  const edited = useEdited(data?.rows, place);
  const isFirst = data?.rows.length === 0 && data.unread.length === 0 && rights.createRegistries;
  useEffect(() => {
    // The form stays when somebody else adds one meanwhile.
    if (isFirst && place.action === "") location.replace(hrefOf("registries", "", "new"));
  }, [isFirst, place.action]);
  useFocusOfOpener(place);
  if (edited !== undefined) return <RegistryForm {...form} key={edited.name} row={edited} />;
  if (place.action === "new" || isFirst) {
    const intro = isFirst && { intro: introWords(data.optedIn) };
    return <RegistryForm {...form} key="new" row={undefined} {...intro} />;
  }
  // It does not move when the list comes.
  const head = (
    <PageHead
      title="Registries"
      filter={{ label: "Filter registries", placeholder: "filter", value: filter, onInput: setFilter }}
    >
      {rights.createRegistries && (
        <a class="button primary" data-add-registry href={hrefOf("registries", "", "new")}>
          Add registry
        </a>
      )}
    </PageHead>
  );
  if (data === undefined)
    return (
      <>
        {head}
        <Loading failure={failure} />
      </>
    );
  return (
    <>
      {head}
      <Unread sentences={data.unread} />
      <Fault failure={failure} />
      <RegistryTable {...{ session, place, filter }} list={data} />
    </>
  );
}

function RegistryTable(props: {
  readonly list: RegistryList;
  readonly filter: string;
  readonly place: Place;
  readonly session: SessionInfo;
}): VNode {
  const { filter, place, session } = props;
  const { rows, unread } = props.list;
  const shown = rows.filter((row) => matches(row, filter));
  // What may not be read may be there all the same.
  const isKnown = unread.length === 0;
  return (
    <>
      {isKnown && place.name !== "" && !rows.some(({ name }) => name === place.name) && (
        <p class="notice warn">There is no registry {place.name}.</p>
      )}
      {shown.length === 0 ? (
        isKnown && (
          <p class="empty">
            {filter === "" ? "There are no registries." : "No registry matches the filter."}
          </p>
        )
      ) : (
        <Table columns={["Name", "Address", "Auth", "State", "Namespaces"]}>
          {shown.map((row) => (
            <RegistryLine key={rowKey(row)} row={row} isOpen={row.name === place.name} session={session} />
          ))}
        </Table>
      )}
    </>
  );
}

/** The row whose form is open. It stays, with what was typed, when somebody else deletes the registry; a file may have its name, too. */
function useEdited(rows: RegistryList["rows"] | undefined, { name, action }: Place): RegistryRow | undefined {
  const edited = useRef<RegistryRow>(undefined);
  const before = edited.current?.name === name ? edited.current : undefined;
  const current = rows?.find((row) => row.name === name && row.object !== null);
  return (edited.current = action === "edit" ? (current ?? before) : undefined);
}

/** A form that closes gives the focus back to what opened it; one that made a registry, to its row, which may yet come and take it. */
function useFocusOfOpener(place: Place): void {
  const before = useRef(place);
  useEffect(() => {
    const { action, name } = before.current;
    before.current = place;
    if (action === "" || place.action !== "") return;
    const ofNew = place.name === "" ? "[data-add-registry]" : "tr.open button";
    const opener = action === "edit" ? `main a[href="${hrefOf("registries", name, "edit")}"]` : ofNew;
    document.querySelector<HTMLElement>(opener)?.focus();
  }, [place]);
}

function introWords(optedIn: number | null): string {
  return `There is no registry yet. Once this one is saved, ${optedInWords(optedIn)}, and their new pods pull with it.`;
}

function optedInWords(count: number | null): string {
  if (count === null) return "every namespace that opted in gets a copy";
  if (count === 0) return "every namespace that opts in gets a copy";
  return count === 1
    ? "the one namespace that opted in gets a copy"
    : `the ${count.toString()} namespaces that opted in get copies`;
}

function rowKey({ name, object }: RegistryRow): string {
  return object === null ? `file-${name}-` : name;
}

function matches({ name, displayName, address, state }: RegistryRow, filter: string): boolean {
  const text = [name, displayName, address, state.words].join(" ").toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function RegistryLine(props: {
  readonly row: RegistryRow;
  readonly isOpen: boolean;
  readonly session: SessionInfo;
}): VNode {
  const { row, isOpen, session } = props;
  const { name, displayName, address, auth, state, namespaces } = row;
  const isFresh = useFlash(`${state.words} ${address} ${displayName}`);
  return (
    <Row
      title={displayName}
      isFresh={isFresh}
      onToggle={() => {
        go("registries", isOpen ? "" : name);
      }}
      cells={{
        Address: address === "" ? "–" : <Cut text={address} />,
        Auth: AUTH_WORDS[auth],
        State: <StateMark state={state} />,
        Namespaces:
          namespaces === null
            ? "–"
            : `${namespaces.synced?.toString() ?? "–"}/${namespaces.selected.toString()}`,
      }}
      details={isOpen ? <RegistryDetails row={row} session={session} /> : undefined}
    />
  );
}
