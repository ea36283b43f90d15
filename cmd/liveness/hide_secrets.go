package main

import (
	"net/url"
	"regexp"
	"strings"
)

// hiddenValue stands where a secret was.
const hiddenValue = "xxxxx"

var (
	scheme = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*://`)

	// credentials are user and password before a host. The address need not be one that net/url reads: a cluster's names several
	// hosts, and a password may hold any character.
	credentials = regexp.MustCompile(`(?s)^([^:@]*):.*@`)

	// parameter is a setting behind an address, and what a slip of the pen may have joined to it.
	parameter = regexp.MustCompile(`[?&#][^&]*`)

	// keyword is a pair of a connection string in keyword form, as libpq reads it: the value quoted, or up to white space.
	keyword = regexp.MustCompile(`(?s)([^\s=]+)(\s*=\s*)((?:'(?:\\.|[^'\\])*(?:'|$))*(?:\\.|[^\s\\])*)`)

	// givesSecret tells by its name that a setting is a secret, wherever in a text it stands.
	givesSecret = regexp.MustCompile(`(?i)(?:pass(?:word|wd|phrase)?|(?:passw|pwd|secret|token|credential|signature|api-?_?key)[^\s=]*)\s*=`)
)

// withoutSecrets leaves out what an address holds of secrets, in whichever form the address is written: a URL with the
// password before the host or among the parameters, or pairs of keyword and value.
func withoutSecrets(value string) string {
	if i := strings.IndexAny(value, "=:/@"); i >= 0 && value[i] == '=' {
		return keyword.ReplaceAllStringFunc(value, func(pair string) string {
			part := keyword.FindStringSubmatch(pair)
			switch {
			case givesSecret.MatchString(pair):
				return part[1] + part[2] + hiddenValue
			case scheme.MatchString(part[3]):
				return part[1] + part[2] + withoutSecrets(part[3])
			}
			return pair
		})
	}
	begin := scheme.FindString(value)
	rest := strings.TrimPrefix(value, begin)
	if givesSecret.MatchString(credentials.FindString(rest)) { // an @ of a parameter, or a password that looks like parameters
		return begin + hiddenValue
	}
	rest = credentials.ReplaceAllString(rest, "$1:"+hiddenValue+"@")
	return begin + parameter.ReplaceAllStringFunc(rest, func(pair string) string {
		if plain, err := url.QueryUnescape(pair); err == nil && !givesSecret.MatchString(plain) {
			return pair
		}
		name, _, _ := strings.Cut(pair, "=")
		return name + "=" + hiddenValue
	})
}
