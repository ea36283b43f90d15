package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"
)

// machine describes where a run took place. What cannot be told stays empty.
type machine struct {
	Processor  string  `json:"processor"`
	Cores      int     `json:"cores"`
	MemoryGB   float64 `json:"memoryGB"`
	System     string  `json:"system"`
	Filesystem string  `json:"filesystem"` // type of the one that holds the data of the run
	Go         string  `json:"go"`
	Commit     string  `json:"commit"`
	Load       float64 `json:"load"` // processes that wanted to run, over the minute before the run
}

func describeMachine(ctx context.Context, dir string) machine {
	m := machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(commit))
	}
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return m // not Linux
	}
	if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
		m.Processor = cpus[0].ModelName
	}
	if memory, err := proc.Meminfo(); err == nil && memory.MemTotalBytes != nil {
		m.MemoryGB = float64(*memory.MemTotalBytes) / 1e9
	}
	if load, err := proc.LoadAvg(); err == nil {
		m.Load = load.Load1
	}
	if mounts, err := procfs.GetMounts(); err == nil {
		m.Filesystem = filesystemOf(mounts, dir)
	}
	return m
}

// filesystemOf is the type of the deepest mount that dir lies in.
func filesystemOf(mounts []*procfs.MountInfo, dir string) string {
	deepest, kind := "", ""
	for _, mount := range mounts {
		inside := mount.MountPoint == "/" || dir == mount.MountPoint || strings.HasPrefix(dir, mount.MountPoint+"/")
		if inside && len(mount.MountPoint) >= len(deepest) {
			deepest, kind = mount.MountPoint, mount.FSType
		}
	}
	return kind
}

// String is the head of the table.
func (m machine) String() string {
	text := fmt.Sprintf("%s, %d cores, %.0f GB, %s, data on %s, %s, commit %s", m.Processor, m.Cores, m.MemoryGB, m.System, m.Filesystem, m.Go, m.Commit)
	if m.Filesystem == "tmpfs" {
		text += "\nThe data lies in memory, where syncing costs nothing: set TMPDIR to a directory on a disk."
	}
	if m.Load > float64(m.Cores)/2 {
		text += fmt.Sprintf("\nThe machine was busy with other things (load %.1f): look at ratios, not at rates.", m.Load)
	}
	return text
}
