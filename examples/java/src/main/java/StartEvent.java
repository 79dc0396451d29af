import io.temporal.api.enums.v1.WorkflowIdReusePolicy;
import io.temporal.client.WorkflowClient;
import io.temporal.client.WorkflowClientOptions;
import io.temporal.client.WorkflowOptions;
import io.temporal.client.WorkflowStub;
import io.temporal.serviceclient.WorkflowServiceStubs;
import io.temporal.serviceclient.WorkflowServiceStubsOptions;
import java.util.Map;
import java.util.UUID;

/** Starts an event with Temporal's Java SDK alone: the workflow by its name, one JSON object. */
public class StartEvent {
  public static void main(String[] arguments) {
    WorkflowServiceStubs service =
        WorkflowServiceStubs.newServiceStubs(
            WorkflowServiceStubsOptions.newBuilder()
                .setTarget(env("TEMPORAL_ADDRESS", "localhost:7233"))
                .build());
    WorkflowClient client =
        WorkflowClient.newInstance(
            service,
            WorkflowClientOptions.newBuilder()
                .setNamespace(env("TEMPORAL_NAMESPACE", "default"))
                .build());

    // The workflow's id is the event's, a UUID. Made of your own row's id
    // (UUID.nameUUIDFromBytes), the same row is one event.
    String eventId = UUID.randomUUID().toString();
    WorkflowStub workflow =
        client.newUntypedWorkflowStub(
            "DeliverEvent",
            WorkflowOptions.newBuilder()
                .setWorkflowId(eventId)
                .setTaskQueue(env("EMITONCE_TASK_QUEUE", "deliveries"))
                .setWorkflowIdReusePolicy(
                    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
                .build());
    workflow.start(
        Map.of(
            "workspace", System.getenv("EMITONCE_WORKSPACE"),
            "event", "user.signup",
            "payload", Map.of("userId", "usr_java", "email", "java@example.com")));
    System.out.println(eventId);
    service.shutdown();
  }

  private static String env(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }
}
