package awssim

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go/encoding/cbor"
)

// cborProtocol is Smithy RPC v2 with CBOR bodies, which the entitlement service's newer clients speak.
type cborProtocol struct{}

// cborValuer is an output that knows its CBOR form.
type cborValuer interface{ cbor() cbor.Value }

// decode goes through JSON, so that an operation has one input type for both protocols.
func (cborProtocol) decode(body []byte, into any) error {
	value, err := cbor.Decode(body)
	if err != nil {
		return refuse("SerializationException", "%v", err)
	}
	plain, err := fromCBOR(value)
	if err != nil {
		return refuse("SerializationException", "%v", err)
	}
	encoded, err := json.Marshal(plain)
	if err != nil {
		return refuse("SerializationException", "%v", err)
	}
	return json11.decode(encoded, into)
}

func (cborProtocol) encode(value any) ([]byte, error) {
	v, ok := value.(cborValuer)
	if !ok {
		return nil, fmt.Errorf("awssim: %T has no CBOR form", value)
	}
	return cbor.Encode(v.cbor()), nil
}

func (cborProtocol) header() http.Header {
	return http.Header{"Content-Type": {"application/cbor"}, "Smithy-Protocol": {"rpc-v2-cbor"}}
}

func (p cborProtocol) failure(e *apiError) ([]byte, http.Header) {
	return cbor.Encode(cbor.Map{"__type": cbor.String(e.code), "message": cbor.String(e.message)}), p.header()
}

func fromCBOR(value cbor.Value) (any, error) {
	switch v := value.(type) {
	case cbor.String:
		return string(v), nil
	case cbor.Bool:
		return bool(v), nil
	case cbor.Uint:
		return uint64(v), nil
	case cbor.Float32:
		return float32(v), nil
	case cbor.Float64:
		return float64(v), nil
	case *cbor.Nil:
		return nil, nil
	case *cbor.Tag:
		return fromCBOR(v.Value)
	case cbor.List:
		list := make([]any, 0, len(v))
		for _, item := range v {
			plain, err := fromCBOR(item)
			if err != nil {
				return nil, err
			}
			list = append(list, plain)
		}
		return list, nil
	case cbor.Map:
		fields := make(map[string]any, len(v))
		for name, item := range v {
			plain, err := fromCBOR(item)
			if err != nil {
				return nil, err
			}
			fields[name] = plain
		}
		return fields, nil
	default:
		return nil, fmt.Errorf("a value of type %T is not expected", value)
	}
}
