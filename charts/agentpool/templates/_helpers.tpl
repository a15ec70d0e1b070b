{{- /* Names, labels and rules that several templates share. */ -}}

{{- define "agentpool.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if regexMatch "^[a-z].*agentpool|^agentpool" .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 50 | trimSuffix "-" -}}
{{- else if regexMatch "^[0-9]" .Release.Name -}}
{{- /* A Service's name starts with a letter. */ -}}
{{- printf "%s-%s" .Chart.Name (.Release.Name | replace "." "-" | trunc 40 | trimSuffix "-") -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | replace "." "-" | trunc 40 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{- /* Of what has no namespace: a release of the same name elsewhere has its own. */ -}}
{{- define "agentpool.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "agentpool.fullname" .) -}}
{{- end -}}

{{- define "agentpool.serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "agentpool.fullname" . -}}
{{- else -}}
{{- fail "serviceAccount.create is false: name the account that is there in serviceAccount.name" -}}
{{- end -}}
{{- end -}}

{{- define "agentpool.selectorLabels" -}}
app.kubernetes.io/name: agentpool
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "agentpool.labels" -}}
{{ include "agentpool.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: agentpool
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* What values.schema.json can't say in words that help. */ -}}
{{- define "agentpool.check" -}}
{{- range $key, $_ := include "agentpool.labels" . | fromYaml -}}
{{- if hasKey $.Values.podLabels $key -}}
{{- fail (printf "podLabels sets %s, by which the chart finds its pods: choose another label" $key) -}}
{{- end -}}
{{- end -}}
{{- if hasKey .Values.podAnnotations "kubectl.kubernetes.io/default-container" -}}
{{- fail "podAnnotations sets kubectl.kubernetes.io/default-container, which the chart sets" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.monitoringNamespaces) -}}
{{- fail "metrics.serviceMonitor.enabled, but networkPolicy closes the port to everybody: name Prometheus's namespace in monitoringNamespaces" -}}
{{- end -}}
{{- end -}}

{{- define "agentpool.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What the controller may do in a namespace whose pools it looks after. No rule names Secrets: workers get theirs as mounted files. */ -}}
{{- define "agentpool.poolRules" -}}
# The pools. Patched for their finalizer alone; the permission on `finalizers` is what owner references with blockOwnerDeletion ask for.
- apiGroups: [agentpool.dev]
  resources: [agentpools]
  verbs: [get, list, watch, patch]
- apiGroups: [agentpool.dev]
  resources: [agentpools/status]
  verbs: [patch]
- apiGroups: [agentpool.dev]
  resources: [agentpools/finalizers]
  verbs: [update]
# The children, by server-side apply, which is `patch`, and `create` where the object is new.
- apiGroups: [""]
  resources: [serviceaccounts, configmaps, services, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch, delete]
# Which configurations are still in use.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
# Patched for the deletion cost that spares the busy ones.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
