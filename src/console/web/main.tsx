/** The console's pages: who is logged in, and which page is shown. */
import { render, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure, SessionInfo } from "../api.ts";
import { ask, countSession, failureOf, onSessionEnd } from "./client.ts";
import { Explain } from "./explain.tsx";
import { Frame } from "./frame.tsx";
import { useChanges, useListener } from "./live.ts";
import { findSession, keyIn, Login, LoginDialog, type LoginInfo } from "./login.tsx";
import { Namespaces } from "./namespaces.tsx";
import { usePlace } from "./place.ts";
import { Registries } from "./registries.tsx";
import { StuckPods } from "./stuck-pods.tsx";

function App(): VNode | null {
  const [login, setLogin] = useState<LoginInfo | null>(null);
  const [session, setSession] = useState<SessionInfo | null>(null);
  const [failed, setFailed] = useState<Failure>();
  const [hasEnded, setHasEnded] = useState(false);

  const begin = (info: SessionInfo): void => {
    countSession();
    setSession(info);
    setFailed(undefined);
    setHasEnded(false);
  };
  const resume = (url?: string): Promise<void> =>
    findSession(url).then(begin, (error: unknown) => {
      const failure = failureOf(error);
      // To have none is no failure.
      setFailed(failure.code === "no-session" ? undefined : failure);
    });
  useEffect(() => {
    void Promise.all([ask<LoginInfo>("GET", "/api/login"), resume()]).then(([info]) => {
      setLogin(info);
    });
    onSessionEnd(() => {
      setHasEnded(true);
    });
  }, []);
  // An address with a key, opened over a page, loads nothing. The pages, which listen later, find the place where they were.
  useListener("hashchange", ({ oldURL }) => {
    if (keyIn(location.hash) !== "") void resume(oldURL);
  });

  if (login === null) return null;
  const form = { info: login, failed, onLogin: begin, onFocus: () => void resume() };
  if (session === null) return <Login {...form} />;
  const logOut = (): void => {
    void ask("POST", "/api/logout", {}).finally(() => {
      setSession(null);
    });
  };
  return (
    <>
      <Pages key="pages" session={session} onLogOut={logOut} />
      {hasEnded && <LoginDialog {...form} />}
    </>
  );
}

function Pages(props: { readonly session: SessionInfo; readonly onLogOut: () => void }): VNode {
  const { session, onLogOut } = props;
  const place = usePlace();
  const changes = useChanges(session);
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
