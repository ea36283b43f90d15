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
	var document struct {
		Components struct {
			Responses map[string]map[string]any
			Others    map[string]any `yaml:",inline"`
		}
		Others map[string]any `yaml:",inline"`
	}
	if err := yaml.Unmarshal(bytes.ReplaceAll(openapi, []byte(siteAddress), []byte(site.String())), &document); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	pages, err := ErrorPages()
	if err != nil {
		return nil, err
	}
	for name, response := range document.Components.Responses {
		codes, _ := response["x-codes"].([]any)
		delete(response, "x-codes")
		if response["content"], err = errorContent(codes, pages, site); err != nil {
			return nil, fmt.Errorf("response %s of the OpenAPI document: %w", name, err)
		}
	}
	document.Components.Others["responses"] = document.Components.Responses
	document.Others["components"] = document.Components.Others
	return json.MarshalIndent(document.Others, "", "  ")
}

// errorContent describes the errors with some codes.
func errorContent(codes []any, pages []ErrorPage, site *url.URL) (any, error) {
	examples := map[string]any{}
	for _, code := range codes {
		for _, page := range pages {
			if page.Code == code {
				examples[page.Code] = map[string]any{"summary": page.Title, "value": page.example(site)}
			}
		}
	}
	if len(codes) == 0 || len(examples) != len(codes) {
		return nil, fmt.Errorf("%v are not all codes of errors", codes)
	}
	known := map[string]any{"x-extensible-enum": codes} // and more to come, for which callers leave room
	oneOf := map[string]any{"properties": map[string]any{"error": map[string]any{"properties": map[string]any{"code": known}}}}
	schema := map[string]any{"allOf": []any{map[string]any{"$ref": "#/components/schemas/ErrorAnswer"}, oneOf}}
	return map[string]any{"application/json": map[string]any{"schema": schema, "examples": examples}}, nil
}

// exampleAnswer has the fields in the order of the API's answers.
type exampleAnswer struct {
	Metadata struct {
		Date           string  `json:"date"`
		Version        string  `json:"ver"`
		CustomerID     *string `json:"customer_id"`
		RemainingCalls *int64  `json:"remaining_calls"`
		OverLimitCalls *int64  `json:"over_limit_calls"`
		Status         string  `json:"status"`
	} `json:"metadata"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Docs    string `json:"docs"`
	} `json:"error"`
}

// example is an answer with the error.
func (e ErrorPage) example(site *url.URL) (answer exampleAnswer) {
	answer.Metadata.Date, answer.Metadata.Version, answer.Metadata.Status = "2026-11-22T12:34:56.789Z", "1.0.1", "error"
	answer.Error.Code, answer.Error.Message, answer.Error.Docs = e.Code, e.Message, site.String()+ErrorsPrefix+e.Code
	return answer
}
