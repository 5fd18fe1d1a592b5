// Puts attestation documents to nitrite: one job per line in, one verdict per line out.
//
// A job is five fields with tabs between: id, time in milliseconds, root (path of the DER),
// document (path), and the document's certificates, which nitrite does not need.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/hex"
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
	ID      string   `json:"id"`
	Verdict string   `json:"verdict"`
	Reason  string   `json:"reason"`
	Content *content `json:"content"`
}

// What the verifier read in a document that it accepts; bytes are in hex, absent ones null.
type content struct {
	ModuleID  string            `json:"module_id"`
	Timestamp uint64            `json:"timestamp_ms"`
	PCRs      map[string]string `json:"pcrs"`
	PublicKey *string           `json:"public_key"`
	UserData  *string           `json:"user_data"`
	Nonce     *string           `json:"nonce"`
}

func read(document *nitrite.Document) *content {
	pcrs := make(map[string]string)
	for index, value := range document.PCRs {
		pcrs[fmt.Sprint(index)] = hex.EncodeToString(value)
	}
	return &content{
		ModuleID:  document.ModuleID,
		Timestamp: document.Timestamp,
		PCRs:      pcrs,
		PublicKey: digits(document.PublicKey),
		UserData:  digits(document.UserData),
		Nonce:     digits(document.Nonce),
	}
}

func digits(data []byte) *string {
	if data == nil {
		return nil
	}
	text := hex.EncodeToString(data)
	return &text
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
	defer func() {
		if panicked := recover(); panicked != nil {
			result = answer{ID: job.id, Verdict: "crash", Reason: fmt.Sprint(panicked)}
		}
	}()
	root, err := x509.ParseCertificate(job.root)
	if err != nil {
		return answer{ID: job.id, Verdict: "unsupported", Reason: "root: " + err.Error()}
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	options := nitrite.VerifyOptions{Roots: roots, CurrentTime: job.time}
	verified, err := nitrite.Verify(job.document, options)
	if err != nil {
		return answer{ID: job.id, Verdict: "refuse", Reason: err.Error()}
	}
	return answer{ID: job.id, Verdict: "accept", Content: read(verified.Document)}
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
