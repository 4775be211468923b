package read

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"path"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// mostCertificates is how many a file may hold before it is a bundle of roots that
// somebody else keeps up to date.
const mostCertificates = 5

// Certificates reads the public part of certificates that were committed.
var Certificates = add(Reader{
	Name: "certificate",
	Doc: premortem.Doc{
		Title:  "Certificates in PEM form",
		Why:    "A certificate that was committed ends on a known day, and nothing else in the repository says so.",
		When:   "Files with .pem, .crt, .cer or .cert whose text holds up to five certificates: subject, last day, whether it signs itself or others.",
		Silent: "Private keys; bundles of more than five; tests and fixtures; certificates inside other files.",
		Fix:    "Let a certificate be issued and renewed where it is used.",
	},
	Wants: func(p string) bool {
		switch path.Ext(p) {
		case ".pem", ".crt", ".cer", ".cert":
			return true
		}
		return false
	},
	Read: readCertificates,
})

func readCertificates(f File, d *Draft) error {
	if bytes.Count(f.Data, []byte("BEGIN CERTIFICATE")) > mostCertificates || asidePath(f.Path) {
		return nil
	}
	rest := f.Data
	for len(rest) > 0 {
		at := bytes.Index(rest, []byte("-----BEGIN "))
		if at < 0 {
			break
		}
		line := bytes.Count(f.Data[:len(f.Data)-len(rest)+at], []byte("\n")) + 1
		block, after := pem.Decode(rest[at:])
		if block == nil {
			break
		}
		rest = after
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			d.miss(premortem.Pos{File: f.Path, Line: line}, "the certificate cannot be read")
			continue
		}
		subject := c.Subject.CommonName
		if len(c.DNSNames) > 0 {
			subject = c.DNSNames[0]
		}
		if subject == "" {
			subject = strings.Join(c.Subject.Organization, " ")
		}
		d.certificates = append(d.certificates, &premortem.Certificate{
			Pos: premortem.Pos{File: f.Path, Line: line}, Subject: strings.ToValidUTF8(clip(subject), "�"),
			Until: c.NotAfter.UTC().Format(time.DateOnly), Own: bytes.Equal(c.RawIssuer, c.RawSubject), CA: c.IsCA,
		})
	}
	return nil
}

// asidePath reports files of tests, examples and documents.
func asidePath(p string) bool {
	for _, part := range strings.Split(strings.ToLower(p), "/") {
		switch strings.Trim(part, "_.") {
		case "test", "tests", "testing", "spec", "specs", "fixtures", "fixture", "testdata", "e2e", "example", "examples", "sample", "samples", "mock", "mocks", "docs", "dev", "local", "localhost":
			return true
		}
	}
	return false
}
