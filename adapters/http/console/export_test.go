package console

// ProblemOf is how the console words an error.
var ProblemOf = problemOf
