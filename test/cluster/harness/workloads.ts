/**
 * One object of every kind that makes pods, from the pod's spec. The pods have the label `app` with the
 * workload's name.
 */
export const WORKLOADS = {
  Deployment: (name: string, spec: object) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: { replicas: 2, selector: { matchLabels: { app: name } }, template: template(name, spec) },
  }),
  StatefulSet: (name: string, spec: object) => ({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name },
    spec: {
      replicas: 2,
      serviceName: name,
      // Nothing runs the first pod, for which the second one would wait.
      podManagementPolicy: "Parallel",
      selector: { matchLabels: { app: name } },
      template: template(name, spec),
    },
  }),
  DaemonSet: (name: string, spec: object) => ({
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      // The node is not ready, and never will be.
      template: template(name, { ...spec, tolerations: [{ operator: "Exists" }] }),
    },
  }),
  Job: (name: string, spec: object) => ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: { parallelism: 2, completions: 2, template: template(name, { ...spec, restartPolicy: "Never" }) },
  }),
  CronJob: (name: string, spec: object) => ({
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: { name },
    spec: {
      // Once an hour, and not within the next minutes, whatever the time zone.
      schedule: `${String((new Date().getUTCMinutes() + 20) % 60)} * * * *`,
      jobTemplate: { spec: { template: template(name, { ...spec, restartPolicy: "Never" }) } },
    },
  }),
} as const;

function template(name: string, spec: object): object {
  return { metadata: { labels: { app: name } }, spec };
}
