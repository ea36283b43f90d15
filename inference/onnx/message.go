// Package onnx reads and writes model files as far as this program changes or makes them.
package onnx

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is an encoded protocol buffer message that grows.
type Message []byte

// Number adds a whole number.
func (m *Message) Number(field protowire.Number, v int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

// Text adds a text.
func (m *Message) Text(field protowire.Number, v string) { m.Embed(field, []byte(v)) }

// Embed adds a message, or any other bytes.
func (m *Message) Embed(field protowire.Number, v []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

// field is one field of a message.
type field struct {
	number protowire.Number
	raw    []byte // with its tag
	bytes  []byte // what it holds, when that has a length
	value  int    // what it holds, when that is a whole number
}

// fieldsOf returns the fields of a message, in its order.
func fieldsOf(message []byte) (all []field, err error) {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return nil, fmt.Errorf("read a field: %w", protowire.ParseError(tag))
		}
		length := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if length < 0 {
			return nil, fmt.Errorf("read field %d: %w", number, protowire.ParseError(length))
		}
		f := field{number: number, raw: message[:tag+length]}
		switch kind {
		case protowire.BytesType:
			f.bytes, _ = protowire.ConsumeBytes(message[tag:])
		case protowire.VarintType:
			v, _ := protowire.ConsumeVarint(message[tag:])
			f.value = int(v)
		}
		all = append(all, f)
		message = message[tag+length:]
	}
	return all, nil
}
