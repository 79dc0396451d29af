// Starts an event with Temporal's Go SDK alone: the workflow by its name, one JSON object.
//
//	EMITONCE_WORKSPACE=<id> go run .
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

type event struct {
	Workspace string         `json:"workspace"`
	Event     string         `json:"event"`
	Payload   map[string]any `json:"payload"`
}

func main() {
	options := client.Options{
		HostPort:  env("TEMPORAL_ADDRESS", "localhost:7233"),
		Namespace: env("TEMPORAL_NAMESPACE", "default"),
		Logger:    quiet{},
	}
	// Without a key the event is taken as well, but stored readable.
	if key := os.Getenv("EMITONCE_PAYLOAD_KEY"); key != "" {
		encryption, err := newCodec(key)
		if err != nil {
			log.Fatal(err)
		}
		options.DataConverter = converter.NewCodecDataConverter(
			converter.GetDefaultDataConverter(), encryption)
	}
	c, err := client.Dial(options)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	// The workflow's id is the event's, a UUID. Made of your own row's id (uuid.NewSHA1), the same
	// row is one event.
	run, err := c.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{
		ID:                    uuid.NewString(),
		TaskQueue:             env("EMITONCE_TASK_QUEUE", "deliveries"),
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	}, "DeliverEvent", event{
		Workspace: os.Getenv("EMITONCE_WORKSPACE"),
		Event:     "user.signup",
		Payload:   map[string]any{"userId": "usr_go", "email": "go@example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if os.Getenv("EMITONCE_WAIT") != "" {
		var result struct{ Status string }
		if err := run.Get(context.Background(), &result); err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Status)
	}
	fmt.Println(run.GetID())
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
