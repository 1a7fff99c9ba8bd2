/** How a person logs in: by the one-time key in the address, or by a token. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { LoginKind, SessionInfo } from "../api.ts";
import { ask, failureOf } from "./client.ts";
import { useModal } from "./focus.ts";
import { focus } from "./parts.tsx";

export interface LoginInfo {
  readonly login: LoginKind;
  readonly cluster: string;
}

/** Takes the key out of the address at once: it is of no use a second time. */
export async function readLoginInfo(): Promise<{
  readonly info: LoginInfo;
  readonly session: SessionInfo | null;
  /** Why the key was of no use. */
  readonly fault: string;
}> {
  const key = keyIn(location.hash);
  if (key !== "") history.replaceState(null, "", "/");
  const info = await ask<LoginInfo>("GET", "/api/login");
  try {
    const session =
      key === ""
        ? await ask<SessionInfo>("GET", "/api/session")
        : await ask<SessionInfo>("POST", "/api/login", { key });
    return { info, session, fault: "" };
  } catch (error) {
    return { info, session: null, fault: key === "" ? "" : failureOf(error).message };
  }
}

function keyIn(text: string): string {
  return /#key=([\w-]+)/.exec(text)?.[1] ?? "";
}

interface LoginProps {
  readonly info: LoginInfo;
  /** What has failed already. */
  readonly failed?: string;
  readonly onLogin: (session: SessionInfo) => void;
}

export function Login({ info, failed = "", onLogin }: LoginProps): VNode {
  return (
    <main class="login">
      <h1>Pullpass</h1>
      <LoginForm info={info} failed={failed} onLogin={onLogin} />
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

function LoginForm({ info, failed = "", onLogin }: LoginProps): VNode {
  const [text, setText] = useState("");
  const [fault, setFault] = useState(failed);
  const [isBusy, setIsBusy] = useState(false);
  const isKey = info.login === "key";
  const logIn = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (isBusy) return;
    setIsBusy(true);
    setFault("");
    const word = text.trim();
    try {
      const body = isKey ? { key: keyIn(word) || word } : { token: word };
      onLogin(await ask<SessionInfo>("POST", "/api/login", body));
      setText("");
    } catch (error) {
      setFault(failureOf(error).message);
    }
    setIsBusy(false);
  };
  return (
    <form class="stack" onSubmit={(event) => void logIn(event)}>
      <p class="quiet">
        {isKey ? (
          <>
            The terminal of <code>pullpass console</code> shows an address, which is good once. Open it, or
            paste it here.
          </>
        ) : (
          <>
            A token of cluster <b>{info.cluster}</b>. The console passes it on, and you have its rights and no
            others. For an hour: <code>kubectl create token NAME --duration 1h</code>
          </>
        )}
      </p>
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
        aria-describedby={fault === "" ? undefined : "login-fault"}
        aria-invalid={fault !== ""}
        onInput={(event) => {
          setText(event.currentTarget.value);
        }}
      />
      {fault !== "" && (
        <p class="fault" id="login-fault" role="alert">
          {fault}
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
