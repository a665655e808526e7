{{/* What all pods of the chart have in common: no rights, and no trace of the cluster in their environment. */}}
{{- define "llm-service.pod" -}}
serviceAccountName: {{ include "llm-service.serviceAccount" . }}
automountServiceAccountToken: false
# Kubernetes would name every Service to the pod by variables, ours among them.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "llm-service.container" -}}
image: {{ include "llm-service.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The image has variables of its own for some of these, and variables win over the file. */}}
{{- define "llm-service.environment" -}}
env:
  - {name: LLM_SERVICE_CONFIG, value: /etc/llm-service/llm-service.yaml}
  - {name: LLM_SERVICE_SANDBOX, value: "off"}
  - {name: LLM_SERVICE_SERVER__HOST, value: {{ .Values.host | quote }}}
  - {name: LLM_SERVICE_SERVER__PORT, value: "8080"}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "llm-service.mounts" -}}
volumeMounts:
  - {name: data, mountPath: /var/lib/llm-service}
  - {name: tmp, mountPath: /tmp}
  - {name: config, mountPath: /etc/llm-service, readOnly: true}
  - {name: secrets, mountPath: {{ include "llm-service.secretFolder" . }}, readOnly: true}
  {{- if .Values.tls.secret }}
  - {name: tls, mountPath: /etc/llm-service-tls, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* All but the volume for data. */}}
{{- define "llm-service.volumes" -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
- name: config
  configMap: {name: {{ include "llm-service.fullname" . }}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- include "llm-service.secretSources" . | trim | nindent 6 }}
{{- with .Values.tls.secret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
