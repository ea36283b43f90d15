package v1

import (
	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/domain"
)

// words are the messages of the API's error codes. An error may say something more exact.
var words = problem.Words{
	domain.ErrInvalidRequest.Code: "The request is not valid.",
	domain.ErrInvalidImage.Code:   "The image cannot be judged.",
	domain.ErrInvalidAPIKey.Code: "The API key is missing or not valid. Send a current key in the X-API-Key header; " +
		"keys are issued on the console's API Keys screen.",
	domain.ErrSubscriptionInactive.Code: "The subscription is not active. Check it on AWS Marketplace under Manage subscriptions.",
	domain.ErrIdempotencyConflict.Code: "This Idempotency-Key was used with a different request in the last 24 hours. " +
		"Use a new key for a new request.",
	domain.ErrImageTooLarge.Code:    "The image is larger than 10 MB. Send a smaller one.",
	domain.ErrUnsupportedMedia.Code: "Send the request with Content-Type: application/json.",
	domain.ErrQuotaExceeded.Code: "The monthly limit of the plan is reached and the over-limit setting is \"stop\". " +
		"Switch it on the console's Plan screen or wait for the next month (UTC).",
	domain.ErrRateLimited.Code: "Too many requests in a short time. Wait as long as Retry-After says.",
	domain.ErrOverloaded.Code:  "The service is busy. The request was not counted; try again as Retry-After says.",
	domain.ErrUnavailable.Code: "The service cannot complete the request now. It was not counted; try again as Retry-After says.",
	problem.CodeInternal: "The service failed to answer. The request was not counted; if it fails again, " +
		"contact support with the X-Request-Id of this answer.",
	problem.CodeClientClosedRequest: "The request was cancelled.",
}

// perhapsCounted is what is said of a fault of ours behind the point up to which it is certain that nothing was counted.
const perhapsCounted = "The service failed to answer, and whether the request was counted is not known. " +
	"Send it again with the same Idempotency-Key, if it had one; if it fails again, contact support with the X-Request-Id of this answer."
