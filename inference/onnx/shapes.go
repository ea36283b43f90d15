package onnx

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of onnx.proto.
const (
	graphInput, graphOutput = 11, 12

	valueName, valueType = 1, 2

	typeTensor     = 1
	tensorTypeForm = 2

	formLength  = 1
	lengthValue = 1
)

// Shapes returns what a model file states of its inputs and outputs: the lengths of each, by name, of which those that it leaves open
// are 0. Only what states no shape at all has none.
func Shapes(model []byte) (inputs, outputs map[string][]int64, err error) {
	graph, err := inside(model, modelGraph)
	if err != nil {
		return nil, nil, fmt.Errorf("read the model: %w", err)
	}
	fields, err := fieldsOf(graph)
	if err != nil {
		return nil, nil, fmt.Errorf("read the graph: %w", err)
	}
	inputs, outputs = map[string][]int64{}, map[string][]int64{}
	for _, f := range fields {
		into := inputs
		switch f.number {
		case graphInput:
		case graphOutput:
			into = outputs
		default:
			continue
		}
		name, err := inside(f.bytes, valueName)
		if err == nil {
			into[string(name)], err = shapeOf(f.bytes)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read an input or output: %w", err)
		}
	}
	return inputs, outputs, nil
}

func shapeOf(value []byte) (lengths []int64, err error) {
	form, err := inside(value, valueType, typeTensor, tensorTypeForm)
	if err != nil {
		return nil, err
	}
	all, err := fieldsOf(form)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.number != formLength {
			continue
		}
		length := int64(0)
		parts, err := fieldsOf(f.bytes)
		if err != nil {
			return nil, err
		}
		for _, part := range parts {
			if part.number == lengthValue && part.bytes == nil {
				length = int64(part.value)
			}
		}
		lengths = append(lengths, length)
	}
	return lengths, nil
}

// inside returns the bytes of the last field that is reached by its number, and the numbers of those around it; none when there is no such.
func inside(message []byte, path ...protowire.Number) ([]byte, error) {
	for _, number := range path {
		fields, err := fieldsOf(message)
		if err != nil {
			return nil, err
		}
		message = nil
		for _, f := range fields {
			if f.number == number {
				message = f.bytes
			}
		}
	}
	return message, nil
}
