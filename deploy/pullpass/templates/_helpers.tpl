{{- define "pullpass.selectorLabels" -}}
app.kubernetes.io/name: pullpass
app.kubernetes.io/component: webhook
{{- end }}

{{/* Never managed-by: pullpass: what carries that label is a copy, which Pullpass removes. */}}
{{- define "pullpass.labels" -}}
app.kubernetes.io/name: pullpass
app.kubernetes.io/component: webhook
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pullpass.consoleSelectorLabels" -}}
app.kubernetes.io/name: pullpass
app.kubernetes.io/component: console
{{- end }}

{{- define "pullpass.consoleLabels" -}}
{{ include "pullpass.consoleSelectorLabels" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pullpass.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "pullpass.configSecret" -}}
{{ .Values.configSecret | default "pullpass-config" }}
{{- end }}

{{- define "pullpass.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "pullpass.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Empty where nobody here knows what the API server is to trust: replicas cannot wait for it then. */}}
{{- define "pullpass.caBundleIsOurs" -}}
{{- if or (ne .Values.tls.mode "secret") .Values.tls.caBundle }}true{{ end }}
{{- end }}

{{/* Empty where nothing here says that ServiceAccounts get pull secrets. What is in `configSecret` Helm does not see. */}}
{{- define "pullpass.attaches" -}}
{{- $config := .Values.configFile | fromYaml | default .Values.config -}}
{{- if or .Values.serviceAccounts.enabled (($config.serviceAccounts).attach) }}true{{ end }}
{{- end }}

{{/* Below it, each image that is a volume has a directory, and programs that init containers copy have one together. */}}
{{- define "pullpass.providerDirectory" -}}
/opt/pullpass/credential-providers
{{- end }}

{{/* "true" where an init container copies a program. */}}
{{- define "pullpass.copiesProviders" -}}
{{- range .Values.credentialProviders }}{{ if .initContainer }}true{{ break }}{{ end }}{{ end }}
{{- end }}

{{/* What the flag says: directories, separated by colons. */}}
{{- define "pullpass.providerDirectories" -}}
{{- $directories := list }}
{{- range $index, $provider := .Values.credentialProviders }}
{{- if not .initContainer }}
{{- $directories = append $directories (printf "%s/%d" (include "pullpass.providerDirectory" $) $index) }}
{{- end }}
{{- end }}
{{- if include "pullpass.copiesProviders" . }}
{{- $directories = append $directories (printf "%s/copied" (include "pullpass.providerDirectory" $)) }}
{{- end }}
{{- join ":" $directories }}
{{- end }}

{{/* An end of the images of builders. What is in `configSecret` Helm does not see. */}}
{{- define "pullpass.builderPattern" -}}
{{- $config := .Values.configFile | fromYaml | default .Values.config -}}
{{- $ends := list (include "pullpass.builtInBuilders" .) -}}
{{- range $config.builders }}{{ range .images }}{{ $ends = append $ends (regexQuoteMeta .) }}{{ end }}{{ end -}}
{{- range .Values.webhook.builderImages }}{{ $ends = append $ends (regexQuoteMeta .) }}{{ end -}}
(?:^|/)(?:{{ join "|" $ends }})(?:[:@]|$)
{{- end }}

{{- define "pullpass.guards" -}}
{{- if and .Values.secretGuard.enabled (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy") }}true{{ end }}
{{- end }}
