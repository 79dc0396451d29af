// Starts an event with Temporal's TypeScript SDK alone: the workflow by its name, one JSON object.
//
//   npm install && EMITONCE_WORKSPACE=<id> npm run --silent start
import { randomUUID } from "node:crypto";
import { Client, Connection } from "@temporalio/client";
import { encryption } from "./codec.js";

const connection = await Connection.connect({
  address: process.env.TEMPORAL_ADDRESS ?? "localhost:7233",
});
// Without a key the event is taken as well, but stored readable.
const key = process.env.EMITONCE_PAYLOAD_KEY;
const client = new Client({
  connection,
  namespace: process.env.TEMPORAL_NAMESPACE ?? "default",
  dataConverter: key ? { payloadCodecs: [encryption(key)] } : undefined,
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
if (process.env.EMITONCE_WAIT) console.log((await handle.result()).status);
console.log(handle.workflowId);
await connection.close();
