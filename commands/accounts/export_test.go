package accounts

// Tests hash dozens of passwords and check no hash for its strength: they hash cheaply.
func init() { passwordCost.Memory, passwordCost.Iterations = 64, 1 }
