import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import type { CertificateWriter, WebhookRegistration } from "../../src/core/stored-certificates.ts";
import { createApis } from "../../src/kube/api.ts";
import { KubeApiError } from "../../src/kube/errors.ts";
import {
  createCertificateWriter,
  readRegistration,
  readStoredCertificates,
  WEBHOOK_CONFIGURATIONS_PATH,
} from "../../src/kube/resources/certificates.ts";
import type { Transport } from "../../src/kube/transport.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { webhookConfiguration } from "./harness/webhook-configuration.ts";

await describeLevel("control-plane", "the writer of certificates", () => {
  let cluster: Cluster;
  let client: Transport;
  let writer: CertificateWriter;
  let name: string;
  let count = 0;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
  });
  beforeEach(() => {
    name = `certificates-${String(++count)}`;
    writer = createCertificateWriter(createApis(client), {
      namespace: "default",
      secret: name,
      webhook: name,
    });
  });
  afterAll(() => {
    client.close();
  });

  const getSecret = () =>
    client.request({ method: "GET", path: `/api/v1/namespaces/default/secrets/${name}` });
  const getWebhook = () => client.request({ method: "GET", path: `${WEBHOOK_CONFIGURATIONS_PATH}/${name}` });
  /** Two webhooks, the second of which trusts nobody yet. */
  const register = async (): Promise<WebhookRegistration> => {
    const service = { namespace: "default", name: "pullpass", port: 8443 };
    const configuration = webhookConfiguration({ name, service, authorityPem: cluster.authority.pem });
    const [webhook] = configuration.webhooks;
    const second = { ...webhook, name: "second.pullpass.dev", clientConfig: { service } };
    await cluster.kubectl.create({ ...configuration, webhooks: [webhook, second] });
    return readRegistration(await getWebhook());
  };

  it("creates a Secret that is known as its own", async () => {
    const written = await writer.writeSecret({ "tls.crt": "one", "ca.crt": undefined }, undefined);
    const { isOurs, version, data } = readStoredCertificates(await getSecret());
    expect(written).toMatchObject({ isOurs, version, data });
    expect(written).toMatchObject({ isOurs: true, data: { "tls.crt": "one" } });
  });

  it("replaces keys and takes them away, and leaves alone what is not its own", async () => {
    await cluster.kubectl.create({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, labels: { team: "a", "pullpass.dev/certificates": "self-managed" } },
      stringData: { "tls.crt": "one", "ca-next.crt": "two", note: "made up" },
    });
    const over = readStoredCertificates(await getSecret());
    await writer.writeSecret({ "tls.crt": "three", "ca-next.crt": undefined }, over);
    const after = await getSecret();
    expect(readStoredCertificates(after).data).toEqual({ "tls.crt": "three", note: "made up" });
    expect(after["metadata"]).toMatchObject({ labels: { team: "a" } });
  });

  it.each<[string, JsonObject, boolean]>([
    ["its label", { labels: { "pullpass.dev/certificates": "self-managed" } }, true],
    ["no label", {}, false],
  ])("knows a Secret with %s", async (_, metadata, isOurs) => {
    await cluster.kubectl.create({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, ...metadata },
      stringData: { "tls.crt": "one" },
    });
    expect(readStoredCertificates(await getSecret()).isOurs).toBe(isOurs);
  });

  it("takes an empty Secret as one to fill", async () => {
    await cluster.kubectl.create({ apiVersion: "v1", kind: "Secret", metadata: { name } });
    const over = readStoredCertificates(await getSecret());
    expect(over.isOurs).toBe(true);
    expect(await writer.writeSecret({ "tls.crt": "one" }, over)).toMatchObject({
      data: { "tls.crt": "one" },
    });
  });

  it("gives way to whoever wrote the Secret first", async () => {
    const first = await writer.writeSecret({ "tls.crt": "one" }, undefined);
    expect(await writer.writeSecret({ "tls.crt": "two" }, undefined)).toBeUndefined();
    await writer.writeSecret({ "tls.crt": "three" }, first);
    expect(await writer.writeSecret({ "tls.crt": "four" }, first)).toBeUndefined();
    expect(readStoredCertificates(await getSecret()).data).toEqual({ "tls.crt": "three" });
    await cluster.kubectl.run(["delete", "secret", name]);
    expect(await writer.writeSecret({ "tls.crt": "five" }, first)).toBeUndefined();
  });

  it("fails with an error that quotes nothing where it may not write", async () => {
    const elsewhere = createCertificateWriter(createApis(client), {
      namespace: "nowhere",
      secret: name,
      webhook: name,
    });
    const writing = elsewhere.writeSecret({ "tls.key": "made-up-key" }, undefined);
    await expect(writing).rejects.toThrow(KubeApiError);
    await expect(writing).rejects.not.toThrow("made-up-key");
  });

  it("publishes in every webhook, and changes nothing else", async () => {
    const before = await register();
    const old = await getWebhook();
    expect(before.bundles).toEqual([cluster.authority.pem, ""]);
    const bundle = cluster.authority.pem + cluster.authority.pem;
    const written = await writer.publish(bundle, before);
    expect(written).toEqual(readRegistration(await getWebhook()));
    expect(written?.bundles).toEqual([bundle, bundle]);
    const withoutBundles = ({ webhooks }: JsonObject) =>
      (webhooks as readonly { readonly clientConfig: JsonObject }[]).map((webhook) => ({
        ...webhook,
        clientConfig: { ...webhook.clientConfig, caBundle: undefined },
      }));
    expect(withoutBundles(await getWebhook())).toEqual(withoutBundles(old));
  });

  it("publishes nothing in a registration that somebody changed, or removed", async () => {
    const before = await register();
    await cluster.kubectl.run(["annotate", "mutatingwebhookconfiguration", name, "example.com/note=made-up"]);
    expect(await writer.publish("", before)).toBeUndefined();
    expect(readRegistration(await getWebhook()).bundles).toEqual(before.bundles);
    await cluster.kubectl.run(["delete", "mutatingwebhookconfiguration", name]);
    expect(await writer.publish("", before)).toBeUndefined();
  });
});
