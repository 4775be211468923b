// Package premortem holds the words that every other package speaks: what a
// system is, what was found wrong with it, what was tried and what was measured.
//
// It uses the standard library only and does no I/O. A value read from a file
// carries the line that set it; the zero value of every answer is "unknown".
package premortem

// Version is written into each report. It is set at link time for releases.
var Version = "0.1.0"

// Schema names the stable form of a Report as JSON.
const Schema = "premortem/report/v1"
