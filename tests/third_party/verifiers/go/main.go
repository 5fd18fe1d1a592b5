// Puts attestation documents to nitrite: one job per line in, one verdict per line out.
//
// A job is five fields with tabs between: id, time in milliseconds, root (path of the DER),
// document (path), and the document's certificates, which nitrite does not need.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hf/nitrite"
)

const longestLine = 1 << 20

type answer struct {
	ID      string `json:"id"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
}

type job struct {
	id       string
	time     time.Time
	root     []byte
	document []byte
}

func parse(line string) (job, error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 5 {
		return job{}, fmt.Errorf("a job has five fields: %s", line)
	}
	milliseconds, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return job{}, err
	}
	root, err := os.ReadFile(fields[2])
	if err != nil {
		return job{}, err
	}
	document, err := os.ReadFile(fields[3])
	return job{fields[0], time.UnixMilli(milliseconds), root, document}, err
}

func judge(job job) (result answer) {
	result = answer{ID: job.id, Verdict: "accept"}
	defer func() {
		if panicked := recover(); panicked != nil {
			result.Verdict, result.Reason = "crash", fmt.Sprint(panicked)
		}
	}()
	root, err := x509.ParseCertificate(job.root)
	if err != nil {
		return answer{job.id, "unsupported", "root: " + err.Error()}
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	options := nitrite.VerifyOptions{Roots: roots, CurrentTime: job.time}
	if _, err = nitrite.Verify(job.document, options); err != nil {
		return answer{job.id, "refuse", err.Error()}
	}
	return result
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, longestLine)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		job, err := parse(input.Text())
		if err != nil {
			log.Fatal(err)
		}
		if err := output.Encode(judge(job)); err != nil {
			log.Fatal(err)
		}
	}
	if err := input.Err(); err != nil {
		log.Fatal(err)
	}
}
