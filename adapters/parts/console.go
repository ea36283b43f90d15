package parts

// consoleAssets are the third-party browser files of the console. Each becomes
// a file of the part's directory under its `to` name.
func consoleAssets() part {
	return part{
		id:    ConsoleAssets,
		title: "browser files of the console",
		env:   "LIVENESS_CONSOLE_ASSETS",
		holds: "a directory with the files of the packages named here",
		dir:   true,
		packages: map[string][]npmPackage{"": {
			{
				// One ES module that holds Preact (MIT), its hooks and htm.
				name: "htm@3.1.1", licence: "Apache-2.0", size: 28437,
				files: []file{{"preact/standalone.module.js", "preact.js", "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7"}},
			},
			{
				name: "uplot@1.6.32", licence: "MIT", size: 164279,
				files: []file{
					{"dist/uPlot.esm.js", "uplot.js", "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba"},
					{"dist/uPlot.min.css", "uplot.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"},
				},
			},
			{
				name: "@fontsource-variable/inter@5.3.0", licence: "OFL-1.1", size: 1885281,
				files: []file{
					{"files/inter-latin-wght-normal.woff2", "inter-latin.woff2", "3100e775e8616cd2611beecfa23a4263d7037586789b43f035236a2e6fbd4c62"},
					{"files/inter-latin-ext-wght-normal.woff2", "inter-latin-ext.woff2", "34b9c504cab7a73e37b746343a449132e56cf7b5481af2cb81dc74dcff25c956"},
				},
			},
			{
				name: "@fontsource-variable/jetbrains-mono@5.3.0", licence: "OFL-1.1", size: 186796,
				files: []file{{"files/jetbrains-mono-latin-wght-normal.woff2", "mono-latin.woff2", "18be452724bfdc236c074ca94a249a7f41a86752c7d04ab258ce9ed5651f6a7e"}},
			},
		}},
	}
}
