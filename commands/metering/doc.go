// Package metering reports usage beyond the plans to AWS. Its commands, a file each:
//
//   - SealHours closes the hours that are over, SealEndedUsage the open hour of an ended subscription;
//   - PrepareUsageRecords fixes what is reported of a sealed hour;
//   - SendUsageRecords reports what is due and writes down what AWS answers;
//   - ResolveUsageRecord closes a quarantined record by an operator's decision.
//
// The ProcessManager runs all but the last, over and over. Besides the event store it needs what stands in ports.go: a
// read model that finds what is to be done, the meter of AWS, and a lease. What is billed is decided in package domain.
package metering
