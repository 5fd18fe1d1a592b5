// Command third-party is an enclave and parent program as a Go team would ship
// it: a static binary that makes raw system calls, never through a C library,
// with the two packages most Go enclaves use. It knows nothing of nitrosim.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"

	"github.com/hf/nsm"
	"github.com/hf/nsm/request"
	"github.com/hf/nsm/response"
	"github.com/mdlayher/vsock"
)

const usage = `usage: third-party listen PORT            echo server, concurrent
       third-party dial CID PORT TEXT     send TEXT, print the answer
       third-party attest NONCEHEX        use every kind of NSM request, print a document
       third-party ping-attest PORT       serve documents for nonces
       third-party cid                    print the local context ID`

// Answer status bytes and the largest nonce of the hello_attestation protocol.
const (
	statusDocument = 0
	statusError    = 1
	maxNonce       = 1024
)

// lockedPCR is the first register that an application may extend and lock.
const lockedPCR = 16

func main() {
	log.SetFlags(0)
	log.SetPrefix("third-party: ")
	err := run(os.Args[1:])
	if errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		log.Fatal(err)
	}
}

var errUsage = errors.New("usage")

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "listen":
		return serve(args[1], echo)
	case len(args) == 4 && args[0] == "dial":
		return dial(args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "attest":
		return attest(args[1])
	case len(args) == 2 && args[0] == "ping-attest":
		return serve(args[1], answerNonce)
	case len(args) == 1 && args[0] == "cid":
		cid, err := vsock.ContextID()
		if err != nil {
			return err
		}
		fmt.Println("cid", cid)
		return nil
	}
	return errUsage
}

// serve accepts connections for ever and handles each in a goroutine of its own.
func serve(port string, handle func(*vsock.Conn) error) error {
	number, err := strconv.ParseUint(port, 10, 32)
	if err != nil {
		return err
	}
	listener, err := vsock.Listen(uint32(number), nil)
	if err != nil {
		return err
	}
	fmt.Println("listening", describe(listener.Addr().(*vsock.Addr)))
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func(connection *vsock.Conn) {
			defer connection.Close()
			fmt.Println("peer", describe(connection.RemoteAddr().(*vsock.Addr)),
				"local", describe(connection.LocalAddr().(*vsock.Addr)))
			if err := handle(connection); err != nil {
				fmt.Println("connection failed:", err)
			}
		}(connection.(*vsock.Conn))
	}
}

func describe(address *vsock.Addr) string {
	return fmt.Sprintf("%d:%d", address.ContextID, address.Port)
}

// echo sends back what it reads and half-closes when the peer has half-closed.
func echo(connection *vsock.Conn) error {
	if _, err := io.Copy(connection, connection); err != nil {
		return err
	}
	return connection.CloseWrite()
}

func dial(cid, port, text string) error {
	peer, err := strconv.ParseUint(cid, 10, 32)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(port, 10, 32)
	if err != nil {
		return err
	}
	connection, err := vsock.Dial(uint32(peer), uint32(number), nil)
	if err != nil {
		return err
	}
	defer connection.Close()
	fmt.Println("peer", describe(connection.RemoteAddr().(*vsock.Addr)),
		"local", describe(connection.LocalAddr().(*vsock.Addr)))
	if _, err := io.WriteString(connection, text); err != nil {
		return err
	}
	if err := connection.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(connection)
	if err != nil {
		return err
	}
	fmt.Printf("answer %s\n", answer)
	return nil
}

// ask sends one request; an NSM error code becomes a Go error.
func ask(session *nsm.Session, question request.Request) (response.Response, error) {
	answer, err := session.Send(question)
	if err == nil && answer.Error != "" {
		err = fmt.Errorf("NSM error %s", answer.Error)
	}
	return answer, err
}

func attest(nonceHex string) error {
	nonce, err := hex.DecodeString(nonceHex)
	if err != nil {
		return err
	}
	session, err := nsm.OpenDefaultSession()
	if err != nil {
		return err
	}
	defer session.Close()

	random := make([]byte, 300) // more than one GetRandom answer holds
	if _, err := session.Read(random); err != nil {
		return fmt.Errorf("random: %w", err)
	}
	fmt.Println("random", hex.EncodeToString(random))

	described, err := ask(session, &request.DescribeNSM{})
	if err != nil {
		return fmt.Errorf("DescribeNSM: %w", err)
	}
	module := described.DescribeNSM
	fmt.Printf("module %s %s max_pcrs %d locked %v\n",
		module.ModuleID, module.Digest, module.MaxPCRs, module.LockedPCRs)

	extended, err := ask(session, &request.ExtendPCR{Index: lockedPCR, Data: []byte("third-party")})
	if err != nil {
		return fmt.Errorf("ExtendPCR: %w", err)
	}
	fmt.Println("extended", hex.EncodeToString(extended.ExtendPCR.Data))
	if _, err := ask(session, &request.LockPCR{Index: lockedPCR}); err != nil {
		return fmt.Errorf("LockPCR: %w", err)
	}
	register, err := ask(session, &request.DescribePCR{Index: lockedPCR})
	if err != nil {
		return fmt.Errorf("DescribePCR: %w", err)
	}
	fmt.Println("pcr", lockedPCR, register.DescribePCR.Lock,
		hex.EncodeToString(register.DescribePCR.Data))
	_, err = ask(session, &request.ExtendPCR{Index: lockedPCR, Data: []byte("again")})
	fmt.Println("extend when locked:", err)

	document, err := ask(session, &request.Attestation{Nonce: nonce})
	if err != nil {
		return fmt.Errorf("Attestation: %w", err)
	}
	fmt.Println("document", hex.EncodeToString(document.Attestation.Document))
	return nil
}

// answerNonce speaks the protocol of sample_apps/hello_attestation for one connection.
func answerNonce(connection *vsock.Conn) error {
	nonce, err := readFrame(connection, maxNonce)
	if err != nil {
		return err
	}
	session, err := nsm.OpenDefaultSession()
	if err != nil {
		return err
	}
	defer session.Close()
	answer, err := ask(session, &request.Attestation{Nonce: nonce})
	if err != nil {
		return writeFrame(connection, append([]byte{statusError}, err.Error()...))
	}
	return writeFrame(connection, append([]byte{statusDocument}, answer.Attestation.Document...))
}

func readFrame(source io.Reader, limit uint32) ([]byte, error) {
	var length uint32
	if err := binary.Read(source, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	if length > limit {
		return nil, fmt.Errorf("frame of %d bytes, limit %d", length, limit)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(source, body)
	return body, err
}

func writeFrame(sink io.Writer, body []byte) error {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	_, err := sink.Write(append(frame, body...))
	return err
}
