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
	credentials = regexp.MustCompile(`(?s)^([^:@/]*):.*@`)

	// keyword is a pair of a connection string in keyword form, as libpq reads it: the value quoted, or up to white space.
	keyword = regexp.MustCompile(`(?s)([^\s=]+)(\s*=\s*)('(?:\\.|[^'\\])*(?:'|$)|(?:\\.|[^\s\\])*)`)

	// secretName tells by its name that a setting is a secret.
	secretName = regexp.MustCompile(`(?i)pass(?:word|wd|phrase)?$|passw|pwd|secret|token|credential|signature|api-?_?key`)
)

// withoutSecrets leaves out what an address holds of secrets, in whichever form the address is written: a URL with the
// password before the host or among the parameters, or pairs of keyword and value.
func withoutSecrets(value string) string {
	begin := scheme.FindString(value)
	if begin == "" && strings.Contains(value, "=") {
		return keyword.ReplaceAllStringFunc(value, func(pair string) string {
			part := keyword.FindStringSubmatch(pair)
			if secretName.MatchString(part[1]) {
				return part[1] + part[2] + hiddenValue
			}
			return pair
		})
	}
	rest := credentials.ReplaceAllString(strings.TrimPrefix(value, begin), "$1:"+hiddenValue+"@")
	address, parameters, found := strings.Cut(rest, "?")
	if !found {
		return begin + rest
	}
	pairs := strings.Split(parameters, "&")
	for i, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || secretName.MatchString(plain) {
			pairs[i] = name + "=" + hiddenValue
		}
	}
	return begin + address + "?" + strings.Join(pairs, "&")
}
