package docs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// object is what the tests ask of the objects that deploy/kubernetes is built into.
type object struct {
	Kind     string
	Metadata struct {
		Name      string
		Namespace string
		Labels    map[string]string
	}
	Data map[string]string
	Spec struct {
		Replicas    int
		Selector    yaml.Node // of a Service the labels themselves
		PodSelector selector  `yaml:"podSelector"`
		Template    struct {
			Metadata struct{ Labels map[string]string }
			Spec     podSpec
		}
		Ports []struct {
			TargetPort string `yaml:"targetPort"`
		}
		Ingress []struct{ Ports []struct{ Port string } }

		MaxUnavailable int `yaml:"maxUnavailable"`
	}
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type podSpec struct {
	ServiceAccountName            string `yaml:"serviceAccountName"`
	AutomountServiceAccountToken  *bool  `yaml:"automountServiceAccountToken"`
	TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		FSGroup        int                   `yaml:"fsGroup"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []struct {
		Name   string
		Secret struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int    `yaml:"defaultMode"`
		}
	}
}

type container struct {
	Image   string
	Args    []string
	EnvFrom []struct {
		ConfigMapRef struct{ Name string } `yaml:"configMapRef"`
	} `yaml:"envFrom"`
	Env []struct {
		Name, Value string
		ValueFrom   struct {
			SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	Ports           []struct{ Name string }
	StartupProbe    probe `yaml:"startupProbe"`
	ReadinessProbe  probe `yaml:"readinessProbe"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	Resources struct{ Limits map[string]string }
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// kubernetes builds a kustomization, which the types of the Kubernetes API have to take. The error is what they refuse.
func kubernetes(t *testing.T, dir string) (objects []object, refusal string) {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	check := exec.CommandContext(t.Context(), "go", "run", ".", dir)
	check.Dir, check.Stderr = filepath.Join(root, ".ci", "kubernetes"), &said
	check.Env = append(os.Environ(), "GOWORK=off")
	built, err := check.Output()
	if err != nil {
		return nil, said.String()
	}
	for decoder := yaml.NewDecoder(bytes.NewReader(built)); ; {
		var one object
		switch err := decoder.Decode(&one); {
		case errors.Is(err, io.EOF):
			return objects, ""
		case err != nil:
			t.Fatal(err)
		}
		objects = append(objects, one)
	}
}

// base returns the objects of deploy/kubernetes, by kind and name.
func base(t *testing.T) map[string]object {
	t.Helper()
	all, refusal := kubernetes(t, "deploy/kubernetes")
	if refusal != "" {
		t.Fatal(refusal)
	}
	named := map[string]object{}
	for _, one := range all {
		if one.Kind != "Namespace" && one.Metadata.Namespace != "liveness" {
			t.Errorf("%s %s is in the namespace %q", one.Kind, one.Metadata.Name, one.Metadata.Namespace)
		}
		if one.Kind == "Secret" {
			t.Errorf("%s holds a secret", one.Metadata.Name)
		}
		named[one.Kind+" "+one.Metadata.Name] = one
	}
	return named
}

// selects returns whether an object's selector finds the pods with some labels.
func (o object) selects(t *testing.T, labels map[string]string) bool {
	t.Helper()
	wanted := selector{MatchLabels: map[string]string{}}
	var err error
	switch {
	case o.Kind == "NetworkPolicy":
		wanted = o.Spec.PodSelector
	case o.Kind == "Service":
		err = o.Spec.Selector.Decode(&wanted.MatchLabels)
	default:
		err = o.Spec.Selector.Decode(&wanted)
	}
	if err != nil {
		t.Fatal(err)
	}
	for label, value := range wanted.MatchLabels {
		if labels[label] != value {
			return false
		}
	}
	return true
}

// value returns what a container's environment says.
func (c container) value(name string) string {
	for _, variable := range c.Env {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}

// The Kubernetes API takes every object of the base, what selects pods selects its own, and what is named is there.
func TestKubernetesBase(t *testing.T) {
	t.Parallel()
	objects := base(t)
	for _, role := range []string{"api", "worker"} {
		deployment, known := objects["Deployment "+role]
		if !known || deployment.Spec.Replicas < 2 {
			t.Fatalf("there are %d of %s", deployment.Spec.Replicas, role)
		}
		pod, other := deployment.Spec.Template, objects["Deployment "+map[string]string{"api": "worker", "worker": "api"}[role]]
		for _, kind := range []string{"Deployment ", "PodDisruptionBudget "} {
			if one := objects[kind+role]; !one.selects(t, pod.Metadata.Labels) || one.selects(t, other.Spec.Template.Metadata.Labels) {
				t.Errorf("%s%s selects other pods than its own", kind, role)
			}
		}
		if budget := objects["PodDisruptionBudget "+role]; budget.Spec.MaxUnavailable >= deployment.Spec.Replicas {
			t.Errorf("all of %s may be gone at once", role)
		}
		if len(pod.Spec.Containers) != 1 {
			t.Fatalf("%s has %d containers", role, len(pod.Spec.Containers))
		}
		container := pod.Spec.Containers[0]
		if len(container.EnvFrom) != 1 || objects["ConfigMap "+container.EnvFrom[0].ConfigMapRef.Name].Data["LIVENESS_PUBLIC_URL"] == "" {
			t.Errorf("the settings of %s are not there", role)
		}
		if _, known := objects["ServiceAccount "+pod.Spec.ServiceAccountName]; !known {
			t.Errorf("%s runs as the service account %s", role, pod.Spec.ServiceAccountName)
		}
	}
	api := objects["Deployment api"].Spec.Template
	ports := map[string]bool{}
	for _, port := range api.Spec.Containers[0].Ports {
		ports[port.Name] = true
	}
	service := objects["Service api"]
	if !service.selects(t, api.Metadata.Labels) || !ports[service.Spec.Ports[0].TargetPort] {
		t.Error("the service leads nowhere")
	}
	for _, one := range objects {
		for _, allowed := range one.Spec.Ingress {
			for _, port := range allowed.Ports {
				if one.Kind == "NetworkPolicy" && !ports[port.Port] {
					t.Errorf("%s allows the port %s, which no pod has", one.Metadata.Name, port.Port)
				}
			}
		}
	}
	for _, asks := range []struct {
		probe
		path string
	}{
		{api.Spec.Containers[0].StartupProbe, "/v1/health"}, {api.Spec.Containers[0].ReadinessProbe, "/v1/ready"},
		{api.Spec.Containers[0].LivenessProbe, "/v1/health"},
	} {
		if asks.HTTPGet.Path != asks.path || !ports[asks.HTTPGet.Port] {
			t.Errorf("a probe asks %s at %s, want %s", asks.HTTPGet.Path, asks.HTTPGet.Port, asks.path)
		}
	}
}

// A pod that is broken into finds nothing that it may write, no right that it may gain, and no secret but its own.
func TestPodsAreConfined(t *testing.T) {
	t.Parallel()
	for name, one := range base(t) {
		if one.Kind != "Deployment" {
			continue
		}
		pod := one.Spec.Template.Spec
		container := pod.Containers[0]
		inside, around := container.SecurityContext, pod.SecurityContext
		if !around.RunAsNonRoot || around.SeccompProfile.Type != "RuntimeDefault" || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s: %+v", name, around)
		}
		if inside.AllowPrivilegeEscalation == nil || *inside.AllowPrivilegeEscalation || !inside.ReadOnlyRootFilesystem || strings.Join(inside.Capabilities.Drop, " ") != "ALL" {
			t.Errorf("%s: %+v", name, inside)
		}
		if container.Resources.Limits["memory"] == "" {
			t.Errorf("%s has no bound", name)
		}
		for _, variable := range container.Env {
			secret := variable.ValueFrom.SecretKeyRef
			if asked := strings.HasSuffix(variable.Name, "_URL"); asked != (secret.Name != "") {
				t.Errorf("%s: %s is given as %q, by the secret %q", name, variable.Name, variable.Value, secret.Name)
			}
		}
		for _, volume := range pod.Volumes {
			if volume.Secret.SecretName != "" && volume.Secret.DefaultMode&0o027 != 0 { // a ring that others can read is refused
				t.Errorf("%s: secrets have the mode %04o", name, volume.Secret.DefaultMode)
			}
		}
	}
}

// The cluster waits until the program has ended by itself.
func TestGracePeriodFitsTheWayDown(t *testing.T) {
	t.Parallel()
	pod := base(t)["Deployment api"].Spec.Template.Spec
	drain, err := time.ParseDuration(pod.Containers[0].value("LIVENESS_DRAIN"))
	if err != nil {
		t.Fatal(err)
	}
	const settling, requests = time.Second, 30 * time.Second // adapters/http/server
	if grace := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second; grace < drain+settling+requests {
		t.Errorf("pods are killed %s after they were asked to end, which takes %s at most", grace, drain+settling+requests)
	}
}

// What the API would not take is found: a field that it does not have, a value of another kind, a version that is gone.
func TestKubernetesRefuses(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string][2]string{
		"an unknown field": {"terminationGracePeriodSeconds", "terminationGracePeriod"},
		"another type":     {"replicas: 2", "replicas: two"},
		"another version":  {"policy/v1", "policy/v1beta9"},
		"no quantity":      {"memory: 2Gi", "memory: 2 GB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("deploy/kubernetes")); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "api.yaml")
			text := contents(t, file)
			if !strings.Contains(text, spoil[0]) {
				t.Fatalf("api.yaml does not say %q", spoil[0])
			}
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, spoil[0], spoil[1])), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, refusal := kubernetes(t, dir); refusal == "" {
				t.Errorf("%s is taken", spoil[1])
			}
		})
	}
}
