// `GET /contacts/{contact_id}`: the contact and the active campaigns in one call, and its activities in another, at once.

import { BatchGetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';

import { ContactId, viewWithTimeline } from './contact.js';
import { HttpError, endpoint, json, validated } from './http.js';
import { TABLE, contactKey, db, warmUp } from './table.js';

const Timeline = z.object({
  campaign_id: z.union([z.literal('all'), z.literal('any'), z.uuid()]).default('all'),
  page: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

export const handler = endpoint('get_contact', 'read', async (event, org) => {
  const { contact_id } = validated(ContactId, event.pathParameters);
  const { campaign_id, page, limit } = validated(Timeline, event.queryStringParameters ?? {});
  const key = contactKey(org, contact_id);
  const [items, activities] = await Promise.all([
    batchGet([key, { pk: key.pk, sk: 'ACTIVE_CAMPAIGNS' }]),
    queryActivities(org, contact_id, (page + 1) * limit + 1),
  ]);
  const contact = items.find((item) => item.type === 'contact');
  if (!contact) {
    throw new HttpError(404, 'Contact not found');
  }
  const active = items.find((item) => item.type === 'active_campaigns')?.campaign_ids ?? new Set();
  const shown = activities.filter((activity) => isShown(activity, campaign_id, active));
  return json(200, viewWithTimeline(contact, shown.slice(page * limit, (page + 1) * limit)));
});

async function batchGet(Keys) {
  const RequestItems = { [TABLE]: { Keys, ConsistentRead: true } };
  const { Responses } = await db.send(new BatchGetCommand({ RequestItems }));
  return Responses[TABLE];
}

async function queryActivities(org, id, Limit) {
  const query = {
    TableName: TABLE,
    KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
    ExpressionAttributeValues: { ':pk': `ORG#${org}#CONTACT#${id}`, ':prefix': 'ACTIVITY#' },
    ConsistentRead: true,
    Limit,
  };
  return (await db.send(new QueryCommand(query))).Items;
}

function isShown(activity, filter, active) {
  switch (filter) {
    case 'any':
      return true;
    case 'all':
      return active.size === 0 || active.has(activity.campaign_id);
    default:
      return activity.campaign_id === filter;
  }
}

await warmUp();
