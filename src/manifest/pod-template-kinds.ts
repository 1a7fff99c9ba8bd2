/** Which kinds hold pod templates, and where. */

/** A kind with a pod template. Every version of its group counts. */
export interface PodTemplateKind {
  /** Empty for Kubernetes' first group. */
  readonly group: string;
  readonly kind: string;
  /** To the object that holds `metadata` and `spec`; `*` is every element of a list, and every member of a mapping. */
  readonly path: readonly string[];
}

interface PodTemplateRow extends PodTemplateKind {
  /**
   * Whether the type has the template's `metadata`. Where the schema of a custom resource has none, the API server refuses what
   * is added there.
   */
  readonly allowsMetadata: boolean;
}

/** Each with the source of the types that say so. */
const BUILT_IN: readonly (readonly [
  group: string,
  kinds: readonly string[],
  path: string,
  metadata?: "without metadata",
])[] = [
  // k8s.io/api/core/v1/types.go
  ["", ["Pod"], ""],
  ["", ["PodTemplate"], "template"],
  ["", ["ReplicationController"], "spec.template"],
  // k8s.io/api/apps/v1/types.go, and the group that they came from: k8s.io/api/extensions/v1beta1/types.go
  ["apps", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"], "spec.template"],
  ["extensions", ["Deployment", "DaemonSet", "ReplicaSet"], "spec.template"],
  // k8s.io/api/batch/v1/types.go
  ["batch", ["Job"], "spec.template"],
  ["batch", ["CronJob"], "spec.jobTemplate.spec.template"],
  // github.com/openshift/api apps/v1/types.go; without a group until OpenShift 3.6
  ["apps.openshift.io", ["DeploymentConfig"], "spec.template"],
  ["", ["DeploymentConfig"], "spec.template"],
  // github.com/argoproj/argo-rollouts pkg/apis/rollouts/v1alpha1/types.go, experiment_types.go and analysis_types.go
  ["argoproj.io", ["Rollout"], "spec.template"],
  ["argoproj.io", ["Experiment"], "spec.templates.*.template"],
  [
    "argoproj.io",
    ["AnalysisTemplate", "ClusterAnalysisTemplate"],
    "spec.metrics.*.provider.job.spec.template",
  ],
  // knative.dev/serving pkg/apis/serving/v1/service_types.go and configuration_types.go
  ["serving.knative.dev", ["Service", "Configuration"], "spec.template"],
  // knative.dev/eventing pkg/apis/sources/v1/container_types.go and pkg/apis/sinks/v1alpha1/job_sink_types.go
  ["sources.knative.dev", ["ContainerSource"], "spec.template"],
  ["sinks.knative.dev", ["JobSink"], "spec.job.spec.template"],
  // github.com/kedacore/keda apis/keda/v1alpha1/scaledjob_types.go
  ["keda.sh", ["ScaledJob"], "spec.jobTargetRef.template"],
  // github.com/openkruise/kruise apis/apps/v1alpha1/*_types.go and v1beta1/*_types.go
  ["apps.kruise.io", ["CloneSet", "StatefulSet", "DaemonSet", "BroadcastJob"], "spec.template"],
  ["apps.kruise.io", ["AdvancedCronJob"], "spec.template.jobTemplate.spec.template"],
  ["apps.kruise.io", ["AdvancedCronJob"], "spec.template.broadcastJobTemplate.spec.template"],
  ["apps.kruise.io", ["UnitedDeployment"], "spec.template.statefulSetTemplate.spec.template"],
  ["apps.kruise.io", ["UnitedDeployment"], "spec.template.advancedStatefulSetTemplate.spec.template"],
  ["apps.kruise.io", ["UnitedDeployment"], "spec.template.cloneSetTemplate.spec.template"],
  ["apps.kruise.io", ["UnitedDeployment"], "spec.template.deploymentTemplate.spec.template"],
  // github.com/kubeflow/training-operator pkg/apis/kubeflow.org/v1/*_types.go; MXJob until v1.7
  ["kubeflow.org", ["TFJob"], "spec.tfReplicaSpecs.*.template"],
  ["kubeflow.org", ["PyTorchJob"], "spec.pytorchReplicaSpecs.*.template"],
  ["kubeflow.org", ["MPIJob"], "spec.mpiReplicaSpecs.*.template"],
  ["kubeflow.org", ["XGBoostJob"], "spec.xgbReplicaSpecs.*.template"],
  ["kubeflow.org", ["PaddleJob"], "spec.paddleReplicaSpecs.*.template"],
  ["kubeflow.org", ["JAXJob"], "spec.jaxReplicaSpecs.*.template"],
  ["kubeflow.org", ["MXJob"], "spec.mxReplicaSpecs.*.template"],
  // github.com/kubeflow/kubeflow components/notebook-controller/api/v1beta1/notebook_types.go: `spec` alone
  ["kubeflow.org", ["Notebook"], "spec.template", "without metadata"],
  // sigs.k8s.io/jobset api/jobset/v1alpha2/jobset_types.go
  ["jobset.x-k8s.io", ["JobSet"], "spec.replicatedJobs.*.template.spec.template"],
  // sigs.k8s.io/lws api/leaderworkerset/v1/leaderworkerset_types.go
  ["leaderworkerset.x-k8s.io", ["LeaderWorkerSet"], "spec.leaderWorkerTemplate.leaderTemplate"],
  ["leaderworkerset.x-k8s.io", ["LeaderWorkerSet"], "spec.leaderWorkerTemplate.workerTemplate"],
];

/** By {@link keyOf} a kind. */
export type PodTemplateKinds = ReadonlyMap<string, readonly PodTemplateRow[]>;

/** Those of the table, and those that the configuration adds. Nothing is known of the schemas of the latter. */
export function indexPodTemplateKinds(configured: readonly PodTemplateKind[] = []): PodTemplateKinds {
  const rows: readonly PodTemplateRow[] = [
    ...BUILT_IN.flatMap(([group, kinds, path, metadata]) =>
      kinds.map((kind) => ({
        group,
        kind,
        path: path === "" ? [] : path.split("."),
        allowsMetadata: metadata === undefined,
      })),
    ),
    ...configured.map((row) => ({ ...row, allowsMetadata: false })),
  ];
  const index = new Map<string, PodTemplateRow[]>();
  for (const row of rows) {
    const before = index.get(keyOf(row));
    if (before === undefined) index.set(keyOf(row), [row]);
    else if (!before.some(({ path }) => path.join(".") === row.path.join("."))) before.push(row);
  }
  return index;
}

export function keyOf({ group, kind }: { readonly group: string; readonly kind: string }): string {
  return `${group}/${kind}`;
}
