/** What keeps a page up to date: the stream of changes, and lists that are asked for again after one; and what a person has done. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Changes, Draft, DraftCheck, Failure, SessionInfo } from "../api.ts";
import { ask, failureOf, reportSessionEnd } from "./client.ts";

/** A stream that was refused, because many pages are open, is asked for again after this. */
const RETRY_MS = 5_000;

/** What every page gets. */
export interface PageProps {
  readonly session: SessionInfo;
  readonly changes: Changes | null;
}

/**
 * Null until the first one of a session comes, which counts from zero. A page that nobody sees has no stream: browsers open six
 * connections to one host, and a stream takes one.
 */
export function useChanges(session: SessionInfo): Changes | null {
  const [changes, setChanges] = useState<Changes | null>(null);
  useEffect(() => {
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const close = (): void => {
      clearTimeout(timer);
      source?.close();
      source = undefined;
    };
    const open = (): void => {
      close();
      if (document.hidden) return;
      // It connects again by itself, but for an answer that is an error.
      source = new EventSource("/api/changes");
      source.onmessage = ({ data }) => {
        setChanges(JSON.parse(data as string) as Changes);
      };
      source.onerror = () => {
        if (source?.readyState !== EventSource.CLOSED) return;
        timer = setTimeout(open, RETRY_MS);
        // It does not say why it was refused. The answer to this does, if the session has ended.
        ask("GET", "/api/session").catch(() => undefined);
      };
      source.addEventListener("end", () => {
        close();
        reportSessionEnd();
      });
    };
    setChanges(null);
    open();
    document.addEventListener("visibilitychange", open);
    return () => {
      document.removeEventListener("visibilitychange", open);
      close();
    };
  }, [session]);
  return changes;
}

/** Listens to the window for as long as the component is there. The first listener stays. */
export function useListener<K extends keyof WindowEventMap>(
  type: K,
  listener: (event: WindowEventMap[K]) => void,
): void {
  useEffect(() => {
    addEventListener(type, listener);
    return () => {
      removeEventListener(type, listener);
    };
  }, []);
}

export interface Fetched<T> {
  /** The latest answer; it stays while the next one is on its way. Undefined before the first. */
  readonly data: T | undefined;
  readonly failure: Failure | undefined;
  readonly refresh: () => void;
}

/** Asks again whenever `path` or `version` is another one; several changes at once make one question. With a body, it is posted. */
export function useFetched<T>(path: string, version: unknown, body?: object): Fetched<T> {
  const [state, setState] = useState<{
    readonly path: string;
    readonly data?: T;
    readonly failure?: Failure;
  }>({ path });
  const [asked, setAsked] = useState(0);
  const latest = useRef(0);
  useEffect(() => {
    const number = ++latest.current;
    void ask<T>(body === undefined ? "GET" : "POST", path, body).then(
      (data) => {
        if (number === latest.current) setState({ path, data });
      },
      (error: unknown) => {
        const failure = failureOf(error);
        if (number === latest.current)
          setState((before) => ({ path, ...(before.data !== undefined && { data: before.data }), failure }));
      },
    );
  }, [path, version, asked]);
  return {
    data: state.data,
    failure: state.failure,
    refresh: () => {
      setAsked((count) => count + 1);
    },
  };
}

/** What begins `act`, once at a time; whether it is being done; and why it failed the last time. */
export function useAction<A extends unknown[]>(act: (...args: A) => Promise<unknown>) {
  const [isBusy, setIsBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const run = async (...args: A): Promise<void> => {
    if (isBusy) return;
    setIsBusy(true);
    setFailure(undefined);
    try {
      await act(...args);
    } catch (error) {
      setFailure(failureOf(error));
    }
    setIsBusy(false);
  };
  return [(...args: A) => void run(...args), isBusy, failure] as const;
}

/** The value as it was when nothing had changed for a moment. */
export function useSettled<T>(value: T, delayMs: number): T {
  const [settled, setSettled] = useState(value);
  const text = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => {
      setSettled(value);
    }, delayMs);
    return () => {
      clearTimeout(timer);
    };
  }, [text]);
  return settled;
}

/** What the server says of a registry as it is being typed; the answer before stays until the next one. */
export function useDraftCheck(draft: Draft, image: string): DraftCheck | undefined {
  const question = useSettled({ draft, image }, 150);
  return useFetched<DraftCheck>("/api/registries/check", question, question).data;
}
