package mail

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/pas-ta/liveness/commands/accounts"
)

// stage is how far a mail had come when the server answered.
type stage string

const (
	stageGreeting  stage = "greeting or login"
	stageSender    stage = "sender"
	stageRecipient stage = "recipient"
	stageMessage   stage = "message"
)

// recipientCauses are the enhanced status codes (RFC 3463, RFC 7505) that concern one recipient alone. All others, also of
// the same class, say something about the sender, the content or the server: 5.1.7 and 5.1.8 are the sender's address, 5.7.1 is a
// relay that does not serve us.
var recipientCauses = map[string]accounts.UndeliverableCause{
	"5.1.1": accounts.CauseNoMailbox, "5.1.2": accounts.CauseNoDomain, "5.1.3": accounts.CauseAddress,
	"5.1.4": accounts.CauseAddress, "5.1.6": accounts.CauseNoMailbox, "5.1.10": accounts.CauseNoDomain,
	"5.2.0": accounts.CauseDisabled, "5.2.1": accounts.CauseDisabled, "5.2.2": accounts.CauseFull, "5.2.4": accounts.CauseDisabled,
}

// bareRecipientCodes are the codes by which a server without enhanced ones refuses a recipient.
var bareRecipientCodes = []int{550, 551, 553}

// operatorWords betray that a bare code does not mean the recipient, whom servers without enhanced codes refuse by the same one.
var operatorWords = regexp.MustCompile(`(?i)relay|auth|log ?in|sender|helo|ehlo|client|rcpthosts|block|black|spam|spf` +
	`|dkim|dmarc|polic|prohibit|denied|allowed|reverse|tls|secur`)

// quotedAddress is an address within an answer, whose words are not the server's.
var quotedAddress = regexp.MustCompile(`\S+@\S+`)

var enhancedCode = regexp.MustCompile(`^([245])\.(\d{1,3})\.(\d{1,3})\b`)

// refused returns what a step failed with, nil when the server has said yes. RFC 5321, 4.3.2: what counts is the first digit of an
// answer, and go-mail takes others than the usual one for refusals.
func refused(err error) error {
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code >= 200 && reply.Code < 300 {
		return nil
	}
	return err
}

// answerFailure classifies what became of a mail by the server's answer at a stage. Only what concerns this recipient is for
// good: whatever an operator can put right, of the server, the sender or the login, is tried again. Of the answer only the
// numbers are kept: its text quotes the address.
func answerFailure(at stage, err error) *Error {
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return &Error{Class: Retry, Reason: fmt.Sprintf("the connection to the SMTP server broke (%s)", at), Err: withoutText(err)}
	}
	enhanced := enhancedCode.FindString(reply.Msg)
	answer := strings.TrimSpace(fmt.Sprintf("%d %s", reply.Code, enhanced))
	reason := fmt.Sprintf("the SMTP server answered %s to the %s", answer, at)
	concernsRecipient := at == stageRecipient || at == stageMessage
	switch {
	case reply.Code < 500:
		// Greylisting and full mailboxes; a server that closes (421) or is unwell (4.3.x) says nothing about the recipient.
		deferred := concernsRecipient && reply.Code >= 400 && reply.Code != 421 && reply.Code != 454 && !strings.HasPrefix(enhanced, "4.3.")
		return &Error{Class: Retry, Reason: reason, deferred: deferred}
	case concernsRecipient && recipientCauses[enhanced] != "":
		return undeliverable(recipientCauses[enhanced], answer, reason)
	case at == stageRecipient && enhanced == "" && slices.Contains(bareRecipientCodes, reply.Code) &&
		!operatorWords.MatchString(quotedAddress.ReplaceAllString(reply.Msg, "")):
		return undeliverable(accounts.CauseNoMailbox, answer, reason)
	}
	return failed(Configuration, "%s", reason)
}

// withoutText keeps what broke a connection and drops anything else, which may quote an address.
func withoutText(err error) error {
	if broken(err) {
		return err
	}
	return nil
}
