package parts

// consoleAssets are the third-party browser files of the console. Each becomes
// a file of the part's directory under its `to` name.
func consoleAssets() part {
	return part{
		id:       ConsoleAssets,
		title:    "browser files of the console",
		env:      "LIVENESS_CONSOLE_ASSETS",
		holds:    "a directory with the files of the packages named here",
		dir:      true,
		packages: map[string][]npmPackage{"": {}},
	}
}
