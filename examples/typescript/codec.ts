import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Payload, PayloadCodec } from "@temporalio/common";
import proto from "@temporalio/proto";

const { Payload: Message } = proto.temporal.api.common.v1;
const text = new TextDecoder();
const bytes = new TextEncoder();

/**
 * Encrypts what is sent and decrypts what the server has stored, in the form that emitonce reads
 * and writes: a nonce of 12 bytes, then the AES-256-GCM cipher text of the whole payload and its tag.
 */
export function encryption(key: string): PayloadCodec {
  const [keyId, encoded] = key.split(":", 2);
  const secret = Buffer.from(encoded ?? "", "base64");
  if (!keyId || secret.length !== 32) {
    throw new Error("the payload key must read id:base64 of 32 bytes");
  }
  return {
    async encode(payloads: Payload[]): Promise<Payload[]> {
      return payloads.map((payload) => {
        const nonce = randomBytes(12);
        const cipher = createCipheriv("aes-256-gcm", secret, nonce);
        const plain = Message.encode(payload).finish();
        const sealed = [cipher.update(plain), cipher.final(), cipher.getAuthTag()];
        return {
          metadata: {
            encoding: bytes.encode("binary/encrypted"),
            "encryption-key-id": bytes.encode(keyId),
          },
          data: Buffer.concat([nonce, ...sealed]),
        };
      });
    },

    async decode(payloads: Payload[]): Promise<Payload[]> {
      return payloads.map((payload) => {
        const { metadata, data } = payload;
        if (!metadata || !data || text.decode(metadata.encoding) !== "binary/encrypted") {
          return payload;
        }
        const named = text.decode(metadata["encryption-key-id"]);
        if (named !== keyId) throw new Error(`the payload key ${named} is needed`);
        const cipher = createDecipheriv("aes-256-gcm", secret, data.subarray(0, 12));
        // What emitonce itself has written is bound to its event.
        const event = metadata["emitonce-event"];
        if (event) cipher.setAAD(bytes.encode(`emitonce.payload.1|${text.decode(event)}`));
        cipher.setAuthTag(data.subarray(-16));
        const plain = [cipher.update(data.subarray(12, -16)), cipher.final()];
        return Message.decode(Buffer.concat(plain));
      });
    },
  };
}
