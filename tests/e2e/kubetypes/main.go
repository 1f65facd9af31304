// SPDX-License-Identifier: Apache-2.0

// Holds each object of a YAML file against the Go type of its kind, as an API server with strict
// field validation does. Exits 1, with the reason, when one has a field that its type has not, a
// value of another type, or is of a kind that is not known.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"apps/v1 DaemonSet": func() any { return new(appsv1.DaemonSet) },
	"v1 ConfigMap":      func() any { return new(corev1.ConfigMap) },
	"v1 Pod":            func() any { return new(corev1.Pod) },
}

func check(document string) error {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
		return err
	}
	kind := meta.APIVersion + " " + meta.Kind
	object, known := kinds[kind]
	if !known {
		return fmt.Errorf("kind %q is not known", kind)
	}
	if err := yaml.UnmarshalStrict([]byte(document), object()); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

func run(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	count := 0
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
		if strings.TrimSpace(document) == "" {
			continue
		}
		if err := check(document); err != nil {
			return err
		}
		count++
	}
	if count == 0 {
		return fmt.Errorf("%s has no object", path)
	}
	return nil
}

func main() {
	for _, path := range os.Args[1:] {
		if err := run(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
