// Package proofpage holds a page that checks the proof of a month in a browser: one file, which needs no server and no network.
package proofpage

import _ "embed"

// FileName is what the page is saved as.
const FileName = "check-proof.html"

// HTML is the page.
//
//go:embed check-proof.html
var HTML []byte
