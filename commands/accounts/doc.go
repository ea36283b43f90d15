// Package accounts brings accounts from registration to erasure. Its commands, a file each:
//
//   - RegisterAccount takes the onboarding screen, ResendVerification mails the link again, and ActivateAccount uses it: it
//     sets the first password and issues the two API keys;
//   - LogIn checks a password; ChangePassword, RequestPasswordReset and ResetPassword replace it;
//   - AttachRegistration makes a new customer that of a login which exists;
//   - InviteMember, WithdrawInvitation, AcceptInvitation and RegisterInvitee let people in; ChangeMemberRole, PassOwnershipOn and
//     RemoveMember decide about them;
//   - RequestEmailChange and ChangeEmail give a login another address;
//   - RegenerateKey replaces an API key on every node;
//   - ErasePerson and EraseCustomer make people unreadable and close their accounts.
//
// Mails is their process manager: events of the log become mails to the customer, each sent at least once. Besides the
// event store they need what stands in ports.go: a vault for personal data, a mailer, and a barrier that says when every
// node knows a key. Personal data leave this package only encrypted, or in a mail to the person.
package accounts
