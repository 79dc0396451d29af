package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// codec encrypts what is sent and decrypts what the server has stored, in the form that emitonce
// reads and writes: a nonce of 12 bytes, then the AES-256-GCM cipher text of the whole payload.
type codec struct {
	keyID string
	aead  cipher.AEAD
}

// newCodec takes the key in use as EMITONCE_PAYLOAD_KEYS has it: id:base64 of 32 bytes.
func newCodec(key string) (converter.PayloadCodec, error) {
	keyID, encoded, found := strings.Cut(key, ":")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || len(raw) != 32 {
		return nil, fmt.Errorf("the payload key must read id:base64 of 32 bytes")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return codec{keyID, aead}, err
}

func (c codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	encoded := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		plain, err := proto.Marshal(payload)
		if err != nil {
			return nil, err
		}
		nonce := make([]byte, c.aead.NonceSize())
		if _, err := rand.Read(nonce); err != nil {
			return nil, err
		}
		encoded[i] = &commonpb.Payload{
			Metadata: map[string][]byte{
				"encoding":          []byte("binary/encrypted"),
				"encryption-key-id": []byte(c.keyID),
			},
			Data: c.aead.Seal(nonce, nonce, plain, nil),
		}
	}
	return encoded, nil
}

func (c codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	decoded := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		if string(payload.Metadata["encoding"]) != "binary/encrypted" {
			decoded[i] = payload
			continue
		}
		if keyID := string(payload.Metadata["encryption-key-id"]); keyID != c.keyID {
			return nil, fmt.Errorf("the payload key %q is needed", keyID)
		}
		// What emitonce itself has written is bound to its event.
		var boundTo []byte
		if event, found := payload.Metadata["emitonce-event"]; found {
			boundTo = append([]byte("emitonce.payload.1|"), event...)
		}
		size := c.aead.NonceSize()
		if len(payload.Data) < size {
			return nil, fmt.Errorf("the payload is cut short")
		}
		plain, err := c.aead.Open(nil, payload.Data[:size], payload.Data[size:], boundTo)
		if err != nil {
			return nil, err
		}
		decoded[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, decoded[i]); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}
