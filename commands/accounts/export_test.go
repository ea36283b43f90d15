package accounts

// HashCheaply is for tests: they hash dozens of passwords and check no hash for its strength.
func HashCheaply() { passwordCost.Memory, passwordCost.Iterations = 64, 1 }

// PasswordForms are all that a typed password may have been hashed as.
var PasswordForms = passwordForms
