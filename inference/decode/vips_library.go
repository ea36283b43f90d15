//go:build (darwin || linux) && (amd64 || arm64)

package decode

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/pas-ta/liveness/inference/tuning"
)

// vipsLibrary holds the addresses of the libvips and GLib functions that the decoder calls. None of them is variadic:
// the calling convention of variadic functions differs on arm64, where a call made as here would pass garbage.
type vipsLibrary struct {
	operationNew, objectBuild, setArgument, unrefOutputs     uintptr
	blobNew, areaUnref, blobType, imageType, sourceType      uintptr
	valueInit, valueSetBoxed, valueUnset                     uintptr
	valueSetObject, valueGetObject                           uintptr
	sourceNew, signalConnect                                 uintptr
	setProperty, getProperty, objectRef, objectUnref, free   uintptr
	imageWidth, imageHeight, imageBands, imageFormat         uintptr
	imageFromMemory, regionNew, regionImage, regionPrepareTo uintptr
	errorCopy, threadShutdown                                uintptr

	release string // its version, as people name it
}

// libvips keeps its state in C globals and cannot be unloaded, so a process loads it once.
var loadedVips struct {
	sync.Mutex
	path    string
	library *vipsLibrary
}

// loadVips loads libvips, or returns what is loaded already.
func loadVips(path string) (*vipsLibrary, error) {
	loadedVips.Lock()
	defer loadedVips.Unlock()
	if loadedVips.library != nil {
		if loadedVips.path != path {
			return nil, fmt.Errorf("load libvips from %s: the process already uses %s", path, loadedVips.path)
		}
		return loadedVips.library, nil
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load libvips: %w", err)
	}
	library, err := initVips(handle)
	if err != nil {
		return nil, fmt.Errorf("load libvips from %s: %w", path, err)
	}
	loadedVips.path, loadedVips.library = path, library
	return library, nil
}

func initVips(handle uintptr) (*vipsLibrary, error) {
	version, err := purego.Dlsym(handle, "vips_version")
	if err != nil {
		return nil, fmt.Errorf("it is not libvips: %w", err)
	}
	if err := checkVersion(int(call(version, 0)), int(call(version, 1))); err != nil {
		return nil, err
	}
	l := &vipsLibrary{}
	var initialise, setHandler, cacheMax, concurrency, profiles uintptr
	if err := functions(handle, map[string]*uintptr{
		"vips_init": &initialise, "g_log_set_default_handler": &setHandler,
		"vips_cache_set_max": &cacheMax, "vips_concurrency_set": &concurrency, "vips_icc_present": &profiles,
		"vips_operation_new": &l.operationNew, "vips_object_build": &l.objectBuild,
		"vips_object_set_argument_from_string": &l.setArgument, "vips_object_unref_outputs": &l.unrefOutputs,
		"vips_blob_new": &l.blobNew, "vips_area_unref": &l.areaUnref,
		"vips_blob_get_type": &l.blobType, "vips_image_get_type": &l.imageType,
		"vips_source_get_type": &l.sourceType, "vips_source_custom_new": &l.sourceNew, "g_signal_connect_data": &l.signalConnect,
		"g_value_init": &l.valueInit, "g_value_set_boxed": &l.valueSetBoxed, "g_value_set_object": &l.valueSetObject,
		"g_value_get_object": &l.valueGetObject, "g_value_unset": &l.valueUnset,
		"g_object_set_property": &l.setProperty, "g_object_get_property": &l.getProperty,
		"g_object_ref": &l.objectRef, "g_object_unref": &l.objectUnref, "g_free": &l.free,
		"vips_image_get_width": &l.imageWidth, "vips_image_get_height": &l.imageHeight,
		"vips_image_get_bands": &l.imageBands, "vips_image_get_format": &l.imageFormat,
		"vips_image_new_from_memory": &l.imageFromMemory, "vips_region_new": &l.regionNew,
		"vips_region_image": &l.regionImage, "vips_region_prepare_to": &l.regionPrepareTo,
		"vips_error_buffer_copy": &l.errorCopy, "vips_thread_shutdown": &l.threadShutdown,
	}); err != nil {
		return nil, err
	}
	if call(initialise, cString("liveness")) != 0 {
		return nil, fmt.Errorf("it does not start: %s", l.lastError())
	}
	if call(profiles) == 0 {
		return nil, errors.New("it is built without Little CMS, which applies colour profiles")
	}
	// GLib prints warnings about damaged images to standard error, where the
	// log of the program is. What matters of them comes back as an error.
	call(setHandler, purego.NewCallback(func(_, _, _, _ uintptr) uintptr { return 0 }), 0)
	// The engine bounds what runs at once, and images are never seen twice:
	// the operation cache would only keep customers' pictures in memory.
	call(cacheMax, 0)
	call(concurrency, 1)
	tuning.KeepFreedMemory()
	l.release = fmt.Sprintf("%d.%d.%d", call(version, 0), call(version, 1), call(version, 2))
	return l, nil
}

// functions looks up the addresses of a library's functions.
func functions(handle uintptr, addresses map[string]*uintptr) error {
	for name, address := range addresses {
		at, err := purego.Dlsym(handle, name)
		if err != nil {
			return fmt.Errorf("it lacks the function %s: %w", name, err)
		}
		*address = at
	}
	return nil
}

// oldestMinor is that of the oldest libvips 8 that the tests were run with, Debian 12's. Older ones lack what is asked of
// them, or answer otherwise: fail_on came with 8.12, sources that are read through callbacks with 8.9.
const oldestMinor = 14

// checkVersion refuses a libvips that would fail, or answer otherwise, only once images come.
func checkVersion(major, minor int) error {
	if major != 8 || minor < oldestMinor {
		return fmt.Errorf("it is version %d.%d, version 8.%d or a later 8 is needed", major, minor, oldestMinor)
	}
	return nil
}

// call calls a C function of integers and pointers.
//
//go:uintptrescapes
func call(function uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(function, args...)
	return r
}

// cString returns the address of a zero-terminated copy of s that stays where
// it is for the life of the process: use it for constants.
func cString(s string) uintptr {
	constants.Lock()
	defer constants.Unlock()
	if constants.text == nil {
		constants.text = map[string]*byte{}
	}
	if constants.text[s] == nil {
		constants.text[s] = &append([]byte(s), 0)[0]
	}
	return uintptr(unsafe.Pointer(constants.text[s]))
}

// constants keeps the texts that were given to C reachable.
var constants struct {
	sync.Mutex
	text map[string]*byte
}

// lastError takes libvips's error text. Concurrent failures may mix in it; it is for logs.
func (l *vipsLibrary) lastError() string {
	text := call(l.errorCopy)
	if text == 0 {
		return "no reason given"
	}
	defer call(l.free, text)
	return strings.ToValidUTF8(strings.TrimSpace(goString(text, 300)), "?")
}

// goString copies at most n bytes of zero-terminated C memory.
func goString(address uintptr, n int) string {
	// The conversion goes through a pointer to the address because the memory
	// is C's: the garbage collector neither moves nor frees it.
	start := *(*unsafe.Pointer)(unsafe.Pointer(&address))
	var b strings.Builder
	for i := range n {
		c := *(*byte)(unsafe.Add(start, i))
		if c == 0 {
			break
		}
		b.WriteByte(c)
	}
	return b.String()
}
