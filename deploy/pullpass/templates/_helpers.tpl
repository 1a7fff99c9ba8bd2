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

{{/* The documents of the configuration, as JSON. `fromYaml` reads the first one alone. What is in `configSecret` Helm does not see. */}}
{{- define "pullpass.configuration" -}}
{{- $documents := list -}}
{{- if .Values.configFile -}}
{{- range regexSplit "(?m)^(?:---|\\.\\.\\.)(?:[ \\t\\r]|$)" .Values.configFile -1 }}{{ $documents = append $documents (fromYaml .) }}{{ end -}}
{{- else -}}
{{- $documents = append $documents .Values.config -}}
{{- end -}}
{{- $documents | toJson -}}
{{- end }}

{{/* Empty where nothing here says that ServiceAccounts get pull secrets. */}}
{{- define "pullpass.attaches" -}}
{{- $attaches := .Values.serviceAccounts.enabled -}}
{{- range include "pullpass.configuration" . | fromJsonArray }}{{ $attaches = or $attaches ((.serviceAccounts).attach) }}{{ end -}}
{{- if $attaches }}true{{ end }}
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

{{/*
An end of the images of builders: `*` is one part between slashes. A pod may leave out `docker.io/` and `library/`, so that neither is
asked for. A pod too many does no harm: the webhook looks at its images again.
*/}}
{{- define "pullpass.builderPattern" -}}
{{- $images := .Values.webhook.builderImages | default list -}}
{{- range include "pullpass.configuration" . | fromJsonArray }}{{ range .builders }}{{ $images = concat $images (.images | default list) }}{{ end }}{{ end -}}
{{- $ends := list (include "pullpass.builtInBuilders" .) -}}
{{- range $images -}}
{{- $end := regexReplaceAll "^(?:(?:docker\\.io|library|\\*)/)+" . "" -}}
{{- $ends = append $ends (regexQuoteMeta $end | replace "\\*" "[^/]+") -}}
{{- end -}}
(?:^|/)(?:{{ join "|" $ends }})(?:[:@]|$)
{{- end }}

{{- define "pullpass.guards" -}}
{{- if and .Values.secretGuard.enabled (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy") }}true{{ end }}
{{- end }}
