/** A webhook for tests: the real handler behind the real server, on a free port of loopback. */
import { afterAll } from "vitest";
import { reviewHandler } from "../../src/admission/handler.ts";
import type { AdmissionPorts } from "../../src/admission/ports.ts";
import { indexRegistries } from "../../src/core/registry.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { admissionListener } from "../../src/http/routes.ts";
import { startServer, type RunningServer, type ServerLimits } from "../../src/http/server.ts";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import { postReview, type Answer, type SentReview } from "../send-request.ts";

export interface RunningWebhook {
  readonly server: RunningServer;
  /** The PEM that clients trust. */
  readonly ca: string;
  /** Status and reason of every request that was no review. */
  readonly rejected: { readonly status: number; readonly message: string }[];
  send(sent: SentReview): Promise<Answer>;
}

export const CONFIGURATION = `
registries:
  - { name: local, address: "127.0.0.1:5000/private", secretName: local-creds }
  - { name: team-a, address: registry.example.com/team-a, secretName: regcred, namespaces: { matchLabels: { team: a } } }
`;

/** `ports` are what differs from a cluster in which everything is opted in; it is closed after the file's tests. */
export async function startReviewServer(
  ports: Partial<AdmissionPorts> = {},
  limits?: ServerLimits,
): Promise<RunningWebhook> {
  const certificate = await makeSelfSignedCertificate(["localhost", "127.0.0.1"], new Date());
  const index = indexRegistries(loadConfiguration([{ path: "test.yaml", text: CONFIGURATION }]).registries);
  const rejected: { status: number; message: string }[] = [];
  const handle = reviewHandler({
    registries: () => index,
    namespace: () => ({ isOptedIn: true, labels: { team: "b" } }),
    buildSecret: () => undefined,
    serviceAccount: () => undefined,
    ...ports,
  });
  const listener = admissionListener({
    handle,
    onRejected: (status, { message }) => rejected.push({ status, message }),
  });
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await startServer(listener, { listen, certificate, ...(limits && { limits }) });
  afterAll(() => server.close(0));
  const send = (sent: SentReview): Promise<Answer> => postReview(server.url, certificate.certificate, sent);
  return { server, ca: certificate.certificate, rejected, send };
}
