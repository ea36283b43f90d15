package awssim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
)

// service names a part of AWS in operations and faults.
type service string

const (
	metering    service = "metering"
	entitlement service = "entitlement"
	ses         service = "ses"
	sqs         service = "sqs"
)

// signingName is the name in a signature's credential scope.
var signingName = map[service]string{metering: "aws-marketplace", entitlement: "aws-marketplace", ses: "ses", sqs: "sqs"}

// maxBody is the largest request AWS takes in any of these services.
const maxBody = 2 << 20

// call is one request to an AWS operation.
type call struct {
	service   service
	operation string
	region    string // of the credential scope
	baseURL   string // under which the client reached us, for queue URLs
}

// operation decodes its input with decode and returns what to encode.
type operation func(ctx context.Context, c *call, decode func(any) error) (any, error)

// op makes an operation of a handler with a typed input.
func op[In any](handle func(context.Context, *call, In) (any, error)) operation {
	return func(ctx context.Context, c *call, decode func(any) error) (any, error) {
		var in In
		if err := decode(&in); err != nil {
			return nil, err
		}
		return handle(ctx, c, in)
	}
}

// apiError is an exception as AWS reports it.
type apiError struct {
	status    int
	code      string
	message   string
	queryCode string // what SQS called it before JSON; sent beside the new name
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// refuse makes an exception. Its HTTP status follows from its name.
func refuse(code, format string, args ...any) *apiError {
	status := http.StatusBadRequest
	switch code {
	case "InternalServiceErrorException", "InternalFailure":
		status = http.StatusInternalServerError
	case "ServiceUnavailable":
		status = http.StatusServiceUnavailable
	case "TooManyRequestsException":
		status = http.StatusTooManyRequests
	case "AccessDeniedException", "MissingAuthenticationTokenException", "InvalidSignatureException":
		status = http.StatusForbidden
	case "NotFoundException":
		status = http.StatusNotFound
	}
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// protocol is how one service puts values and exceptions on the wire.
type protocol interface {
	decode(body []byte, into any) error
	encode(value any) ([]byte, error)
	header() http.Header
	failure(e *apiError) ([]byte, http.Header)
}

// serve runs one AWS operation: authentication, faults, the operation itself, and the answer in the client's protocol.
func (s *Sim) serve(w http.ResponseWriter, r *http.Request, p protocol, svc service, name string, run operation) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.answerFailure(w, p, refuse("ValidationException", "The request is too large or was cut off"))
		return
	}
	c := &call{service: svc, operation: name, baseURL: "http://" + r.Host}
	if c.region, err = credentialRegion(r, svc); err != nil {
		s.answerFailure(w, p, err)
		return
	}
	if err := s.settle(r.Context()); err != nil {
		s.answerFailure(w, p, err)
		return
	}
	f, hit := s.faults.forCall(svc, name)
	if hit && !f.AfterCommit {
		if s.fail(w, r, p, c, f) {
			return
		}
		hit = false
	}
	out, err := run(r.Context(), c, func(into any) error { return p.decode(body, into) })
	if hit && s.fail(w, r, p, c, f) {
		return
	}
	if err != nil {
		s.answerFailure(w, p, err)
		return
	}
	encoded, err := p.encode(out)
	if err != nil {
		s.answerFailure(w, p, err)
		return
	}
	answer(w, p.header(), http.StatusOK, encoded)
}

// fail carries out a fault. It returns false when the request goes on, after a delay.
func (s *Sim) fail(w http.ResponseWriter, r *http.Request, p protocol, c *call, f Fault) bool {
	switch f.Kind {
	case FaultThrottle:
		s.answerFailure(w, p, throttle(c.service))
	case FaultServerError:
		s.answerFailure(w, p, serverError(c.service))
	case FaultUnavailable:
		s.answerFailure(w, p, refuse("ServiceUnavailable", "The service is unavailable"))
	case FaultException:
		s.answerFailure(w, p, refuse(f.Code, "Simulated %s", f.Code))
	case FaultDrop:
		s.drop(w)
	case FaultHang:
		s.wait(r.Context(), f.delay())
		s.drop(w)
	default:
		s.wait(r.Context(), f.delay())
		return false
	}
	return true
}

func (s *Sim) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closed:
	}
}

// drop closes the connection without an answer.
func (s *Sim) drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.log.Error("cannot drop the connection", "error", err)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if err := conn.Close(); err != nil {
		s.log.Debug("close dropped connection", "error", err)
	}
}

func (s *Sim) answerFailure(w http.ResponseWriter, p protocol, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		s.log.Error("operation failed", "error", err)
		e = refuse("InternalFailure", "The simulator failed: %v", err)
	}
	body, header := p.failure(e)
	answer(w, header, e.status, body)
}

func answer(w http.ResponseWriter, header http.Header, status int, body []byte) {
	maps.Copy(w.Header(), header)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is its own affair
}

// credentialRegion reads the Region from the signature's credential scope and checks that the scope names the service.
func credentialRegion(r *http.Request, svc service) (string, error) {
	const scheme = "AWS4-HMAC-SHA256 "
	header := r.Header.Get("Authorization")
	if !strings.HasPrefix(header, scheme) {
		return "", refuse("MissingAuthenticationTokenException", "Request is missing Authentication Token")
	}
	for field := range strings.SplitSeq(header[len(scheme):], ",") {
		credential, found := strings.CutPrefix(strings.TrimSpace(field), "Credential=")
		if !found {
			continue
		}
		scope := strings.Split(credential, "/")
		if len(scope) != 5 || scope[4] != "aws4_request" {
			break
		}
		if scope[3] != signingName[svc] {
			return "", refuse("InvalidSignatureException", "Credential should be scoped to correct service: '%s'.", signingName[svc])
		}
		return scope[2], nil
	}
	return "", refuse("InvalidSignatureException", "Authorization header has no valid Credential")
}

func throttle(svc service) *apiError {
	switch svc {
	case ses:
		return refuse("TooManyRequestsException", "Maximum sending rate exceeded.")
	case sqs:
		return &apiError{status: http.StatusBadRequest, code: "RequestThrottled", message: "Rate exceeded", queryCode: "RequestThrottled"}
	default:
		return refuse("ThrottlingException", "Rate exceeded")
	}
}

func serverError(svc service) *apiError {
	if svc == sqs {
		return refuse("InternalFailure", "The request processing has failed because of an unknown error")
	}
	return refuse("InternalServiceErrorException", "An internal error has occurred")
}

// jsonProtocol is awsJson 1.0 and 1.1, and the JSON of REST services.
type jsonProtocol struct {
	contentType string
	errorHeader bool   // name the exception in a header, as REST services do
	namespace   string // before the exception's name, as SQS does
}

var (
	json10   = jsonProtocol{contentType: "application/x-amz-json-1.0", namespace: "com.amazonaws.sqs#"}
	json11   = jsonProtocol{contentType: "application/x-amz-json-1.1"}
	restJSON = jsonProtocol{contentType: "application/json", errorHeader: true}
)

func (p jsonProtocol) decode(body []byte, into any) error {
	if len(body) == 0 {
		body = []byte("{}")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return refuse("SerializationException", "%v", err)
	}
	return nil
}

func (p jsonProtocol) encode(value any) ([]byte, error) {
	if value == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(value)
}

func (p jsonProtocol) header() http.Header { return http.Header{"Content-Type": {p.contentType}} }

func (p jsonProtocol) failure(e *apiError) ([]byte, http.Header) {
	header := p.header()
	fields := map[string]string{"message": e.message}
	if p.errorHeader {
		header.Set("X-Amzn-Errortype", e.code)
	} else {
		fields["__type"] = p.namespace + e.code
	}
	if e.queryCode != "" {
		header.Set("X-Amzn-Query-Error", e.queryCode+";Sender")
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return []byte("{}"), header
	}
	return body, header
}
