import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import type { Transport } from "../../../src/kube/transport.ts";
import { publishedPem } from "./published-certificates.ts";

export interface Handshakes {
  /** How many there were so far. */
  count(): number;
  /** Why a replica was not trusted, once for each time. */
  stop(): Promise<readonly string[]>;
}

const INTERVAL_MS = 50;

/** Asks each host again and again for its certificate, and verifies it by the bundle that is published at that time. */
export function startHandshakes(client: Transport, hosts: readonly string[], port = 8443): Handshakes {
  const faults: string[] = [];
  let count = 0;
  let shouldStop = false;
  const shakeHands = async (host: string, ca: string): Promise<void> => {
    const socket = connect({ host, port, ca, servername: "pullpass.pullpass.svc" });
    try {
      await once(socket, "secureConnect");
    } catch (error) {
      faults.push(`${host}: ${String(error)}`);
    } finally {
      socket.destroy();
      count++;
    }
  };
  const repeat = async (): Promise<void> => {
    while (!shouldStop) {
      for (const pem of await publishedPem(client)) {
        await Promise.all(hosts.map((host) => shakeHands(host, pem)));
      }
      await sleep(INTERVAL_MS);
    }
  };
  const running = repeat();
  return {
    count: () => count,
    async stop() {
      shouldStop = true;
      await running;
      return faults;
    },
  };
}
