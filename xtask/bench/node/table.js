// The table: its client and its keys.

import { createHash } from 'node:crypto';

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';

export const TABLE = process.env.TABLE_NAME;
export const db = DynamoDBDocumentClient.from(new DynamoDBClient({}), {
  marshallOptions: { removeUndefinedValues: true },
});

export function sha256(text) {
  return createHash('sha256').update(text).digest('hex');
}

export function contactKey(org, id) {
  return { pk: `ORG#${org}`, sk: `CONTACT#${id}` };
}

export function emailLockKey(org, email) {
  return { pk: `ORG#${org}#EMAIL#${sha256(email)}`, sk: 'EMAIL' };
}

/** Opens the connection while the function initializes. There is no such item. */
export async function warmUp() {
  await db.send(new GetCommand({ TableName: TABLE, Key: { pk: 'KEY#', sk: 'KEY' } }));
}
