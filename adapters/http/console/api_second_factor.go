package console

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image/png"
	"net/http"

	"github.com/google/uuid"
	"github.com/pquerna/otp"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// sessionFactor is the secret, sealed, of a second factor that waits for the first code of its app.
const sessionFactor = "second-factor"

// codePicture is how wide and high the picture is that an app takes the secret from, in pixels.
const codePicture = 240

type preparedFactorAnswer struct {
	Secret  string `json:"secret"`
	Picture string `json:"picture"` // data URL of the QR code
}

type recoveryCodesAnswer struct {
	RecoveryCodes []string `json:"recoveryCodes"` // this one time
}

// prepareSecondFactor gives a secret to be entered into an app. Nothing changes until a code of the app comes back.
func (c *console) prepareSecondFactor(r *http.Request, account uuid.UUID) (any, error) {
	var body struct {
		Password string `json:"currentPassword"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	var prepared accounts.PreparedFactor
	err := c.withPassword(r.Context(), account, func() (err error) {
		prepared, err = c.Accounts.PrepareSecondFactor(r.Context(), account, body.Password)
		return err
	})
	if err != nil {
		return nil, err
	}
	picture, err := pictureOf(prepared.URI)
	if err != nil {
		return nil, err
	}
	c.sessions.Put(r.Context(), sessionFactor, string(prepared.Sealed))
	return preparedFactorAnswer{Secret: prepared.Secret, Picture: picture}, nil
}

func pictureOf(uri string) (string, error) {
	key, err := otp.NewKeyFromURL(uri)
	if err != nil {
		return "", fmt.Errorf("read the address of a secret: %w", err)
	}
	picture, err := key.Image(codePicture, codePicture)
	if err != nil {
		return "", fmt.Errorf("draw the picture of a secret: %w", err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return "", fmt.Errorf("write the picture of a secret: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

var errNoFactorPrepared = &domain.Error{Kind: domain.KindConflict, Code: "second_factor_not_prepared",
	Message: "The setup was begun anew elsewhere, or took too long. Begin again."}

// addSecondFactor has the user's logins need a code from now on. Other sessions began without one and are signed out.
func (c *console) addSecondFactor(r *http.Request, account uuid.UUID) (any, error) {
	var body struct {
		Code string `json:"code"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	ctx := r.Context()
	sealed := c.sessions.GetString(ctx, sessionFactor)
	if sealed == "" {
		return nil, errNoFactorPrepared
	}
	codes, name, err := c.Accounts.AddSecondFactor(ctx, accounts.AddSecondFactor{
		By: byUser(r.Context(), account), AccountID: account, Sealed: domain.Ciphertext(sealed), Code: body.Code,
	})
	if err != nil {
		return nil, err
	}
	c.sessions.Remove(ctx, sessionFactor)
	// The recovery codes are shown this one time. A code of this step that was used for a factor before is used already.
	if err := c.useCode(ctx, account, name); err != nil && !errors.Is(err, domain.ErrWrongCode) {
		c.Log.WarnContext(ctx, "the code that switched a second factor on can be used once more", "error", err)
	}
	return recoveryCodesAnswer{codes}, c.endOtherLogins(r, account)
}

// withCode runs what is only for who knows the password and has a code.
func (c *console) withCode(r *http.Request, account uuid.UUID, run func() (any, error)) (any, error) {
	var body struct {
		Password string `json:"currentPassword"`
		Code     string `json:"code"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	err := c.withPassword(r.Context(), account, func() error {
		_, err := c.Accounts.CheckPassword(r.Context(), account, body.Password)
		return err
	})
	if err != nil {
		return nil, err
	}
	known, err := c.Accounts.AccountKnowsDevice(r.Context(), account, device(r))
	if err != nil {
		return nil, err
	}
	if err := c.checkCode(r, account, known, body.Code); err != nil {
		return nil, err
	}
	return run()
}

func (c *console) removeSecondFactor(r *http.Request, account uuid.UUID) (any, error) {
	return c.withCode(r, account, func() (any, error) {
		return struct{}{}, c.Accounts.RemoveSecondFactor(r.Context(), accounts.RemoveSecondFactor{By: byUser(r.Context(), account), AccountID: account})
	})
}

func (c *console) replaceRecoveryCodes(r *http.Request, account uuid.UUID) (any, error) {
	return c.withCode(r, account, func() (any, error) {
		codes, err := c.Accounts.ReplaceRecoveryCodes(r.Context(), accounts.ReplaceRecoveryCodes{By: byUser(r.Context(), account), AccountID: account})
		return recoveryCodesAnswer{codes}, err
	})
}
