package projections

// ChecksQuery returns how checks are asked for.
var ChecksQuery = checksQuery
