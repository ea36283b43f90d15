package accounts

// PasswordForms are all that a typed password may have been hashed as.
var PasswordForms = passwordForms
