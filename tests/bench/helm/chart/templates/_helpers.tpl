{{- define "labels" -}}
app.kubernetes.io/managed-by: fresco
app.kubernetes.io/name: {{ . }}
serving.fresco.dev/server: {{ . }}
{{- end -}}

{{- define "container" -}}
securityContext:
  runAsUser: {{ . }}
  runAsGroup: 2000
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
    - ALL
  seccompProfile:
    type: RuntimeDefault
terminationMessagePath: /dev/termination-log
terminationMessagePolicy: File
{{- end -}}

{{- define "service" -}}
type: ClusterIP
internalTrafficPolicy: Cluster
sessionAffinity: None
ports:
- name: http
  protocol: TCP
  port: 8000
  targetPort: http
- name: grpc
  protocol: TCP
  port: 8001
  targetPort: grpc
  appProtocol: kubernetes.io/h2c
{{- end -}}
