// Starts an event with Temporal's TypeScript SDK alone: the workflow by its name, one JSON object.
//
//   npm install && EMITONCE_WORKSPACE=<id> npm run --silent start
import { randomUUID } from "node:crypto";
import { Client, Connection } from "@temporalio/client";

const connection = await Connection.connect({
  address: process.env.TEMPORAL_ADDRESS ?? "localhost:7233",
});
const client = new Client({
  connection,
  namespace: process.env.TEMPORAL_NAMESPACE ?? "default",
});

// The workflow's id is the event's, a UUID. Made of your own row's id, the same row is one event.
const handle = await client.workflow.start("DeliverEvent", {
  workflowId: randomUUID(),
  taskQueue: process.env.EMITONCE_TASK_QUEUE ?? "deliveries",
  workflowIdReusePolicy: "REJECT_DUPLICATE",
  args: [
    {
      workspace: process.env.EMITONCE_WORKSPACE,
      event: "user.signup",
      payload: { userId: "usr_typescript", email: "typescript@example.com" },
    },
  ],
});
console.log(handle.workflowId);
await connection.close();
