// `POST /contacts/`: one transaction of the contact and the lock of its email.

import { TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import { v7 as uuidv7 } from 'uuid';

import { NewContact, view } from './contact.js';
import { HttpError, body, endpoint, json, validated } from './http.js';
import { TABLE, contactKey, db, emailLockKey, warmUp } from './table.js';

export const handler = endpoint('create_contact', 'write', async (event, org) => {
  const { metadata, ...fields } = validated(NewContact, body(event));
  const id = uuidv7();
  const now = new Date().toISOString();
  const enrichment = metadata ?? {};
  const contact = {
    ...contactKey(org, id),
    type: 'contact',
    ...fields,
    enrichment,
    enrichment_order: Object.keys(enrichment),
    created_at: now,
    updated_at: now,
    version: 1,
  };
  const lock = { ...emailLockKey(org, fields.email), type: 'email_lock', contact_id: id };
  try {
    await db.send(new TransactWriteCommand({ TransactItems: [contact, lock].map(putNew) }));
  } catch (error) {
    if (error.CancellationReasons?.[1]?.Code === 'ConditionalCheckFailed') {
      throw new HttpError(409, `Contact with email '${fields.email}' already exists`);
    }
    throw error;
  }
  return json(201, view(contact), { location: `/contacts/${id}` });
});

function putNew(Item) {
  return { Put: { TableName: TABLE, Item, ConditionExpression: 'attribute_not_exists(pk)' } };
}

await warmUp();
