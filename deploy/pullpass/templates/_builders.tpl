{{- /* Made from src/core/builds/builders.ts by npm run render; do not edit. */}}
{{- define "pullpass.builtInBuilders" -}}
kaniko-project/executor|kaniko-project/warmer|osscontainertools/kaniko|osscontainertools/kaniko-dev|martizih/kaniko|cgr\.dev/[^/]+/kaniko|cgr\.dev/[^/]+/kaniko-fips|cgr\.dev/[^/]+/kaniko-warmer|cgr\.dev/[^/]+/kaniko-warmer-fips|moby/buildkit|buildah/stable|buildah/testing|buildah/upstream|containers/buildah|podman/stable|podman/testing|podman/upstream|containers/podman|skopeo/stable|skopeo/testing|skopeo/upstream|containers/skopeo|r\.j3ss\.co/img|library/docker|polyaxon-dockerizer|go-containerregistry/crane|cgr\.dev/[^/]+/crane|ko-build/ko|google/ko|buildpacksio/lifecycle|docker
{{- end }}
