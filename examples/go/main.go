// Asks a Flagwire server for flags, then follows what changes, by stubs that are generated from proto/flagwire/v1.
//
// In the checkout: npm run example:go
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	flagwirev1 "flagwire.example/flags/gen/flagwire/v1"
)

const timeout = 2 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	address := os.Getenv("FLAGWIRE_ADDRESS")
	if address == "" {
		address = "127.0.0.1:8013"
	}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// Pings find a connection that broke without a word.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second}),
	)
	if err != nil {
		return err
	}
	defer conn.Close()
	flags := flagwirev1.NewEvaluationServiceClient(conn)
	if token := os.Getenv("FLAGWIRE_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}

	attributes, err := structpb.NewStruct(map[string]any{"email": "ann@shop.test", "plan": "pro"})
	if err != nil {
		return err
	}
	user := &flagwirev1.Context{TargetingKey: "user-7", Attributes: attributes}

	fmt.Println("search:", value(ctx, flags, "search", user, map[string]any{}))
	fmt.Println("a flag that does not exist:", value(ctx, flags, "no-such-flag", user, false))
	if err := printAll(ctx, flags, user); err != nil {
		return err
	}
	return follow(ctx, flags)
}

// value returns a flag's value, or the default where there is none, or no server: a flag is never a reason to fail.
func value(
	ctx context.Context, flags flagwirev1.EvaluationServiceClient, key string, user *flagwirev1.Context, defaultValue any,
) any {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := flags.Evaluate(ctx, &flagwirev1.EvaluateRequest{FlagKey: key, Context: user})
	if err != nil {
		fmt.Printf("%s: %s: %s\n", key, status.Code(err), status.Convert(err).Message())
		return defaultValue
	}
	if answer.GetValue() == nil {
		return defaultValue
	}
	return answer.GetValue().AsInterface()
}

func printAll(ctx context.Context, flags flagwirev1.EvaluationServiceClient, user *flagwirev1.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answers, err := flags.BulkEvaluate(ctx, &flagwirev1.BulkEvaluateRequest{Context: user})
	if err != nil {
		return err
	}
	fmt.Printf("all flags, at revision %d:\n", answers.GetRevision())
	for _, answer := range answers.GetEvaluations() {
		fmt.Printf("  %s is %s, because %s\n", answer.GetFlagKey(), answer.GetVariant(), answer.GetReason())
	}
	return nil
}

// follow prints what changes until ctx ends. After a goodbye, or a server that is gone, it goes on where it was.
func follow(ctx context.Context, flags flagwirev1.EvaluationServiceClient) error {
	request := &flagwirev1.WatchRequest{ClientName: "go example"}
	for {
		err := watch(ctx, flags, request)
		if ctx.Err() != nil {
			return nil
		}
		fmt.Println("the stream ended:", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// watch reads one stream to its end, and leaves in the request the position to resume from.
func watch(ctx context.Context, flags flagwirev1.EvaluationServiceClient, request *flagwirev1.WatchRequest) error {
	stream, err := flags.Watch(ctx, request)
	if err != nil {
		return err
	}
	// An update may come over several messages, up to its commit; until then it is not one.
	var names []string
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, item := range message.GetItems() {
			if name := nameOf(item); name != "" {
				names = append(names, name)
			}
		}
		if commit := message.GetCommit(); commit != nil {
			verb := "changed"
			if request.Position == nil {
				verb = "watching"
			}
			if len(names) > 0 {
				fmt.Printf("%s: %s (revision %d)\n", verb, strings.Join(names, ", "), commit.GetPosition().GetRevision())
			}
			request.Position = commit.GetPosition()
			names = nil
		}
		if heartbeat := message.GetHeartbeat(); heartbeat != nil {
			request.Position = heartbeat.GetPosition()
		}
	}
}

// nameOf returns a flag's key, or "segment" and a segment's; "" for more keys of a segment that has been named, and for what a
// newer server knows.
func nameOf(item *flagwirev1.WatchItem) string {
	switch kind := item.GetKind().(type) {
	case *flagwirev1.WatchItem_Flag:
		return kind.Flag.GetFlag().GetKey()
	case *flagwirev1.WatchItem_Segment:
		return "segment " + kind.Segment.GetKey()
	case *flagwirev1.WatchItem_DeletedFlagKey:
		return kind.DeletedFlagKey
	case *flagwirev1.WatchItem_DeletedSegmentKey:
		return "segment " + kind.DeletedSegmentKey
	default:
		return ""
	}
}
