// verify ROOT.pem DOCUMENT PCR0 NONCE: is it genuine, of this image, and an answer to me?
package main

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hf/nitrite"
)

func main() {
	root, _ := os.ReadFile(os.Args[1])
	document, _ := os.ReadFile(os.Args[2])
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		log.Fatal("no root certificate") // without one, nitrite trusts the root of AWS
	}
	result, err := nitrite.Verify(document, nitrite.VerifyOptions{Roots: roots, CurrentTime: time.Now()})
	if err != nil {
		log.Fatal(err)
	}
	if found := hex.EncodeToString(result.Document.PCRs[0]); found != os.Args[3] {
		log.Fatal("another image: PCR0 is ", found)
	}
	if found := hex.EncodeToString(result.Document.Nonce); found != os.Args[4] {
		log.Fatal("not an answer to me: the nonce is ", found)
	}
	fmt.Println(result.Document.ModuleID)
}
