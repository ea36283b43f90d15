// Package awssim stands in for AWS on one machine: it speaks the wire protocols of the services that the product uses,
// so that any AWS SDK talks to it unchanged once its endpoint is set, and keeps what it was told in a SQLite database.
// It is for development and tests only; requests must carry a SigV4 header, but the signature itself is not verified.
//
// All services share one address:
//
//	Marketplace Metering     JSON 1.1   POST /, X-Amz-Target: AWSMPMeteringService.…
//	Marketplace Entitlement  CBOR       POST /service/AWSMPEntitlementService/operation/GetEntitlements
//	                         JSON 1.1   POST /, X-Amz-Target: AWSMPEntitlementService.GetEntitlements
//	SES v2                   REST-JSON  POST /v2/email/outbound-emails
//	SQS                      JSON 1.0   POST / or the queue's URL, X-Amz-Target: AmazonSQS.…
//
// Beside them stand pages for people (/marketplace, /mailbox, /metering, /faults) and a JSON API that does what the pages do
// (/sim/api/…, /mailbox/api/messages). The rules of metering follow a settable clock; queues follow the real one.
package awssim
