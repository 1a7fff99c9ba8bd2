// npm run demo:console: a control plane, a few registries in different states, pods that cannot pull, and the console beside them.
import { clusterAvailability } from "../cluster/harness/availability.ts";
import { startCluster } from "../cluster/harness/cluster.ts";
import { MARKER, setStage, startConsole, startRegistry, USER } from "./console-under-test.ts";

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function demo(): Promise<void> {
  say("Starting etcd, kube-apiserver, kube-controller-manager and Pullpass on this machine...");
  const cluster = await startCluster();
  try {
    const registry = await startRegistry(cluster, 15);
    const { replica } = await setStage(cluster, registry.host);
    const running = await startConsole(cluster, {
      flags: ["--test-login-allow=127.0.0.0/8", "--cluster-name=demo"],
    });
    say(`
The console is at this address, which is good once:

  ${await running.address()}

Five registries, five namespaces, and three pods that cannot pull. A registry with a password is at ${registry.host}:
user name ${USER}, password ${MARKER}. What kubectl changes is on the page at once:

  export KUBECONFIG=${cluster.kubeconfig}
  kubectl label namespace sandbox pullpass.dev/inject=enabled

It stays up until Ctrl-C.`);
    await untilStopped();
    await running.stop();
    await replica.stop();
    registry.close();
  } finally {
    await cluster.stop();
  }
}

function untilStopped(): Promise<void> {
  // A process that only has children would end.
  const timer = setInterval(() => undefined, 2 ** 30);
  return new Promise((resolve) => {
    const stop = (): void => {
      clearInterval(timer);
      resolve();
    };
    process.on("SIGINT", stop).on("SIGTERM", stop);
  });
}

try {
  const availability = await clusterAvailability("control-plane");
  if (!availability.available) throw new Error(availability.reason);
  await demo();
} catch (error: unknown) {
  say(`the demo cannot run: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
