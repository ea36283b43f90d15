package pack

import (
	"bytes"
	"embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// BuiltID is the name of the pack that can be built of the default pack and the official MiniFASNet weights: its id is this
// with the digest of its judging.
const BuiltID = "faceplugin-minifasnet-1"

//go:embed licences
var licences embed.FS

// notice says, as the licence of the weights asks, where the files are from and what was changed.
const notice = `fr_detect.onnx, fr_liveness.onnx and fr_landmark.onnx are those of the npm package faceplugin-face-recognition-js 0.0.1,
unchanged (MIT, LICENSE.faceplugin).

minifasnet_v2_2.7.onnx and minifasnet_v1se_4.0.onnx hold the weights 2.7_80x80_MiniFASNetV2.pth and
4_0_0_80x80_MiniFASNetV1SE.pth of minivision-ai/Silent-Face-Anti-Spoofing (Apache-2.0, LICENSE.minifasnet). Changed:
written as ONNX, batch normalisation folded into the layer before it, a softmax put at the end. Nothing is retrained.
`

// Build writes the pack BuiltID into dir: the models of base, which is the default pack, the converted ones by their file
// names, manifest and licences. The bytes are the same every time, so that doing it again changes nothing. A directory that
// holds anything else is refused.
func Build(dir string, base Pack, converted map[string][]byte) (Pack, error) {
	m, err := builtManifest()
	if err != nil {
		return Pack{}, err
	}
	files := map[string][]byte{}
	maps.Copy(files, converted)
	for name := range m.Files {
		if files[name] == nil {
			if files[name], err = base.Read(name); err != nil {
				return Pack{}, err
			}
		}
	}
	files[manifestFile], files["NOTICE"] = m.text, []byte(notice)
	for _, name := range []string{"LICENSE.faceplugin", "LICENSE.minifasnet"} {
		if files[name], err = licences.ReadFile("licences/" + name); err != nil {
			return Pack{}, fmt.Errorf("read the licence: %w", err)
		}
	}
	if err := write(dir, files); err != nil {
		return Pack{}, fmt.Errorf("write the model pack: %w", err)
	}
	p, err := Open(dir)
	if err != nil {
		return Pack{}, err
	}
	for name := range p.Files { // as they will be read, and so that nothing is announced that an engine would refuse
		if _, err := p.Read(name); err != nil {
			return Pack{}, err
		}
	}
	return p, nil
}

func builtManifest() (Manifest, error) {
	all, err := Builtin()
	if err != nil {
		return Manifest{}, err
	}
	i := slices.IndexFunc(all, func(m Manifest) bool { return m.name() == BuiltID })
	if i < 0 {
		return Manifest{}, fmt.Errorf("there is no manifest of %s", BuiltID)
	}
	return all[i], nil
}

// write puts the files into a directory, the manifest last: without it they are no pack.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, files[entry.Name()]) {
			return fmt.Errorf("%s is in the way: name a directory that does not exist yet, or empty this one", path)
		}
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(name string) bool { return name == manifestFile })
	for _, name := range append(names, manifestFile) {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
