module third-party

go 1.21

require (
	github.com/hf/nsm v0.0.0-20220930140112-cd181bd646b9
	// The last release that an older Go than 1.25 can build, and the one most enclaves pin.
	github.com/mdlayher/vsock v1.2.1
)

require (
	github.com/fxamacker/cbor/v2 v2.2.0 // indirect
	github.com/mdlayher/socket v0.4.1 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/net v0.9.0 // indirect
	golang.org/x/sync v0.1.0 // indirect
	golang.org/x/sys v0.7.0 // indirect
)
