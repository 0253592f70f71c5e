//go:build tools

// Names the program to be built, so that go.mod and go.sum pin all that it needs.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
