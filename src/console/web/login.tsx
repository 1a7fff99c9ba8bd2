/** How a person logs in: by the one-time key in the address, or by a token. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Failure, LoginKind, SessionInfo } from "../api.ts";
import { ask, failureOf } from "./client.ts";
import { useModal } from "./focus.ts";
import { useAction } from "./live.ts";
import { focus, preventingDefault, withValue } from "./parts.tsx";

export interface LoginInfo {
  readonly login: LoginKind;
  readonly cluster: string;
}

/** Takes the key out of the address at once: it is of no use a second time. */
export async function readLoginInfo(): Promise<{
  readonly info: LoginInfo;
  readonly session: SessionInfo | null;
  /** Why the key was of no use. */
  readonly failed: Failure | undefined;
}> {
  const key = keyIn(location.hash);
  if (key !== "") history.replaceState(null, "", "/");
  const info = await ask<LoginInfo>("GET", "/api/login");
  try {
    const session =
      key === ""
        ? await ask<SessionInfo>("GET", "/api/session")
        : await ask<SessionInfo>("POST", "/api/login", { key });
    return { info, session, failed: undefined };
  } catch (error) {
    return { info, session: null, failed: key === "" ? undefined : failureOf(error) };
  }
}

function keyIn(text: string): string {
  return /#key=([\w-]+)/.exec(text)?.[1] ?? "";
}

interface LoginProps {
  readonly info: LoginInfo;
  /** What has failed already. */
  readonly failed?: Failure | undefined;
  readonly onLogin: (session: SessionInfo) => void;
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
export function LoginDialog({ info, onLogin }: LoginProps): VNode {
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
      <LoginForm info={info} onLogin={onLogin} />
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

function LoginForm({ info, failed, onLogin }: LoginProps): VNode {
  const [text, setText] = useState("");
  const isKey = info.login === "key";
  const [logIn, isBusy, failure] = useAction(async () => {
    const word = text.trim();
    const body = isKey ? { key: keyIn(word) || word } : { token: word };
    onLogin(await ask<SessionInfo>("POST", "/api/login", body));
    setText("");
  }, failed);
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
