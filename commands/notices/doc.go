// Package notices decides what customers are told about their usage, and when: a threshold of the plan is told of once in a
// month, however many nodes look. What was decided is in the log; who mails it follows the log, as accounts does. Whether a call
// is counted or refused is none of its concern.
package notices
