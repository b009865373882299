// `GET /contacts/`: one query, newest first.

import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';

import { view } from './contact.js';
import { endpoint, json, validated } from './http.js';
import { TABLE, db, warmUp } from './table.js';

const Page = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(1000) });

export const handler = endpoint('list_contacts', 'read', async (event, org) => {
  const { limit } = validated(Page, event.queryStringParameters ?? {});
  const query = {
    TableName: TABLE,
    KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
    ExpressionAttributeValues: { ':pk': `ORG#${org}`, ':prefix': 'CONTACT#' },
    ScanIndexForward: false,
    ConsistentRead: true,
    // One more tells whether another page follows.
    Limit: limit + 1,
  };
  const { Items } = await db.send(new QueryCommand(query));
  return json(200, Items.slice(0, limit).map(view));
});

await warmUp();
