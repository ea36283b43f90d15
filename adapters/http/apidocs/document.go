// Package apidocs is what a developer reads to use the API: the OpenAPI document, a guide, and a page for each error code. It needs no
// other host and no JavaScript.
package apidocs

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openapi []byte

// siteAddress stands for the address of the site in what is embedded.
const siteAddress = "BASE_URL"

// Document returns the OpenAPI document of the API of a site, as JSON.
func Document(site *url.URL) ([]byte, error) {
	var document any
	if err := yaml.Unmarshal(bytes.ReplaceAll(openapi, []byte(siteAddress), []byte(site.String())), &document); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	return json.MarshalIndent(document, "", "  ")
}
