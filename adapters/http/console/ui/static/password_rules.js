// The rules of a new password, as the server enforces them; here they only save a round trip.

export const rules = {
  length: (p) => [...p].length >= 8,
  upper: (p) => /\p{Lu}/u.test(p),
  lower: (p) => /\p{Ll}/u.test(p),
  digit: (p) => /\p{Nd}/u.test(p),
  symbol: (p) => /[^\p{L}\p{Nd}\s]/u.test(p),
};

export const met = (password) => Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, rule(password.normalize())]));
