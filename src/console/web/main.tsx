/** The console's pages: who is logged in, and which page is shown. */
import { render, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Changes, Failure, SessionInfo } from "../api.ts";
import { ask, onSessionEnd } from "./client.ts";
import { Explain } from "./explain.tsx";
import { Frame } from "./frame.tsx";
import { useChanges } from "./live.ts";
import { Login, LoginDialog, readLoginInfo, type LoginInfo } from "./login.tsx";
import { Namespaces } from "./namespaces.tsx";
import { usePlace } from "./place.ts";
import { Registries } from "./registries.tsx";
import { StuckPods } from "./stuck-pods.tsx";

/** What every page gets. */
export interface PageProps {
  readonly session: SessionInfo;
  readonly changes: Changes | null;
}

function App(): VNode | null {
  const [login, setLogin] = useState<LoginInfo | null>(null);
  const [session, setSession] = useState<SessionInfo | null>(null);
  const [failed, setFailed] = useState<Failure>();
  const [hasEnded, setHasEnded] = useState(false);
  /** A stream of changes belongs to one session. */
  const [sessions, setSessions] = useState(0);

  const begin = (info: SessionInfo): void => {
    setSession(info);
    setHasEnded(false);
    setSessions((count) => count + 1);
  };
  useEffect(() => {
    void readLoginInfo().then(({ info, session: found, failed: why }) => {
      setLogin(info);
      setFailed(why);
      if (found !== null) begin(found);
    });
    return onSessionEnd(() => {
      setHasEnded(true);
    });
  }, []);

  if (login === null) return null;
  if (session === null) return <Login info={login} failed={failed} onLogin={begin} />;
  const logOut = (): void => {
    void ask("POST", "/api/logout", {}).finally(() => {
      setSession(null);
    });
  };
  return (
    <>
      <Pages key="pages" session={session} number={sessions} onLogOut={logOut} />
      {hasEnded && <LoginDialog info={login} onLogin={begin} />}
    </>
  );
}

function Pages(props: {
  readonly session: SessionInfo;
  readonly number: number;
  readonly onLogOut: () => void;
}): VNode {
  const { session, number, onLogOut } = props;
  const place = usePlace();
  const changes = useChanges(number);
  const page = { session, changes };
  return (
    <Frame session={session} place={place} stuckPods={changes?.stuckPods ?? 0} onLogOut={onLogOut}>
      {place.page === "registries" && <Registries {...page} place={place} />}
      {place.page === "namespaces" && <Namespaces {...page} place={place} />}
      {place.page === "stuck-pods" && <StuckPods {...page} />}
      {place.page === "explain" && <Explain {...page} place={place} />}
    </Frame>
  );
}

const root = document.getElementById("app");
if (root !== null) render(<App />, root);
