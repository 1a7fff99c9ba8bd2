/** How a person logs in: by the one-time key in the address, or by a token. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Failure, LoginKind, SessionInfo } from "../api.ts";
import { ask } from "./client.ts";
import { useModal } from "./focus.ts";
import { useAction, useListener } from "./live.ts";
import { focus, preventingDefault, withValue } from "./parts.tsx";

export interface LoginInfo {
  readonly login: LoginKind;
  readonly cluster: string;
}

/**
 * A session by the key in the address, which goes from there at once, since it is of no use a second time: `url` takes its place. Without
 * a key, the session that the browser has, which another page may have started.
 *
 * @throws RequestFailed
 */
export function findSession(url = "/"): Promise<SessionInfo> {
  const key = keyIn(location.hash);
  if (key === "") return ask("GET", "/api/session");
  history.replaceState(null, "", url);
  return ask("POST", "/api/login", { key });
}

export function keyIn(text: string): string {
  return /#key=([\w-]+)/.exec(text)?.[1] ?? "";
}

interface LoginProps {
  readonly info: LoginInfo;
  /** What has failed already. */
  readonly failed: Failure | undefined;
  readonly onLogin: (session: SessionInfo) => void;
  /** Somebody comes back, maybe from another page in which they logged in. */
  readonly onFocus: () => void;
}

export function Login(props: LoginProps): VNode {
  return (
    <main class="login">
      <h1>Pullpass</h1>
      <LoginForm {...props} />
    </main>
  );
}

/** Over a page that stays as it is, with everything that was typed into it. */
export function LoginDialog(props: LoginProps): VNode {
  return (
    <dialog
      ref={useModal()}
      aria-labelledby="login-title"
      onCancel={(event) => {
        event.preventDefault();
      }}
    >
      <h2 id="login-title">Your session has ended</h2>
      <p>Log in again. What you typed is still here.</p>
      <LoginForm {...props} />
    </dialog>
  );
}

function LoginHint({ login, cluster }: LoginInfo): VNode {
  return (
    <p class="quiet">
      {login === "key" ? (
        <>
          The terminal of <code>pullpass console</code> shows an address, which is good once. Open it, or
          paste it here.
        </>
      ) : (
        <>
          A token of cluster <b>{cluster}</b>. The console passes it on, and you have its rights and no
          others. For an hour: <code>kubectl create token NAME --duration 1h</code>
        </>
      )}
    </p>
  );
}

function LoginForm({ info, failed, onLogin, onFocus }: LoginProps): VNode {
  const [text, setText] = useState("");
  const isKey = info.login === "key";
  const [logIn, isBusy, failure = failed] = useAction(async () => {
    const word = text.trim();
    const body = isKey ? { key: keyIn(word) || word } : { token: word };
    onLogin(await ask<SessionInfo>("POST", "/api/login", body));
    setText("");
  });
  useListener("focus", onFocus);
  return (
    <form class="stack" onSubmit={preventingDefault(logIn)}>
      <LoginHint {...info} />
      {/* A password manager keeps a secret under a name. */}
      <input type="text" autocomplete="username" value={isKey ? "key" : "token"} readOnly hidden />
      <label for="login-secret">{isKey ? "Address" : "Token"}</label>
      <input
        id="login-secret"
        type="password"
        autocomplete="off"
        ref={focus}
        required
        value={text}
        aria-describedby={failure === undefined ? undefined : "login-fault"}
        aria-invalid={failure !== undefined}
        onInput={withValue(setText)}
      />
      {failure !== undefined && (
        <p class="fault" id="login-fault" role="alert">
          {failure.message}
        </p>
      )}
      <div class="buttons">
        <button class="primary" aria-disabled={isBusy}>
          Log in
        </button>
      </div>
    </form>
  );
}
