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

const [WITH_METADATA, WITHOUT_METADATA] = [true, false];

/** Each with the source of the type that says so. */
const BUILT_IN: readonly (readonly [group: string, kind: string, path: string, allowsMetadata: boolean])[] = [
  // k8s.io/api/core/v1/types.go
  ["", "Pod", "", WITH_METADATA],
  ["", "PodTemplate", "template", WITH_METADATA],
  ["", "ReplicationController", "spec.template", WITH_METADATA],
  // k8s.io/api/apps/v1/types.go, and the group that they came from: k8s.io/api/extensions/v1beta1/types.go
  ["apps", "Deployment", "spec.template", WITH_METADATA],
  ["apps", "StatefulSet", "spec.template", WITH_METADATA],
  ["apps", "DaemonSet", "spec.template", WITH_METADATA],
  ["apps", "ReplicaSet", "spec.template", WITH_METADATA],
  ["extensions", "Deployment", "spec.template", WITH_METADATA],
  ["extensions", "DaemonSet", "spec.template", WITH_METADATA],
  ["extensions", "ReplicaSet", "spec.template", WITH_METADATA],
  // k8s.io/api/batch/v1/types.go
  ["batch", "Job", "spec.template", WITH_METADATA],
  ["batch", "CronJob", "spec.jobTemplate.spec.template", WITH_METADATA],
  // github.com/openshift/api apps/v1/types.go; without a group until OpenShift 3.6
  ["apps.openshift.io", "DeploymentConfig", "spec.template", WITH_METADATA],
  ["", "DeploymentConfig", "spec.template", WITH_METADATA],
  // github.com/argoproj/argo-rollouts pkg/apis/rollouts/v1alpha1/types.go, experiment_types.go and analysis_types.go
  ["argoproj.io", "Rollout", "spec.template", WITH_METADATA],
  ["argoproj.io", "Experiment", "spec.templates.*.template", WITH_METADATA],
  ["argoproj.io", "AnalysisTemplate", "spec.metrics.*.provider.job.spec.template", WITH_METADATA],
  ["argoproj.io", "ClusterAnalysisTemplate", "spec.metrics.*.provider.job.spec.template", WITH_METADATA],
  // knative.dev/serving pkg/apis/serving/v1/service_types.go and configuration_types.go
  ["serving.knative.dev", "Service", "spec.template", WITH_METADATA],
  ["serving.knative.dev", "Configuration", "spec.template", WITH_METADATA],
  // knative.dev/eventing pkg/apis/sources/v1/container_types.go and pkg/apis/sinks/v1alpha1/job_sink_types.go
  ["sources.knative.dev", "ContainerSource", "spec.template", WITH_METADATA],
  ["sinks.knative.dev", "JobSink", "spec.job.spec.template", WITH_METADATA],
  // github.com/kedacore/keda apis/keda/v1alpha1/scaledjob_types.go
  ["keda.sh", "ScaledJob", "spec.jobTargetRef.template", WITH_METADATA],
  // github.com/openkruise/kruise apis/apps/v1alpha1/*_types.go and v1beta1/*_types.go
  ["apps.kruise.io", "CloneSet", "spec.template", WITH_METADATA],
  ["apps.kruise.io", "StatefulSet", "spec.template", WITH_METADATA],
  ["apps.kruise.io", "DaemonSet", "spec.template", WITH_METADATA],
  ["apps.kruise.io", "BroadcastJob", "spec.template", WITH_METADATA],
  ["apps.kruise.io", "AdvancedCronJob", "spec.template.jobTemplate.spec.template", WITH_METADATA],
  ["apps.kruise.io", "AdvancedCronJob", "spec.template.broadcastJobTemplate.spec.template", WITH_METADATA],
  ["apps.kruise.io", "UnitedDeployment", "spec.template.statefulSetTemplate.spec.template", WITH_METADATA],
  [
    "apps.kruise.io",
    "UnitedDeployment",
    "spec.template.advancedStatefulSetTemplate.spec.template",
    WITH_METADATA,
  ],
  ["apps.kruise.io", "UnitedDeployment", "spec.template.cloneSetTemplate.spec.template", WITH_METADATA],
  ["apps.kruise.io", "UnitedDeployment", "spec.template.deploymentTemplate.spec.template", WITH_METADATA],
  // github.com/kubeflow/training-operator pkg/apis/kubeflow.org/v1/*_types.go; MXJob until v1.7
  ["kubeflow.org", "TFJob", "spec.tfReplicaSpecs.*.template", WITH_METADATA],
  ["kubeflow.org", "PyTorchJob", "spec.pytorchReplicaSpecs.*.template", WITH_METADATA],
  ["kubeflow.org", "MPIJob", "spec.mpiReplicaSpecs.*.template", WITH_METADATA],
  ["kubeflow.org", "XGBoostJob", "spec.xgbReplicaSpecs.*.template", WITH_METADATA],
  ["kubeflow.org", "PaddleJob", "spec.paddleReplicaSpecs.*.template", WITH_METADATA],
  ["kubeflow.org", "JAXJob", "spec.jaxReplicaSpecs.*.template", WITH_METADATA],
  ["kubeflow.org", "MXJob", "spec.mxReplicaSpecs.*.template", WITH_METADATA],
  // github.com/kubeflow/kubeflow components/notebook-controller/api/v1beta1/notebook_types.go: `spec` alone
  ["kubeflow.org", "Notebook", "spec.template", WITHOUT_METADATA],
  // sigs.k8s.io/jobset api/jobset/v1alpha2/jobset_types.go
  ["jobset.x-k8s.io", "JobSet", "spec.replicatedJobs.*.template.spec.template", WITH_METADATA],
  // sigs.k8s.io/lws api/leaderworkerset/v1/leaderworkerset_types.go
  ["leaderworkerset.x-k8s.io", "LeaderWorkerSet", "spec.leaderWorkerTemplate.leaderTemplate", WITH_METADATA],
  ["leaderworkerset.x-k8s.io", "LeaderWorkerSet", "spec.leaderWorkerTemplate.workerTemplate", WITH_METADATA],
];

/** By {@link keyOf} a kind. */
export type PodTemplateKinds = ReadonlyMap<string, readonly PodTemplateRow[]>;

/** Those of the table, and those that the configuration adds. Nothing is known of the schemas of the latter. */
export function indexPodTemplateKinds(configured: readonly PodTemplateKind[] = []): PodTemplateKinds {
  const rows: readonly PodTemplateRow[] = [
    ...BUILT_IN.map(([group, kind, path, allowsMetadata]) => ({
      group,
      kind,
      path: path === "" ? [] : path.split("."),
      allowsMetadata,
    })),
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
