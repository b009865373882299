// `PUT /contacts/{contact_id}`: one conditional update. The keys of the metadata are merged, their values are not.

import { UpdateCommand } from '@aws-sdk/lib-dynamodb';

import { ContactId, ContactPatch, view } from './contact.js';
import { HttpError, body, endpoint, json, validated } from './http.js';
import { TABLE, contactKey, db, warmUp } from './table.js';

export const handler = endpoint('update_contact', 'write', async (event, org) => {
  const { contact_id } = validated(ContactId, event.pathParameters);
  const { metadata = {}, ...fields } = validated(ContactPatch, body(event));
  const update = new Update();
  for (const [name, value] of Object.entries(fields)) {
    update.change([name], value);
  }
  for (const [key, value] of Object.entries(metadata)) {
    update.change(['enrichment', key], value);
  }
  update.change(['updated_at'], new Date().toISOString());
  try {
    const { Attributes } = await db.send(new UpdateCommand(update.input(contactKey(org, contact_id))));
    return json(200, view(Attributes));
  } catch (error) {
    if (error.name === 'ConditionalCheckFailedException') {
      throw new HttpError(404, 'Contact not found');
    }
    throw error;
  }
});

/** An update expression. `null` removes an attribute. */
class Update {
  #sets = ['#version = #version + :one'];
  #removes = [];
  #names = { '#version': 'version' };
  #values = { ':one': 1 };

  change(path, value) {
    const place = path.map((name) => this.#placeholder(name)).join('.');
    if (value === null) {
      this.#removes.push(place);
      return;
    }
    const placeholder = `:v${this.#sets.length}`;
    this.#values[placeholder] = value;
    this.#sets.push(`${place} = ${placeholder}`);
  }

  input(Key) {
    const removes = this.#removes.length > 0 ? ` REMOVE ${this.#removes.join(', ')}` : '';
    return {
      TableName: TABLE,
      Key,
      UpdateExpression: `SET ${this.#sets.join(', ')}${removes}`,
      ConditionExpression: 'attribute_exists(pk)',
      ExpressionAttributeNames: this.#names,
      ExpressionAttributeValues: this.#values,
      ReturnValues: 'ALL_NEW',
    };
  }

  #placeholder(name) {
    const placeholder = name === 'enrichment' ? '#enrichment' : `#n${Object.keys(this.#names).length}`;
    this.#names[placeholder] = name;
    return placeholder;
  }
}

await warmUp();
