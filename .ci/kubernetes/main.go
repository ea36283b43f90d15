// Command kubernetes builds a kustomization as kubectl does, holds every object strictly against the types of the Kubernetes API, and prints
// them. It is a module of its own: the product needs none of what it is made of.
package main

import (
	"errors"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kubernetes DIR")
		os.Exit(2)
	}
	objects, err := build(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, object := range objects {
		fmt.Printf("---\n%s", object)
	}
}

// build returns the objects of a kustomization, or everything that the API would not take.
func build(dir string) (objects [][]byte, err error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", dir, err)
	}
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(types); err != nil {
			return nil, err
		}
	}
	strict := serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
	var refused []error
	for _, resource := range built.Resources() {
		object, err := resource.AsYAML()
		if err == nil {
			_, _, err = strict.Decode(object, nil, nil)
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", resource.CurId(), err))
		}
		objects = append(objects, object)
	}
	return objects, errors.Join(refused...)
}
